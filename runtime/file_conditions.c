/* SA_FILE_IF_*: RFC 9110, section 13, checked where nothing can come between check and change but
 * programs inside. */
#include "file.h"

#include "link/methods.h"

#include <fcntl.h>
#include <string.h>

static bool holds(const struct sa_buf *list, const char *version)
{
    for (size_t at = 0; at < list->length; at += strlen(list->data + at) + 1)
        if (!strcmp(list->data + at, "*") || !strcmp(list->data + at, version))
            return true;
    return false;
}

int sa_file_conditions_check(const struct sa_file_conditions *c, const struct stat *st,
                             struct sa_error *err)
{
    char version[SA_FILE_VERSION_BYTES];
    if (st)
        sa_file_version(st, version);
    if (c->match_given && (!st || !holds(&c->match, version)))
        return sa_error_at(err, SA_ECONFLICT, "If-Match",
                           st ? "the file has changed: its ETag is \"%s\" now"
                              : "there is no such file%s",
                           st ? version : "");
    if (c->none_match_given && st && holds(&c->none_match, version))
        return sa_error_at(err, SA_ECONFLICT, "If-None-Match",
                           "the file exists: its ETag is \"%s\"", version);
    if (st && st->st_mtim.tv_sec > c->unmodified_s)
        return sa_error_at(err, SA_ECONFLICT, "If-Unmodified-Since",
                           "the file was modified after that time");
    return 0;
}

int sa_file_conditions_check_at(const struct sa_file_conditions *c, int folder, const char *name,
                                struct sa_error *err)
{
    struct stat st;
    bool there = fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
    return sa_file_conditions_check(c, there ? &st : NULL, err);
}

bool sa_file_conditions_want_none(const struct sa_file_conditions *c)
{
    return c->none_match_given && holds(&c->none_match, "*");
}
