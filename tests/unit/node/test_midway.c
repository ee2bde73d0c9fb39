/*
 * kill -9 of a node in the midst of creating and of destroying, over and over: the next node has
 * what was made, whole, and nothing else is left of anything: no process, control group, record,
 * door, or id range.
 */
#include "harness.h"

#include "profiles.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "native/native.h"

#include <ctype.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 12, AT_ONCE = 4, PATIENCE_MS = 60000 };

static struct node node;
static uid_t as_uid; /* 0: as we are */
static unsigned seed;

static bool privileged(void)
{
    return geteuid() == 0 && as_uid == 0;
}

static int start(void **state)
{
    (void)state;
    node_start(&node, as_uid, SA_TEST_RUNTIME);
    seed = (unsigned)sa_monotonic_us();
    print_message("seed %u\n", seed);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    node_finish(&node);
    return 0;
}

/* Dies at any moment of what it was asked last. */
static void kill_soon(void)
{
    usleep((useconds_t)(rand_r(&seed) % 6000));
    node_restart(&node);
}

static void know_profile(void)
{
    struct sa_profile profile;
    struct reply r;
    profile_default(&profile);
    node_profile(&node, &profile, &r);
    assert_int_equal(r.type, SA_NODE_DONE);
    sa_profile_deinit(&profile);
}

/* ---- what is left ---- */

/* Files in the state folder. */
static int files(void)
{
    char path[96];
    int count = 0;
    snprintf(path, sizeof path, "%s/state", node.folder);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (struct dirent *e; (e = readdir(folder));)
        count += e->d_name[0] != '.';
    closedir(folder);
    return count;
}

static bool names_folder(const char *pid)
{
    char path[300], line[512];
    snprintf(path, sizeof path, "/proc/%s/cmdline", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    const size_t n = fread(line, 1, sizeof line, file);
    fclose(file);
    return memmem(line, n, node.folder, strlen(node.folder)) != NULL;
}

/* Processes that an earlier node made: half-made sandboxes have its command line; as a user of its
 * own, whatever runs is of this test; and as root groups tell the rest. */
static int processes(void)
{
    int count = 0;
    DIR *proc = opendir("/proc");
    for (struct dirent *e; (e = readdir(proc));) {
        char parent[32], uid[64], state[32];
        const pid_t pid = isdigit((unsigned char)e->d_name[0]) ? (pid_t)atoi(e->d_name) : 0;
        if (!pid || pid == node.pid || pid == getpid())
            continue;
        status_line(pid, "PPid:", parent, sizeof parent);
        status_line(pid, "Uid:", uid, sizeof uid);
        status_line(pid, "State:", state, sizeof state);
        if (!*state || *state == 'Z' || atoi(parent) == node.pid)
            continue;
        count += names_folder(e->d_name) || (as_uid && strtol(uid, NULL, 10) == (long)as_uid);
    }
    closedir(proc);
    return count;
}

static void nothing_is_left(char ids[][SA_ID_BYTES], size_t count)
{
    const int64_t until = sa_monotonic_ms() + PATIENCE_MS;
    while ((files() || processes()) && sa_monotonic_ms() < until)
        usleep(5000);
    assert_int_equal(files(), 0);
    assert_int_equal(processes(), 0);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(cgroups_of(node.state, ids[i]), 0);
}

/* What the node has answers, and goes. */
static void end_all(void)
{
    struct reply r;
    for (;;) {
        node_answer(&node, node_send(&node, SA_NODE_LIST, NULL), &r);
        assert_int_equal(r.type, SA_NODE_LIST_REPLY);
        if (!r.ids)
            return;
        char id[SA_ID_BYTES];
        memcpy(id, r.id, sizeof id); /* the last one */
        node_answer(&node, node_send_id(&node, SA_NODE_ATTACH, id), &r);
        assert_int_equal(r.type, SA_NODE_CREATED);
        expect(r.fd, "echo whole", "whole\n");
        close(r.fd);
        node_destroy(&node, id);
    }
}

/* ---- tests ---- */

static void test_while_creating(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        char ids[AT_ONCE][SA_ID_BYTES];
        for (int i = 0; i < AT_ONCE; i++) {
            struct sa_node_spec spec;
            spec_default(&spec);
            memcpy(ids[i], spec.id, SA_ID_BYTES);
            node_send_create(&node, &spec);
        }
        kill_soon();
        end_all();
        nothing_is_left(ids, AT_ONCE);
        know_profile();
    }
}

static void test_while_destroying(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        char ids[AT_ONCE][SA_ID_BYTES];
        struct reply r;
        for (int i = 0; i < AT_ONCE; i++) {
            struct sa_node_spec spec;
            spec_default(&spec);
            memcpy(ids[i], spec.id, SA_ID_BYTES);
            const int link = node_create(&node, &spec, NULL);
            run(link, NULL, 0, "setsid sleep 1000 & echo");
            close(link);
        }
        if (privileged() && round % 3 == 0) { /* version 1 does not let them die as they are */
            node_answer(&node, node_send_id(&node, SA_NODE_FREEZE, ids[0]), &r);
            assert_int_equal(r.type, SA_NODE_DONE);
        }
        for (int i = 0; i < AT_ONCE; i++)
            node_send_id(&node, SA_NODE_DESTROY, ids[i]);
        kill_soon();
        for (int i = 0; i < AT_ONCE; i++) /* who asked does not know what became of it */
            node_destroy(&node, ids[i]);
        nothing_is_left(ids, AT_ONCE);
        know_profile();
    }
}

#define WITH_NODE(test) cmocka_unit_test_setup_teardown(test, start, finish)

static const struct CMUnitTest tests[] = {
    WITH_NODE(test_while_creating),
    WITH_NODE(test_while_destroying),
};

int main(void)
{
    int failures = cmocka_run_group_tests_name("as the caller", tests, NULL, NULL);
    if (geteuid() == 0) {
        as_uid = (uid_t)(64000 + getpid() % 1000); /* nobody else's */
        failures += cmocka_run_group_tests_name("unprivileged", tests, NULL, NULL);
    }
    return failures;
}
