#include "entries.h"

#include <dirent.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

const char *sa_entries_next(struct sa_entries *e, int fd)
{
    for (;;) {
        if (e->at >= e->have) {
            e->at = 0;
            e->have = syscall(SYS_getdents64, fd, e->buffer, sizeof e->buffer);
            if (e->have <= 0)
                return NULL;
        }
        struct dirent64 *entry = (struct dirent64 *)(void *)(e->buffer + e->at);
        e->at += entry->d_reclen;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            return entry->d_name;
    }
}
