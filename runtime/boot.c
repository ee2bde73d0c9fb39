#include "boot.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/fdio.h"
#include "link/methods.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum { TEXT_MAX = 32 * 1024 };

static const struct {
    const char *name;
    int resource;
} limit_names[] = {
    {"as", RLIMIT_AS},           {"core", RLIMIT_CORE},
    {"cpu", RLIMIT_CPU},         {"data", RLIMIT_DATA},
    {"fsize", RLIMIT_FSIZE},     {"locks", RLIMIT_LOCKS},
    {"memlock", RLIMIT_MEMLOCK}, {"msgqueue", RLIMIT_MSGQUEUE},
    {"nice", RLIMIT_NICE},       {"nofile", RLIMIT_NOFILE},
    {"nproc", RLIMIT_NPROC},     {"rss", RLIMIT_RSS},
    {"rtprio", RLIMIT_RTPRIO},   {"sigpending", RLIMIT_SIGPENDING},
    {"stack", RLIMIT_STACK},
};

const char *sa_rlimit_name(int resource)
{
    for (size_t i = 0; i < SA_COUNT(limit_names); i++)
        if (limit_names[i].resource == resource)
            return limit_names[i].name;
    return "?";
}

static int parse_limit(const char **text, char end, rlim_t *value)
{
    const char *p = *text;
    if (!strncmp(p, "unlimited", 9)) {
        *value = RLIM_INFINITY;
        p += 9;
    } else {
        rlim_t v = 0;
        if (*p < '0' || *p > '9')
            return -1;
        for (; *p >= '0' && *p <= '9'; p++)
            if (__builtin_mul_overflow(v, 10, &v) ||
                __builtin_add_overflow(v, (rlim_t)(*p - '0'), &v))
                return -1;
        *value = v;
    }
    *text = p;
    return *p == end || *p == '\0' ? 0 : -1;
}

int sa_rlimits_add(struct sa_rlimits *limits, const char *text, struct sa_error *err)
{
    struct sa_rlimit item = {-1, {0, 0}};
    const char *equals = strchr(text, '=');
    size_t length = equals ? (size_t)(equals - text) : 0;
    for (size_t i = 0; i < SA_COUNT(limit_names); i++)
        if (strlen(limit_names[i].name) == length && !memcmp(limit_names[i].name, text, length))
            item.resource = limit_names[i].resource;
    if (item.resource < 0)
        return sa_error_at(err, SA_EINVALID, "rlimit", "\"%.60s\": unknown limit", text);
    const char *p = equals + 1;
    int bad = parse_limit(&p, ':', &item.limit.rlim_cur);
    item.limit.rlim_max = item.limit.rlim_cur;
    if (!bad && *p == ':') {
        p++;
        bad = parse_limit(&p, '\0', &item.limit.rlim_max);
    }
    if (bad || item.limit.rlim_cur > item.limit.rlim_max)
        return sa_error_at(err, SA_EINVALID, "rlimit",
                           "\"%.60s\": expected name=soft or name=soft:hard", text);
    if (limits->count == SA_RLIMITS_MAX)
        return sa_error_at(err, SA_ETOOLARGE, "rlimit", "more than %d limits", SA_RLIMITS_MAX);
    limits->items[limits->count++] = item;
    return 0;
}

const struct sa_filter *sa_boot_filter(const struct sa_boot *boot, const char *name)
{
    for (size_t i = 0; i < boot->filter_count; i++)
        if (!strcmp(boot->filters[i].name, name))
            return &boot->filters[i];
    return NULL;
}

static int add_env(struct sa_boot *boot, const struct sa_field *f, struct sa_error *err)
{
    if (boot->env_count == SA_BOOT_ENV_MAX)
        return sa_error_set(err, SA_ETOOLARGE, "more than %d variables", SA_BOOT_ENV_MAX);
    char *text;
    if (sa_field_text(f, TEXT_MAX, &text, err) < 0)
        return -1;
    boot->env[boot->env_count++] = text;
    if (text[0] == '=' || !strchr(text, '='))
        return sa_error_set(err, SA_EINVALID, "\"%.40s\" is not NAME=value", text);
    return 0;
}

static int open_root(struct sa_root *root, const struct sa_field *f, bool writable,
                     struct sa_error *err)
{
    char *path;
    if (sa_field_text(f, 4000, &path, err) < 0)
        return -1;
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        path[--length] = '\0';
    *root = (struct sa_root){.path = path, .length = length, .writable = writable};
    if (path[0] != '/')
        return sa_error_set(err, SA_EINVALID, "root \"%s\" is not absolute", path);
    root->fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root->fd < 0)
        return sa_error_sys(err, SA_ENOTFOUND, errno, "root %s", path);
    return 0;
}

static int add_root(struct sa_boot *boot, const struct sa_field *f, bool writable,
                    struct sa_error *err)
{
    if (boot->root_count == SA_BOOT_ROOTS_MAX)
        return sa_error_set(err, SA_ETOOLARGE, "more than %d roots", SA_BOOT_ROOTS_MAX);
    return open_root(&boot->roots[boot->root_count++], f, writable, err);
}

