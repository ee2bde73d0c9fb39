/* Standard input on a loop, whatever it is: a terminal (raw on demand), a pipe, a file. */
#ifndef SA_CLI_INPUT_H
#define SA_CLI_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

struct sa_input;

/* Gets what was read; length 0: that was the end. False: pause. */
typedef bool sa_input_cb(void *user, const char *data, size_t length);

/* Paused at first. With `raw` the terminal passes every key on, from the first resume until
 * stop. */
struct sa_input *sa_input_new(uv_loop_t *loop, bool raw, sa_input_cb *callback, void *user);
void sa_input_resume(struct sa_input *input);
void sa_input_pause(struct sa_input *input);
/* Restores the terminal and closes the handles: the loop may end. */
void sa_input_stop(struct sa_input *input);
/* After the loop has run to its end. */
void sa_input_free(struct sa_input *input);

#endif
