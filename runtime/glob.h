/*
 * Glob patterns over paths, matched in time proportional to pattern x path:
 *
 *     *       any characters of one name, also none; names that begin with a dot too
 *     ?       one character
 *     [a-z]   one of them; [!a-z] none of them
 *     \c      c itself
 *     **      as a whole name: any number of names, also none, but at least one at the end
 */
#ifndef SA_RUNTIME_GLOB_H
#define SA_RUNTIME_GLOB_H

#include <stdbool.h>

/* `path` is relative, its names separated by single slashes. */
bool sa_glob_match(const char *pattern, const char *path);

#endif
