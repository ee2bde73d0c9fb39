/* What the measuring programs have in common. */
#ifndef SA_BENCH_FIGURES_H
#define SA_BENCH_FIGURES_H

#include <stddef.h>

void sort_figures(double *figures, size_t count); /* the least first */
/* Memory of this process. Exits when it cannot be known. */
long own_memory_kb(void);

#endif
