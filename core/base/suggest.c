#include "base/suggest.h"

#include <string.h>

enum { WORD_MAX = 48 }; /* longer words are not typing mistakes of ours */

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Optimal string alignment distance of two words of at most WORD_MAX bytes. */
static unsigned distance(const char *a, size_t na, const char *b, size_t nb)
{
    unsigned rows[3][WORD_MAX + 1];
    unsigned *before = rows[0], *last = rows[1], *row = rows[2];
    for (size_t j = 0; j <= nb; j++)
        last[j] = (unsigned)j;
    for (size_t i = 1; i <= na; i++) {
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= nb; j++) {
            unsigned change = last[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = least(change, least(last[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], before[j - 2] + 1);
        }
        unsigned *oldest = before;
        before = last;
        last = row;
        row = oldest;
    }
    return last[nb];
}

const char *sa_suggest(const char *word, const char *const names[], size_t count)
{
    size_t length = strlen(word);
    const char *best = NULL;
    unsigned nearest = (unsigned)(length < 3 ? 1 : length / 3) + 1;
    if (length == 0 || length > WORD_MAX)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        size_t n = strlen(names[i]);
        if (n > WORD_MAX)
            continue;
        unsigned d = distance(word, length, names[i], n);
        if (d < nearest && d < n) {
            nearest = d;
            best = names[i];
        }
    }
    return best;
}
