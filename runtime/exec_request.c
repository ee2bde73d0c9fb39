/* Decoding of an EXEC request, and the memfd that holds its code. */
#include "base/arena.h"
#include "base/cleanup.h"
#include "base/fdio.h"
#include "exec.h"
#include "setup.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

#define KERNEL_FILE "/etc/secureagent/kernels/python.py"

static char term[] = "TERM=xterm-256color"; /* where a terminal is not told its kind */

static void append(struct exec_texts *list, char *text)
{
    if (!list->items || list->count + 1 >= list->capacity) {
        list->capacity = list->capacity ? list->capacity * 2 : 32;
        list->items = sa_realloc(list->items, list->capacity * sizeof *list->items);
    }
    char **end = list->items + list->count++;
    end[0] = text;
    end[1] = NULL;
}

static int add_text(struct exec_texts *list, size_t max, const struct sa_field *f, const char *what,
                    struct sa_error *err)
{
    char *text;
    if (list->count == max)
        return sa_error_at(err, SA_ETOOLARGE, what, "more than %zu", max);
    if (sa_field_text(f, EXEC_TEXT_MAX - 1, &text, err) < 0)
        return -1;
    append(list, text);
    return 0;
}

/* A later setting of the same name replaces an earlier one. */
static int add_env(struct exec_request *r, const struct sa_field *f, struct sa_error *err)
{
    if (add_text(&r->env, EXEC_ENV_MAX, f, "env", err) < 0)
        return -1;
    char *added = r->env.items[r->env.count - 1];
    r->env_own = r->env.count;
    if (added[0] == '=' || !strchr(added, '='))
        return sa_error_at(err, SA_EINVALID, "env", "\"%.60s\" is not NAME=value", added);
    for (size_t i = 0; i + 1 < r->env.count; i++) {
        if (sa_setup_same_name(r->env.items[i], added)) {
            free(r->env.items[i]);
            r->env.items[i] = added;
            r->env_own = --r->env.count;
            break;
        }
    }
    return 0;
}

static bool has_term(const struct exec_request *r)
{
    for (size_t i = 0; i < r->env.count; i++)
        if (sa_setup_same_name(term, r->env.items[i]))
            return true;
    return false;
}

static void add_common_env(struct exec_request *r)
{
    for (char **common = sa_setup_env(); *common; common++) {
        bool replaced = false;
        for (size_t i = 0; i < r->env_own && !replaced; i++)
            replaced = sa_setup_same_name(*common, r->env.items[i]);
        if (!replaced)
            append(&r->env, *common);
    }
    if (r->window && !has_term(r))
        append(&r->env, term);
    if (!r->env.items)
        append(&r->env, NULL);
}

/* Seal the memfd, and open it for reading only where /proc allows it. */
static int seal_code(struct exec_request *r, struct sa_error *err)
{
    char path[32];
    if (lseek(r->code_fd, 0, SEEK_SET) < 0 ||
        fcntl(r->code_fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) <
            0)
        return sa_error_sys(err, SA_EUNAVAILABLE, errno, "code");
    snprintf(path, sizeof path, "/proc/self/fd/%d", r->code_fd);
    int reader = open(path, O_RDONLY | O_CLOEXEC);
    if (reader >= 0) {
        close(r->code_fd);
        r->code_fd = reader;
    }
    return 0;
}

ssize_t exec_request_code(struct exec_request *r, const void *data, size_t length,
                          struct sa_error *err)
{
    size_t take = length < (size_t)r->code_left ? length : (size_t)r->code_left;
    if (sa_write_all(r->code_fd, data, take) < 0)
        return sa_error_sys(err, errno == ENOSPC ? SA_EQUOTA : SA_EUNAVAILABLE, errno, "code");
    r->code_left -= (int64_t)take;
    if (r->code_left == 0 && seal_code(r, err) < 0)
        return -1;
    return (ssize_t)take;
}

static int get_number(const struct sa_field *f, const char *what, int64_t min, int64_t max,
                      int64_t *value, struct sa_error *err)
{
    if (sa_field_int(f, value, err) < 0)
        return -1;
    if (*value < min || *value > max)
        return sa_error_at(err, SA_EINVALID, what, "%lld is not from %lld to %lld",
                           (long long)*value, (long long)min, (long long)max);
    return 0;
}

