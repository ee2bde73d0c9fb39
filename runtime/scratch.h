/*
 * Scratch folders come with contents that nobody inside can change but by a copy of his own: an
 * overlay whose upper folder is empty (or, without overlays, they come empty). Whatever is changed,
 * anywhere below, is first copied into that upper folder, which gives it, and so the overlay's
 * root, another time of change (overlayfs.rst, "changes"). So one look at the root tells whether
 * all of it is as it came.
 */
#ifndef SA_RUNTIME_SCRATCH_H
#define SA_RUNTIME_SCRATCH_H

#include <stdbool.h>

/* Before a program is started: the first time, looks at what nobody can have changed yet. */
void sa_scratch_note(void);
/* Is scratch folder `index` of the boot block as it came? */
bool sa_scratch_is_new(int index);

#endif
