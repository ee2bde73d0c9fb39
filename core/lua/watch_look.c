/* Looking at folders of rules without reading them: names, and what stat(2) says of each. */
#include "lua/watch_internal.h"

#include "base/arena.h"
#include "base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PLACES_EACH = 4, ENTRIES_MAX = 4096 };

/* ---- places ---- */

void sa_watch_places_init(struct sa_watch_places *places, const char *const *dirs, size_t count)
{
    places->items = sa_alloc((PLACES_EACH * count + 1) * sizeof *places->items);
    places->dirs = sa_alloc((count + 1) * sizeof *places->dirs);
    places->dir_count = count;
    for (size_t i = 0; i < count; i++) {
        struct sa_watch_place *at = places->items + places->count;
        sa_autofree char *for_dirname = sa_strdup(dirs[i]);
        sa_autofree char *for_basename = sa_strdup(dirs[i]);
        places->dirs[i] = sa_strdup(dirs[i]);
        at[0].path = sa_strdup(dirname(for_dirname));
        at[0].only = sa_strdup(basename(for_basename));
        at[1].path = sa_strdup(dirs[i]);
        at[2].path = sa_printf("%s/policies", dirs[i]);
        at[3].path = sa_printf("%s/scaling", dirs[i]);
        places->count += PLACES_EACH;
    }
}

void sa_watch_places_deinit(struct sa_watch_places *places)
{
    for (size_t i = 0; i < places->count; i++) {
        free(places->items[i].path);
        free(places->items[i].only);
    }
    for (size_t i = 0; i < places->dir_count; i++)
        free(places->dirs[i]);
    free(places->items);
    free(places->dirs);
}

/* ---- fingerprints ---- */

static uint64_t mix(uint64_t hash, const void *data, size_t length)
{
    const uint8_t *p = data; /* FNV-1a: nobody gains by a collision but the operator's own files */
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t mix_number(uint64_t hash, uint64_t number)
{
    return mix(hash, &number, sizeof number);
}

static uint64_t of_file(int dirfd, const char *folder, const char *name)
{
    struct stat st;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    hash = mix(hash, folder, strlen(folder) + 1);
    hash = mix(hash, name, strlen(name) + 1);
    if (fstatat(dirfd, name, &st, 0) < 0)
        return mix_number(hash, (uint64_t)errno);
    hash = mix_number(hash, (uint64_t)st.st_dev);
    hash = mix_number(hash, (uint64_t)st.st_ino);
    hash = mix_number(hash, (uint64_t)st.st_size);
    hash = mix_number(hash, (uint64_t)st.st_mode);
    hash = mix_number(hash, (uint64_t)st.st_mtim.tv_sec);
    hash = mix_number(hash, (uint64_t)st.st_mtim.tv_nsec);
    hash = mix_number(hash, (uint64_t)st.st_ctim.tv_sec);
    return mix_number(hash, (uint64_t)st.st_ctim.tv_nsec);
}

static bool is_rule(const char *name)
{
    size_t length = strlen(name);
    return name[0] != '.' && length > 4 && strcmp(name + length - 4, ".lua") == 0;
}

/* The sum of what is in it: a folder has no order. */
static uint64_t of_folder(const char *path)
{
    uint64_t sum = 1;
    DIR *list = opendir(path);
    if (!list)
        return (uint64_t)errno << 32;
    struct dirent *entry;
    for (int i = 0; i < ENTRIES_MAX && (entry = readdir(list)); i++)
        if (is_rule(entry->d_name))
            sum += of_file(dirfd(list), path, entry->d_name);
    closedir(list);
    return sum;
}

static uint64_t of_dir(const char *dir)
{
    sa_autofree char *policies = sa_printf("%s/policies", dir);
    sa_autofree char *scaling = sa_printf("%s/scaling", dir);
    sa_autoclose int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return (uint64_t)errno << 32;
    return mix_number(of_folder(policies), of_folder(scaling)) + of_file(fd, dir, "params.lua");
}

void sa_watch_look(const struct sa_watch_places *places, struct sa_watch_view *view)
{
    view->fingerprint = 0;
    view->ids = sa_alloc((places->count + 1) * sizeof *view->ids);
    for (size_t i = 0; i < places->count; i++) {
        struct stat st;
        if (stat(places->items[i].path, &st) == 0 && S_ISDIR(st.st_mode))
            view->ids[i] = (struct sa_watch_id){true, (uint64_t)st.st_dev, (uint64_t)st.st_ino};
    }
    for (size_t i = 0; i < places->dir_count; i++)
        view->fingerprint = mix_number(view->fingerprint, of_dir(places->dirs[i]));
}

void sa_watch_view_deinit(struct sa_watch_view *view)
{
    free(view->ids);
    *view = (struct sa_watch_view){0};
}
