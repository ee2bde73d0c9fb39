#ifndef SA_BENCH_FLOOR_H
#define SA_BENCH_FLOOR_H

/* CLIENTS connections, each asking a server process of its own to run `true`, for SECONDS. Prints a
 * JSON object: answers per second, and their p50, p95 and p99 in ms. Exits when it cannot. */
void floor_measure(int clients, int seconds);

#endif
