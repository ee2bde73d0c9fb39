/* A line on standard error that shows how far a transfer is: only on a terminal, and only once it
 * has taken a while. */
#ifndef SA_CLI_PROGRESS_H
#define SA_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct sa_progress {
    bool quiet;
    const char *name;
    int64_t done, total; /* bytes; total -1: unknown */
    int64_t start_us, shown_us;
    bool shown;
};

void sa_progress_start(struct sa_progress *progress, const char *name, int64_t total);
void sa_progress_add(struct sa_progress *progress, int64_t bytes);
void sa_progress_end(struct sa_progress *progress, bool complete);

#endif
