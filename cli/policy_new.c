/* `secureagent policy new`: a rule to begin with, its test, and what editors need. */
#include "policy.h"
#include "policy_templates.h"

#include "base/cleanup.h"
#include "base/fdio.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { NAME_MAX_BYTES = 40 }; /* "policies/NAME_test.lua" is short enough for every message */

static const struct sa_option options[] = {
    {.name = "point",
     .kind = SA_OPTION_STRING,
     .value = "POINT",
     .help = "the decision point it is for; `secureagent policy schema` tells of each"},
    {.name = "dir",
     .kind = SA_OPTION_PATH,
     .fallback = ".",
     .value = "DIR",
     .help = "the folder of rules, as for `up --policy-dir`; it is made when missing"},
};

static const struct sa_usage usage = {
    .command = "policy new",
    .usage = "secureagent policy new NAME --point POINT [options]",
    .about =
        "Writes a rule that works, and its test, to be changed into the one that is needed: "
        "DIR/policies/NAME.lua\n(scaling: DIR/scaling/NAME.lua) and NAME_test.lua. For "
        "editors and luacheck it also writes DIR/.luarc.json,\nDIR/.luacheckrc and DIR/library, "
        "where they are missing. Nothing is overwritten.",
    .examples = "  secureagent policy new deny-miners --point execute --dir rules\n"
                "  secureagent policy new 20-labels --point admission --dir rules\n",
};

/* Letters, digits and dashes, as the worker wants it. */
static int check_name(const char *name, struct sa_error *err)
{
    size_t length = strlen(name);
    if (length == 0 || length > NAME_MAX_BYTES ||
        strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != length || name[0] == '-')
        return sa_error_at(err, SA_EINVALID, "name",
                           "\"%.80s\" is no name for a rule: small letters, digits and dashes, at "
                           "most %d",
                           name, NAME_MAX_BYTES);
    return 0;
}

static int make_folder(const char *path, struct sa_error *err)
{
    if (mkdir(path, 0777) < 0 && errno != EEXIST)
        return sa_error_sys(err, SA_EUNAVAILABLE, errno, "making %s", path);
    return 0;
}

/* SA_ECONFLICT: it is there. */
static int write_new(const char *path, const struct sa_buf *text, struct sa_error *err)
{
    sa_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0 && errno == EEXIST)
        return sa_error_set(err, SA_ECONFLICT, "%s is there already: nothing was written", path);
    if (fd < 0 || sa_write_all(fd, text->data, text->length) < 0)
        return sa_error_sys(err, SA_EUNAVAILABLE, errno, "writing %s", path);
    return 0;
}

static const struct sa_embedded *find_file(const char *name)
{
    for (const struct sa_embedded *one = sa_policy_templates; one->name; one++)
        if (strcmp(one->name, name) == 0)
            return one;
    return NULL;
}

static void fill_in(const struct sa_embedded *template, const char *name, struct sa_buf *out)
{
    static const char mark[] = "@NAME@";
    const char *text = (const char *)template->data, *end = text + template->length, *at;
    while ((at = memmem(text, (size_t)(end - text), mark, sizeof mark - 1))) {
        sa_buf_add(out, text, (size_t)(at - text));
        sa_buf_adds(out, name);
        text = at + sizeof mark - 1;
    }
    sa_buf_add(out, text, (size_t)(end - text));
}

/* What is there stays as it is: somebody may have made it their own. */
static int write_settings(const char *dir, struct sa_error *err)
{
    static const char *const names[] = {".luarc.json", ".luacheckrc", "library/secureagent.lua",
                                        "library/helpers.lua"};
    sa_autofree char *library = sa_printf("%s/library", dir);
    if (make_folder(library, err) < 0)
        return -1;
    for (size_t i = 0; i < SA_COUNT(names); i++) {
        sa_autofree char *shipped = sa_printf("lua/%s", names[i]);
        sa_autofree char *path = sa_printf("%s/%s", dir, names[i]);
        sa_autobuf text = SA_BUF_INIT;
        struct sa_error error;
        fill_in(find_file(shipped), "", &text);
        if (write_new(path, &text, &error) < 0 && error.code != SA_ECONFLICT) {
            *err = error;
            return -1;
        }
    }
    return 0;
}

static int write_rule(const char *dir, const char *name, enum sa_point point, struct sa_error *err)
{
    static const char *const ends[] = {".lua", "_test.lua"};
    const char *folder = point == SA_POINT_SCALING ? "scaling" : "policies";
    sa_autofree char *inside = sa_printf("%s/%s", dir, folder);
    if (make_folder(dir, err) < 0 || make_folder(inside, err) < 0)
        return -1;
    for (size_t i = 0; i < SA_COUNT(ends); i++) {
        sa_autofree char *shipped =
            sa_printf("cli/policy_templates/%s%s", sa_policy_points[point].name, ends[i]);
        const struct sa_embedded *template = find_file(shipped);
        sa_autofree char *path = sa_printf("%s/%s%s", inside, name, ends[i]);
        sa_autobuf text = SA_BUF_INIT;
        if (!template)
            return sa_error_set(err, SA_EINTERNAL, "there is no template of %s",
                                sa_policy_points[point].name);
        fill_in(template, name, &text);
        if (write_new(path, &text, err) < 0)
            return -1;
        puts(path);
    }
    return write_settings(dir, err);
}

/* Returns an exit status, or -1. */
static int new_rule(struct sa_invocation *in, struct sa_error *err)
{
    enum sa_point point = SA_POINT_COUNT;
    const char *given = sa_config_string(in->config, "point");
    if (!in->arg_count)
        return sa_command_misused(&usage, "expected the name of the rule");
    if (!given)
        return sa_command_misused(&usage, "for which decision point? (--point)");
    if (check_name(in->args[0], err) < 0 || sa_policy_point_read(given, &point, err) < 0)
        return -1;
    return write_rule(sa_config_string(in->config, "dir"), in->args[0], point, err);
}

const struct sa_command sa_command_policy_new = {.name = "new",
                                                 .summary = "a rule to begin with, and its test",
                                                 .usage = &usage,
                                                 .most = 1,
                                                 .local = true,
                                                 .body = new_rule,
                                                 .options = options,
                                                 .option_count = SA_COUNT(options)};