static int get_code(struct exec_request *r, const struct sa_field *f, struct sa_error *err)
{
    if (r->code_fd >= 0)
        return sa_error_at(err, SA_EINVALID, "code", "given twice");
    if (get_number(f, "code", 1, SA_EXEC_CODE_MAX, &r->code_left, err) < 0)
        return -1;
    r->code_fd = memfd_create("code", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (r->code_fd < 0)
        r->code_fd = memfd_create("code", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (r->code_fd < 0)
        return sa_error_sys(err, SA_EUNAVAILABLE, errno, "code: memfd");
    return 0;
}

static int get_filter(struct exec_request *r, const struct sa_field *f, struct sa_error *err)
{
    char name[64];
    if (sa_field_text_into(f, name, sizeof name, err) < 0)
        return -1;
    r->filter = sa_boot_filter(&sa_boot, name);
    if (!r->filter)
        return sa_error_at(err, SA_ECONTROL, "seccomp", "there is no filter \"%s\"", name);
    return 0;
}

static int get_template(struct exec_request *r, const struct sa_field *f, struct sa_error *err)
{
    char name[64];
    if (sa_field_text_into(f, name, sizeof name, err) < 0)
        return -1;
    if (strcmp(name, "python") != 0)
        return sa_error_at(err, SA_EINVALID, "template", "there is no template \"%s\"", name);
    r->template = true;
    return 0;
}

static int get_warm(struct exec_request *r, const struct sa_field *f, struct sa_error *err)
{
    int64_t value;
    if (get_number(f, "warm", 0, 1, &value, err) < 0)
        return -1;
    r->warm = value;
    return 0;
}

/* The template knows contexts, programs of this form, and no terminals. */
static bool fits_template(const struct exec_request *r)
{
    char **argv = r->argv.items;
    if (r->control)
        return r->argv.count == 2 && strcmp(argv[1], KERNEL_FILE) == 0 && !r->window;
    return r->argv.count == 3 && strcmp(argv[1], "-c") == 0 && !r->window;
}

bool exec_window_valid(int64_t window)
{
    int64_t rows = window >> 16, columns = window & 0xffff;
    return rows >= 1 && rows <= EXEC_WINDOW_MAX && columns >= 1 && columns <= EXEC_WINDOW_MAX;
}

static int get_window(struct exec_request *r, const struct sa_field *f, struct sa_error *err)
{
    if (sa_field_int(f, &r->window, err) < 0)
        return -1;
    if (!exec_window_valid(r->window))
        return sa_error_at(err, SA_EINVALID, "tty", "rows and columns are from 1 to %d",
                           EXEC_WINDOW_MAX);
    return 0;
}

static int get_control(struct exec_request *r, const struct sa_field *f, struct sa_error *err)
{
    int64_t number;
    if (get_number(f, "control", 0, 1, &number, err) < 0)
        return -1;
    r->control = number;
    return 0;
}

static int get_rlimit(struct exec_request *r, const struct sa_field *f, struct sa_error *err)
{
    char text[128];
    if (sa_field_text_into(f, text, sizeof text, err) < 0)
        return -1;
    return sa_rlimits_add(&r->limits, text, err);
}

static int get_field(struct exec_request *r, const struct sa_field *f, struct sa_error *err)
{
    int64_t number;
    switch (f->tag) {
    case SA_EXEC_ARGV:
        return add_text(&r->argv, EXEC_ARGS_MAX, f, "command", err);
    case SA_EXEC_ENV:
        return add_env(r, f, err);
    case SA_EXEC_CWD:
        free(r->cwd);
        r->cwd = NULL;
        return sa_field_text(f, 4095, &r->cwd, err);
    case SA_EXEC_STDIN:
        if (get_number(f, "stdin", 0, 1, &number, err) < 0)
            return -1;
        r->stdin_pipe = number;
        return 0;
    case SA_EXEC_TIMEOUT_MS:
        return get_number(f, "timeoutMs", 1, EXEC_TIME_MAX_MS, &r->timeout_ms, err);
    case SA_EXEC_GRACE_MS:
        return get_number(f, "graceMs", 0, EXEC_TIME_MAX_MS, &r->grace_ms, err);
    case SA_EXEC_FILTER:
        return get_filter(r, f, err);
    case SA_EXEC_CODE_BYTES:
        return get_code(r, f, err);
    case SA_EXEC_OUT_MAX:
        return get_number(f, "outMax", 0, INT64_MAX, &r->out_max, err);
    case SA_EXEC_RLIMIT:
        return get_rlimit(r, f, err);
    case SA_EXEC_TEMPLATE:
        return get_template(r, f, err);
    case SA_EXEC_WARM:
        return get_warm(r, f, err);
    case SA_EXEC_IMPORT:
        return add_text(&r->imports, SA_TEMPLATE_IMPORTS_MAX, f, "imports", err);
    case SA_EXEC_TTY:
        return get_window(r, f, err);
    case SA_EXEC_CONTROL:
        return get_control(r, f, err);
    default:
        if (f->tag & SA_FIELD_CRITICAL)
            return sa_error_set(err, SA_EINVALID, "EXEC: unknown critical field %u", f->tag);
        return 0;
    }
}

/* Empty means the default folder, and a relative one starts there. */
static void complete_cwd(struct exec_request *r)
{
    const char *base = sa_boot.roots[0].path;
    if (r->cwd && r->cwd[0] == '/')
        return;
    char *whole = r->cwd && r->cwd[0] ? sa_printf("%s/%s", base, r->cwd) : sa_strdup(base);
    free(r->cwd);
    r->cwd = whole;
}

int exec_request_decode(struct exec_request *r, const void *body, size_t length,
                        struct sa_error *err)
{
    struct sa_fields reader;
    struct sa_field f;
    int more;
    r->code_fd = -1;
    r->grace_ms = EXEC_GRACE_MS;
    r->out_max = INT64_C(1) << 30;
    sa_fields_init(&reader, body, length);
    while ((more = sa_fields_next(&reader, &f, err)) > 0)
        if (get_field(r, &f, err) < 0)
            return -1;
    if (more < 0)
        return -1;
    if (!r->argv.count || !r->argv.items[0][0])
        return sa_error_at(err, SA_EINVALID, "command", "no program is named");
    if (!r->filter)
        r->filter = sa_boot_filter(&sa_boot, "default");
    if (!r->filter)
        return sa_error_at(err, SA_ECONTROL, "seccomp", "there is no filter \"default\"");
    if (r->control && r->code_fd >= 0)
        return sa_error_at(err, SA_EINVALID, "control", "cannot be combined with code");
    r->template = r->template && fits_template(r);
    complete_cwd(r);
    add_common_env(r);
    return 0;
}

void exec_request_deinit(struct exec_request *r)
{
    for (size_t i = 0; i < r->argv.count; i++)
        free(r->argv.items[i]);
    for (size_t i = 0; i < r->env_own; i++)
        free(r->env.items[i]);
    for (size_t i = 0; i < r->imports.count; i++)
        free(r->imports.items[i]);
    free(r->imports.items);
    free(r->argv.items);
    free(r->env.items);
    free(r->cwd);
    if (r->code_fd >= 0)
        close(r->code_fd);
}
