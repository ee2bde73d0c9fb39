/* Shared by the files of sa-policyload. */
#ifndef SA_BENCH_POLICYLOAD_H
#define SA_BENCH_POLICYLOAD_H

#include <stdint.h>

enum { WARM_UP = 2000, IN_FLIGHT = 256 };

_Noreturn void die(const char *what);
/* This process and what it starts from here on. */
void stay_on_one_processor(void);
int64_t now_ns(void);
/* Sorts them. */
void print_times(const char *name, double *us, long n);

/* ---- policyload_typed.c ---- */
void typed(long rounds, const char *dir);

#endif
