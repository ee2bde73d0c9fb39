/* `secureagent delete`: resources by name, or those that manifests are about. */
#include "resource.h"
#include "wanted.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { NAMES_MAX = 1000, LOOK_AGAIN_MS = 100, TIMED_OUT = 124 };

/* clang-format off */
static const struct sa_option options[] = {
    {.name = "file", .letter = 'f', .kind = SA_OPTION_LIST, .value = "FILE",
     .help = "those in a file or folder of manifests, or - for standard input; may be repeated"},
    {.name = "wait", .kind = SA_OPTION_BOOL, .help = "until nothing of them is left"},
    {.name = "timeout", .letter = 't', .kind = SA_OPTION_DURATION, .fallback = "60s",
     .value = "TIME", .help = "wait no longer than that"},
    SA_CLIENT_OPTIONS,
};
/* clang-format on */

static const struct sa_usage usage = {
    .command = "delete",
    .usage = "secureagent delete KIND NAME... | KIND/NAME... | -f FILE [options]",
    .about = "Deletes resources. What they own goes with them, such as the pods of a pool that "
             "nobody has; a\nsandbox that has one keeps it. With --wait it exits with 124 when "
             "they are not gone in time.",
    .examples = "  secureagent delete warmpool python\n"
                "  secureagent delete -f manifests/ --wait\n"
                "  secureagent delete sandbox web\n",
};

struct deletion {
    struct sa_client *client;
    bool wait;
    int64_t end_us; /* monotonic */
};

/* 0: gone; 1: not in time. */
static int wait_gone(const struct deletion *d, const char *url, struct sa_error *err)
{
    static const struct timespec pause = {.tv_nsec = LOOK_AGAIN_MS * 1000000L};
    for (;;) {
        if (sa_resource_send(d->client, "GET", url, NULL, NULL, err) < 0)
            return err->code == SA_ENOTFOUND ? 0 : -1;
        if (sa_monotonic_us() >= d->end_us)
            return 1;
        nanosleep(&pause, NULL);
    }
}

static int check_kind(const struct sa_resource *resource, struct sa_error *err)
{
    if (resource == &sa_resource_warm_pod)
        return sa_error_set(err, SA_EINVALID,
                            "warm pods are made and deleted by the server: delete their pool or "
                            "make it smaller (minSize, maxSize), or delete the sandbox that has "
                            "one");
    if (resource == &sa_resource_pod)
        return sa_error_set(err, SA_EINVALID,
                            "pods are made and deleted by the server: delete the sandbox or the "
                            "pool that they are of");
    return 0;
}

/* An exit status, or -1. */
static int delete_one(const struct deletion *d, const struct sa_resource *resource,
                      const char *name, struct sa_error *err)
{
    sa_autofree char *url = sa_resource_url(d->client, resource, name, err);
    if (!url || sa_resource_send(d->client, "DELETE", url, NULL, NULL, err) < 0)
        return -1;
    /* Of a sandbox nothing is left when the answer comes; its record stays. */
    int rc = d->wait && resource != &sa_resource_sandbox ? wait_gone(d, url, err) : 0;
    if (rc < 0)
        return -1;
    printf("%s/%s deleted\n", resource->singular, name);
    if (rc == 0)
        return 0;
    fprintf(stderr, "secureagent %s: %s/%s is marked for deletion, but not gone yet\n",
            usage.command, resource->singular, name);
    return TIMED_OUT;
}

/* Goes on after a failure; the exit status is that of the last one. */
static void delete_and_tell(const struct deletion *d, const struct sa_resource *resource,
                            const char *name, int *status)
{
    struct sa_error error;
    int rc = delete_one(d, resource, name, &error);
    if (rc < 0)
        rc = sa_command_fail(&usage, &error);
    if (rc)
        *status = rc;
}

static int delete_named(const struct deletion *d, struct sa_invocation *in, struct sa_error *err)
{
    const char *names[NAMES_MAX];
    const struct sa_resource *resource;
    size_t count;
    int status = 0;
    if (sa_targets_read(in->args, in->arg_count, &resource, names, &count, err) < 0 ||
        check_kind(resource, err) < 0)
        return -1;
    if (!count)
        return sa_command_misused(&usage, "which %s?", sa_resource_path(resource));
    for (size_t i = 0; i < count; i++)
        delete_and_tell(d, resource, names[i], &status);
    return status;
}

/* Last made, first deleted. */
static int delete_wanted(const struct deletion *d, char *const *paths, size_t count,
                         struct sa_error *err)
{
    struct sa_wanted wanted;
    int status = sa_wanted_read(paths, count, SA_WANTED_NAMES, &usage, &wanted, err);
    for (size_t i = wanted.count; status >= 0 && i-- > 0;)
        delete_and_tell(d, wanted.items[i].resource, wanted.items[i].name, &status);
    sa_wanted_deinit(&wanted);
    return status;
}

static int delete_those(struct sa_invocation *in, struct sa_error *err)
{
    char *const *paths;
    size_t count = sa_config_list(in->config, "file", &paths);
    const struct deletion d = {.client = in->client,
                               .wait = sa_config_bool(in->config, "wait"),
                               .end_us =
                                   sa_monotonic_us() + sa_config_ms(in->config, "timeout") * 1000};
    if ((count > 0) == (in->arg_count > 0))
        return sa_command_misused(&usage, count ? "either names or -f" : "what?");
    return count ? delete_wanted(&d, paths, count, err) : delete_named(&d, in, err);
}

const struct sa_command sa_command_delete = {.name = "delete",
                                             .summary = "delete resources",
                                             .usage = &usage,
                                             .most = NAMES_MAX,
                                             .body = delete_those,
                                             .options = options,
                                             .option_count = SA_COUNT(options),
                                             .takes_kind = true};
