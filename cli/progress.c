#include "progress.h"

#include "base/clock.h"

#include <stdio.h>
#include <unistd.h>

enum { FIRST_US = 500 * 1000, EVERY_US = 100 * 1000, BAR = 24 };

static void print(struct sa_progress *p, int64_t now_us)
{
    double seconds = (double)(now_us - p->start_us) / 1e6, mib = (double)p->done / 1048576;
    char bar[BAR + 1] = "";
    if (p->total > 0) {
        int filled = p->done >= p->total ? BAR : (int)(p->done * BAR / p->total);
        for (int i = 0; i < BAR; i++)
            bar[i] = i < filled ? '#' : '.';
        fprintf(stderr, "\r\033[K%.40s [%s] %3d %% %.1f MiB, %.1f MiB/s", p->name, bar,
                (int)(p->done >= p->total ? 100 : p->done * 100 / p->total), mib, mib / seconds);
    } else {
        fprintf(stderr, "\r\033[K%.40s %.1f MiB, %.1f MiB/s", p->name, mib, mib / seconds);
    }
    p->shown = true;
    p->shown_us = now_us;
}

void sa_progress_start(struct sa_progress *progress, const char *name, int64_t total)
{
    bool quiet = progress->quiet || !isatty(2);
    *progress = (struct sa_progress){
        .quiet = quiet, .name = name, .total = total, .start_us = sa_monotonic_us()};
}

void sa_progress_add(struct sa_progress *progress, int64_t bytes)
{
    progress->done += bytes;
    if (progress->quiet)
        return;
    int64_t now_us = sa_monotonic_us();
    if (now_us - progress->start_us > FIRST_US && now_us - progress->shown_us > EVERY_US)
        print(progress, now_us);
}

void sa_progress_end(struct sa_progress *progress, bool complete)
{
    if (!progress->shown)
        return;
    if (complete && progress->total < 0)
        progress->total = progress->done;
    print(progress, sa_monotonic_us());
    fputc('\n', stderr);
}
