/* "Did you mean": the declared name that is nearest to what somebody wrote. */
#ifndef SA_BASE_SUGGEST_H
#define SA_BASE_SUGGEST_H

#include <stddef.h>

/* The nearest of `names` by edit distance (a swap of neighbours counts as one edit), or NULL when
 * none is near enough to be meant: more than a third of the word would have to change. */
const char *sa_suggest(const char *word, const char *const names[], size_t count);

#endif
