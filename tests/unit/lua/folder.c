/* A folder of rules for a test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "folder.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 512 };

void folder_make(struct folder *folder)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(folder->path, sizeof folder->path, "%s/sa-rules-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(folder->path));
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

void folder_remove(const struct folder *folder)
{
    nftw(folder->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void path_of(const struct folder *folder, const char *name, char path[PATH_BYTES])
{
    snprintf(path, PATH_BYTES, "%s/%s", folder->path, name);
    for (char *slash = path + strlen(folder->path) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(path, 0755);
        *slash = '/';
    }
}

void folder_write_bytes(const struct folder *folder, const char *name, const void *data,
                        size_t length)
{
    char path[PATH_BYTES];
    path_of(folder, name, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    if (length)
        assert_int_equal(write(fd, data, length), (ssize_t)length);
    close(fd);
}

void folder_write(const struct folder *folder, const char *name, const char *text)
{
    folder_write_bytes(folder, name, text, strlen(text));
}

void folder_replace(const struct folder *folder, const char *name, const char *text)
{
    char beside[PATH_BYTES];
    snprintf(beside, sizeof beside, "%s.new~", name);
    folder_write(folder, beside, text);
    folder_rename(folder, beside, name);
}

void folder_link(const struct folder *folder, const char *target, const char *name)
{
    char path[PATH_BYTES];
    path_of(folder, name, path);
    assert_int_equal(symlink(target, path), 0);
}

void folder_relink(const struct folder *folder, const char *target, const char *name)
{
    char beside[PATH_BYTES];
    snprintf(beside, sizeof beside, "%s_tmp", name);
    folder_link(folder, target, beside);
    folder_rename(folder, beside, name);
}

void folder_delete(const struct folder *folder, const char *name)
{
    char path[PATH_BYTES];
    path_of(folder, name, path);
    assert_int_equal(remove(path), 0);
}

void folder_rename(const struct folder *folder, const char *from, const char *to)
{
    char old[PATH_BYTES], new[PATH_BYTES];
    path_of(folder, from, old);
    path_of(folder, to, new);
    assert_int_equal(rename(old, new), 0);
}