static int add_scratch(struct sa_boot *boot, const struct sa_field *f, struct sa_error *err)
{
    if (boot->scratch_count == SA_BOOT_SCRATCH_MAX)
        return sa_error_set(err, SA_ETOOLARGE, "more than %d scratch folders", SA_BOOT_SCRATCH_MAX);
    return open_root(&boot->scratch[boot->scratch_count++], f, true, err);
}

static int add_filter(struct sa_boot *boot, const struct sa_field *f, struct sa_error *err)
{
    if (boot->filter_count == SA_BOOT_FILTERS_MAX)
        return sa_error_set(err, SA_ETOOLARGE, "more than %d filters", SA_BOOT_FILTERS_MAX);
    struct sa_filter *filter = &boot->filters[boot->filter_count++];
    struct sa_fields reader;
    struct sa_field in;
    int more;
    sa_fields_init(&reader, f->data, f->length);
    while ((more = sa_fields_next(&reader, &in, err)) > 0) {
        if (in.tag == SA_FILTER_NAME) {
            char *name;
            if (sa_field_text(&in, 63, &name, err) < 0)
                return -1;
            filter->name = name;
        } else if (in.tag == SA_FILTER_PROGRAM) {
            size_t count = in.length / sizeof(struct sock_filter);
            if (in.length % sizeof(struct sock_filter) || !count || count > BPF_MAXINSNS)
                return sa_error_set(err, SA_EINVALID, "filter program of %zu bytes", in.length);
            filter->program.len = (unsigned short)count;
            filter->program.filter = sa_alloc(in.length);
            memcpy(filter->program.filter, in.data, in.length);
        }
    }
    if (more == 0 && (!filter->name || !filter->program.len))
        return sa_error_set(err, SA_EINVALID, "filter without name or program");
    return more;
}

static int add_rlimit(struct sa_boot *boot, const struct sa_field *f, struct sa_error *err)
{
    char text[128];
    if (sa_field_text_into(f, text, sizeof text, err) < 0)
        return -1;
    return sa_rlimits_add(&boot->rlimits, text, err);
}

static int set_oom_score(struct sa_boot *boot, const struct sa_field *f, struct sa_error *err)
{
    int64_t score;
    if (sa_field_int(f, &score, err) < 0)
        return -1;
    if (score < -1000 || score > 1000)
        return sa_error_set(err, SA_EINVALID, "oom score %lld", (long long)score);
    boot->oom_score = (int)score;
    return 0;
}

static int set_orphan(struct sa_boot *boot, const struct sa_field *f, struct sa_error *err)
{
    if (sa_field_int(f, &boot->orphan_ms, err) < 0)
        return -1;
    if (boot->orphan_ms < 1 || boot->orphan_ms > 24 * 3600 * 1000)
        return sa_error_set(err, SA_EINVALID, "orphan after %lld ms", (long long)boot->orphan_ms);
    return 0;
}

static int add(struct sa_boot *boot, const struct sa_field *f, struct sa_error *err)
{
    switch (f->tag) {
    case SA_BOOT_ENV:
        return add_env(boot, f, err);
    case SA_BOOT_ROOT:
        return add_root(boot, f, true, err);
    case SA_BOOT_READ_ROOT:
        return add_root(boot, f, false, err);
    case SA_BOOT_FILTER:
        return add_filter(boot, f, err);
    case SA_BOOT_OOM_SCORE:
        return set_oom_score(boot, f, err);
    case SA_BOOT_ORPHAN_MS:
        return set_orphan(boot, f, err);
    case SA_BOOT_RLIMIT:
        return add_rlimit(boot, f, err);
    case SA_BOOT_SCRATCH:
        return add_scratch(boot, f, err);
    default:
        if (f->tag & SA_FIELD_CRITICAL)
            return sa_error_set(err, SA_EINVALID, "unknown critical field %u", f->tag);
        return 0;
    }
}

static int read_block(int fd, struct sa_buf *block, struct sa_error *err)
{
    for (;;) {
        ssize_t n = read(fd, sa_buf_reserve(block, 16384), 16384);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return sa_error_sys(err, SA_EINVALID, errno, "cannot read descriptor %d", fd);
        if (n == 0)
            return 0;
        block->length += (size_t)n;
        if (block->length > SA_BOOT_BYTES_MAX)
            return sa_error_set(err, SA_ETOOLARGE, "longer than %d bytes", SA_BOOT_BYTES_MAX);
    }
}

int sa_boot_read(struct sa_boot *boot, int fd, struct sa_error *err)
{
    sa_autobuf block = SA_BUF_INIT;
    struct sa_fields reader;
    struct sa_field f;
    int more;
    *boot = (struct sa_boot){.oom_score = 500, .orphan_ms = SA_BOOT_ORPHAN_DEFAULT_MS};
    lseek(fd, 0, SEEK_SET); /* the launcher may have left it at the end; a pipe does not mind */
    if (read_block(fd, &block, err) < 0)
        return -1;
    sa_fields_init(&reader, block.data, block.length);
    while ((more = sa_fields_next(&reader, &f, err)) > 0)
        if (add(boot, &f, err) < 0)
            return -1;
    if (more < 0)
        return -1;
    if (!boot->root_count || !boot->roots[0].writable)
        return sa_error_set(err, SA_EINVALID, "the first root must be a writable one");
    return 0;
}
