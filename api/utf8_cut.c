#include "api/utf8_cut.h"

#include "base/utf8.h"

#include <string.h>

/* Completes the kept character with the first bytes of `data`; returns how many it took. */
static size_t complete(struct sa_utf8_cut *cut, const char *data, size_t length, sa_utf8_emit emit,
                       void *user)
{
    size_t take = 0;
    while (take < length && cut->kept_length < sizeof cut->kept &&
           sa_utf8_partial_tail(cut->kept, cut->kept_length) == cut->kept_length &&
           ((unsigned char)data[take] & 0xC0) == 0x80)
        cut->kept[cut->kept_length++] = data[take++];
    if (take == length && sa_utf8_partial_tail(cut->kept, cut->kept_length) == cut->kept_length)
        return take; /* still not whole */
    emit(user, cut->kept, cut->kept_length);
    cut->kept_length = 0;
    return take;
}

void sa_utf8_cut_feed(struct sa_utf8_cut *cut, const char *data, size_t length, bool last,
                      sa_utf8_emit emit, void *user)
{
    if (cut->kept_length && length) {
        size_t took = complete(cut, data, length, emit, user);
        data += took;
        length -= took;
    }
    if (last && cut->kept_length) {
        emit(user, cut->kept, cut->kept_length);
        cut->kept_length = 0;
    }
    size_t keep = last ? 0 : sa_utf8_partial_tail(data, length);
    if (length > keep)
        emit(user, data, length - keep);
    if (keep) {
        memcpy(cut->kept, data + length - keep, keep);
        cut->kept_length = keep;
    }
}
