#include "profiles.h"

#include "base/arena.h"
#include "base/cleanup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void list_add(struct sa_text_list *list, const char *text)
{
    list->items = sa_realloc(list->items, (list->count + 1) * sizeof *list->items);
    list->items[list->count++] = sa_strdup(text);
}

void list_clear(struct sa_text_list *list)
{
    while (list->count)
        free(list->items[--list->count]);
}

static void add_all(struct sa_text_list *list, const char *words)
{
    char *copy = sa_strdup(words), *rest = copy;
    for (char *word; (word = strtok_r(rest, " ", &rest));)
        list_add(list, word);
    free(copy);
}

struct sa_profile_filter *filter_of(struct sa_profile *p, const char *language)
{
    for (size_t i = 0; i < p->filter_count; i++)
        if (strcmp(p->filters[i].language, language) == 0)
            return &p->filters[i];
    return NULL;
}

void profile_default(struct sa_profile *p)
{
    static const char common[] = "@io @files @xattr @memory @process @ids @signals @time @timers "
                                 "@sync @sched @poll @net @inotify ";
    static const struct {
        const char *language, *more;
    } filters[] = {
        {"base", "@numa @pkeys @aio @sysv @mqueue @self"},
        {"default", "@numa @pkeys @aio @sysv @mqueue @self"},
        {"python", "@numa @sysv"},
        {"node", "@pkeys"},
        {"bash", "@sysv"},
        {"go", ""},
    };
    memset(p, 0, sizeof *p);
    snprintf(p->id, sizeof p->id, "0123456789abcdef");
    p->uid = p->gid = 1000;
    p->open_files = 65536;
    p->flags = SA_PROFILE_FLAGS_ALL;
    add_all(&p->writable, "/workspace /tmp /home/user /dev/shm");
    add_all(&p->landlock, "/workspace /tmp /home/user /dev/shm");
    add_all(&p->devices, "null zero full random urandom tty");
    for (size_t i = 0; i < SA_COUNT(filters); i++) {
        struct sa_profile_filter *f = &p->filters[p->filter_count++];
        snprintf(f->language, sizeof f->language, "%s", filters[i].language);
        add_all(&f->allow, common);
        add_all(&f->allow, filters[i].more);
    }
}
