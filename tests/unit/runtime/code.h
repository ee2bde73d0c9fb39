/* Code in Python as the control plane asks for it (model/execute.c), with a template or without. */
#ifndef CODE_H
#define CODE_H

#include "box.h"

/* `extra`: more fields of the request, or NULL. */
struct reply *code_begin(struct box *box, const char *code, bool template,
                         const struct sa_buf *extra);
/* Until it ended. */
struct reply *code_run(struct box *box, const char *code, bool template,
                       const struct sa_buf *extra);
/* Is it forked from the template? */
bool code_forks(struct box *box, const struct sa_buf *extra);
/* Until a spare waits. */
void code_warm_up(struct box *box, const struct sa_buf *extra);

#endif
