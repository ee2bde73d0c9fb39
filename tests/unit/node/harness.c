/* The control plane's side, for tests. */
#include "harness.h"

#include "profiles.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "base/unix.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 60000 };

static void copy_program(const char *from, const char *folder, const char *name)
{
    char to[256];
    struct sa_buf contents = SA_BUF_INIT;
    snprintf(to, sizeof to, "%s/%s", folder, name);
    assert_int_equal(sa_read_file(AT_FDCWD, from, 256 << 20, &contents, NULL), 0);
    int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0755);
    assert_true(fd >= 0);
    assert_int_equal(sa_write_all(fd, contents.data, contents.length), 0);
    assert_int_equal(fchmod(fd, 0755), 0);
    close(fd);
    sa_buf_deinit(&contents);
}

uint32_t node_send_profile(struct node *node, const struct sa_profile *profile)
{
    struct sa_buf body = SA_BUF_INIT;
    sa_fields_add_text(&body, SA_PROFILE_ID, profile->id);
    sa_profile_encode(profile, &body);
    uint32_t call = node_send(node, SA_NODE_PROFILE, &body);
    sa_buf_deinit(&body);
    return call;
}

static void await_default(struct node *node)
{
    struct reply known;
    if (!node->profile_call)
        return;
    node_answer(node, node->profile_call, &known);
    assert_int_equal(known.type, SA_NODE_DONE);
    node->profile_call = 0;
}

void node_profile(struct node *node, const struct sa_profile *profile, struct reply *reply)
{
    await_default(node);
    node_answer(node, node_send_profile(node, profile), reply);
}

static void launch(struct node *node);

void node_start(struct node *node, uid_t uid, const char *runtime)
{
    static int number;
    char state[64];
    snprintf(state, sizeof state, "test-%d-%d", (int)getpid(), number++);
    node_start_named(node, uid, runtime, state);
}

void node_start_named(struct node *node, uid_t uid, const char *runtime, const char *state)
{
    memset(node, 0, sizeof *node);
    snprintf(node->folder, sizeof node->folder, "/tmp/sa-node-test-XXXXXX");
    assert_non_null(mkdtemp(node->folder));
    assert_int_equal(chmod(node->folder, 0755), 0);
    copy_program(SA_TEST_NODE, node->folder, "sandbox-node");
    copy_program(runtime, node->folder, "runtime");
    snprintf(node->state, sizeof node->state, "%s", state);
    char state_dir[128];
    snprintf(state_dir, sizeof state_dir, "%s/state", node->folder);
    assert_int_equal(mkdir(state_dir, 0700), 0);
    if (uid)
        assert_int_equal(chown(state_dir, uid, uid), 0);
    node->uid = uid;
    launch(node);
    struct sa_profile profile;
    profile_default(&profile);
    node->profile_call = node_send_profile(node, &profile);
    sa_profile_deinit(&profile);
}

/* A test that fails leaves its node behind, which would wait for another control plane. */
static pid_t started[512];
static size_t started_count;

static void end_all(void)
{
    for (size_t i = 0; i < started_count; i++)
        if (waitpid(started[i], NULL, WNOHANG) == 0)
            kill(started[i], SIGKILL);
}

static void note(pid_t pid)
{
    if (started_count == 0)
        atexit(end_all);
    assert_true(started_count < sizeof started / sizeof *started);
    started[started_count++] = pid;
}

static void launch(struct node *node)
{
    const uid_t uid = node->uid;
    char program[128], runtime_path[128], state_dir[128], fd_text[16], user_text[16];
    const int folder_fd = open(node->folder, O_PATH | O_CLOEXEC);
    unlinkat(folder_fd, "node.sock", 0);
    const int listener = sa_unix_bind(folder_fd, "node.sock", SOCK_SEQPACKET);
    assert_true(listener >= 0);
    assert_int_equal(listen(listener, 4), 0);
    close(folder_fd);
    snprintf(state_dir, sizeof state_dir, "%s/state", node->folder);
    snprintf(program, sizeof program, "%s/sandbox-node", node->folder);
    snprintf(runtime_path, sizeof runtime_path, "%s/runtime", node->folder);
    snprintf(fd_text, sizeof fd_text, "%d", listener);
    snprintf(user_text, sizeof user_text, "%u", (unsigned)geteuid());
    node->pid = fork();
    if (node->pid == 0) {
        fcntl(listener, F_SETFD, 0);
        if (uid && (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 ||
                    setresuid(uid, uid, uid) < 0))
            _exit(99);
        execl(program, program, "--listen-fd", fd_text, "--peer-uid", user_text, "--runtime",
              runtime_path, "--state", node->state, "--state-dir", state_dir, (char *)NULL);
        _exit(98);
    }
    note(node->pid);
    node_connect(node);
    close(listener);
}

void node_restart(struct node *node)
{
    kill(node->pid, SIGKILL);
    waitpid(node->pid, NULL, 0);
    close(node->socket);
    launch(node);
}

void node_connect(struct node *node)
{
    const int folder = open(node->folder, O_PATH | O_CLOEXEC);
    node->socket = sa_unix_connect(folder, "node.sock", SOCK_SEQPACKET);
    assert_true(node->socket >= 0);
    node->ready = false;
    close(folder);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void node_forget(struct node *node)
{
    if (node->socket >= 0)
        close(node->socket);
    node->socket = -1;
    nftw(node->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

int node_wait(struct node *node)
{
    int status = -1;
    for (int i = 0; i < 6000 && waitpid(node->pid, &status, WNOHANG) == 0; i++)
        usleep(10000);
    return status != -1 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void node_finish(struct node *node)
{
    struct reply unread;
    while (!node->ready && node_receive(node, &unread, PATIENCE_MS))
        ;
    kill(node->pid, SIGTERM);
    assert_int_equal(node_wait(node), 0);
    assert_int_equal(cgroups_left(node->state), 0);
    node_forget(node);
}

/* ---- messages ---- */

void spec_default(struct sa_node_spec *spec)
{
    memset(spec, 0, sizeof *spec);
    sa_id_new("sb-", spec->id);
    snprintf(spec->runtime, sizeof spec->runtime, "bash");
    snprintf(spec->profile, sizeof spec->profile, "0123456789abcdef");
    snprintf(spec->hostname, sizeof spec->hostname, "box");
    spec->memory_bytes = 128 << 20;
    spec->cpu_millicores = 1000;
    spec->pids = 48;
    spec->storage_bytes = 32 << 20;
    spec->inodes = 1000;
}

uint32_t node_send(struct node *node, enum sa_node_type type, const struct sa_buf *body)
{
    struct sa_buf out = SA_BUF_INIT;
    sa_node_message(&out, type, ++node->call);
    if (body)
        sa_buf_add(&out, body->data, body->length);
    assert_int_equal(send(node->socket, out.data, out.length, MSG_NOSIGNAL), out.length);
    sa_buf_deinit(&out);
    return node->call;
}

uint32_t node_send_create(struct node *node, const struct sa_node_spec *spec)
{
    await_default(node);
    struct sa_buf body = SA_BUF_INIT;
    sa_node_spec_encode(spec, &body);
    uint32_t call = node_send(node, SA_NODE_CREATE, &body);
    sa_buf_deinit(&body);
    return call;
}

uint32_t node_send_id(struct node *node, enum sa_node_type type, const char *id)
{
    struct sa_buf body = SA_BUF_INIT;
    sa_fields_add_text(&body, SA_NODE_ID, id);
    uint32_t call = node_send(node, type, &body);
    sa_buf_deinit(&body);
    return call;
}

static void append(char *list, size_t size, const char *before, const struct sa_field *f,
                   const char *after)
{
    size_t used = strlen(list);
    snprintf(list + used, size - used, "%s%.*s%s", before, (int)f->length, (const char *)f->data,
             after);
}

static void take_field(struct reply *r, const struct sa_field *f)
{
    int64_t value = 0;
    switch (f->tag) {
    case SA_NODE_ID:
        r->ids++;
        assert_int_equal(sa_field_text_into(f, r->id, sizeof r->id, NULL), 0);
        break;
    case SA_NODE_REASON:
        assert_int_equal(sa_field_text_into(f, r->reason, sizeof r->reason, NULL), 0);
        break;
    case SA_NODE_SYSCALL:
        assert_int_equal(sa_field_text_into(f, r->syscall, sizeof r->syscall, NULL), 0);
        break;
    case SA_NODE_COMM:
        assert_int_equal(sa_field_text_into(f, r->comm, sizeof r->comm, NULL), 0);
        break;
    case SA_PROFILE_ID:
        assert_int_equal(sa_field_text_into(f, r->profile, sizeof r->profile, NULL), 0);
        break;
    case SA_NODE_CONTROL:
        append(r->controls, sizeof r->controls, " ", f, " ");
        break;
    case SA_NODE_WEAKER:
        append(r->weaker, sizeof r->weaker, "", f, "\n");
        break;
    case SA_NODE_ERROR:
        assert_int_equal(sa_field_error(f, &r->error, NULL), 0);
        break;
    default:
        assert_true(f->tag < 64);
        assert_int_equal(sa_field_int(f, &value, NULL), 0);
        r->values[f->tag] = value;
        if (f->tag == SA_NODE_COUNT)
            r->count = value;
        if (f->tag == SA_NODE_OOM_KILLS)
            r->oom_kills = value;
    }
}

bool node_receive(struct node *node, struct reply *r, int ms)
{
    static char packet[SA_NODE_MESSAGE_MAX];
    struct pollfd p = {.fd = node->socket, .events = POLLIN};
    struct sa_fields fields;
    struct sa_field field;
    int fds[SA_FDS_MAX], more;
    size_t count = 0;
    memset(r, 0, sizeof *r);
    memset(r->values, 0xff, sizeof r->values);
    r->fd = -1;
    if (poll(&p, 1, ms) != 1)
        return false;
    ssize_t n = sa_recv_fds(node->socket, packet, sizeof packet, fds, &count, 0);
    if (n <= 0)
        return false;
    assert_int_equal(sa_node_parse(packet, (size_t)n, &r->type, &r->call, &fields, NULL), 0);
    node->ready = true; /* READY comes first */
    while ((more = sa_fields_next(&fields, &field, NULL)) > 0)
        take_field(r, &field);
    assert_int_equal(more, 0);
    assert_true(count <= 1);
    if (count)
        r->fd = fds[0];
    return true;
}

void node_answer(struct node *node, uint32_t call, struct reply *reply)
{
    const int64_t until = sa_monotonic_ms() + PATIENCE_MS;
    do
        assert_true(node_receive(node, reply, PATIENCE_MS));
    while (reply->call != call && sa_monotonic_ms() < until);
    assert_int_equal(reply->call, call);
}

void node_event(struct node *node, enum sa_node_type type, struct reply *reply)
{
    const int64_t until = sa_monotonic_ms() + PATIENCE_MS;
    do
        assert_true(node_receive(node, reply, PATIENCE_MS));
    while (reply->type != type && sa_monotonic_ms() < until);
    assert_int_equal(reply->type, type);
    assert_int_equal(reply->call, 0);
}

int node_create(struct node *node, const struct sa_node_spec *spec, struct reply *created)
{
    static struct reply unused;
    struct reply *r = created ? created : &unused;
    node_answer(node, node_send_create(node, spec), r);
    if (r->type != SA_NODE_CREATED)
        fail_msg("create failed: %s: %s", r->error.path, r->error.message);
    assert_string_equal(r->id, spec->id);
    assert_true(r->fd >= 0);
    return r->fd;
}

void node_destroy(struct node *node, const char *id)
{
    struct reply r;
    node_answer(node, node_send_id(node, SA_NODE_DESTROY, id), &r);
    assert_int_equal(r.type, SA_NODE_DESTROYED);
    assert_int_equal(cgroups_of(node->state, id), 0);
}

/* ---- the echo runtime ---- */

int run(int link, char *output, size_t size, const char *fmt, ...)
{
    struct sa_buf command = SA_BUF_INIT, answer = SA_BUF_INIT;
    struct pollfd p = {.fd = link, .events = POLLIN};
    char text[4096];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    for (char *c = text; *c; c++)
        if (*c == '\n')
            *c = 1;
    sa_buf_printf(&command, "%s\n", text);
    assert_int_equal(sa_write_all(link, command.data, command.length), 0);
    const char *end = NULL;
    while (!end) {
        assert_int_equal(poll(&p, 1, 60000), 1);
        ssize_t n = read(link, sa_buf_reserve(&answer, 4096), 4096);
        if (n <= 0)
            break;
        answer.length += (size_t)n;
        if (answer.data[answer.length - 1] == '\n')
            end = memrchr(answer.data, 0, answer.length);
    }
    int status = end ? atoi(end + 1) : -1;
    size_t length = end ? (size_t)(end - answer.data) : 0;
    if (output)
        snprintf(output, size, "%.*s", (int)length, answer.data);
    sa_buf_deinit(&command);
    sa_buf_deinit(&answer);
    return status;
}

void expect(int link, const char *command, const char *output)
{
    char got[8192];
    run(link, got, sizeof got, "%s", command);
    if (strcmp(got, output) != 0)
        fail_msg("%s\nexpected: %s\n     got: %s", command, output, got);
}

/* ---- the world ---- */

static pid_t parent_of(pid_t pid)
{
    char text[32];
    status_line(pid, "PPid:", text, sizeof text);
    return (pid_t)atoi(text);
}

/* The runtime's name tells it from the node's spares. */
pid_t host_pid(const struct node *node)
{
    DIR *proc = opendir("/proc");
    pid_t found = 0;
    assert_non_null(proc);
    for (struct dirent *e; (e = readdir(proc));) {
        char name[64];
        pid_t pid = isdigit((unsigned char)e->d_name[0]) ? (pid_t)atoi(e->d_name) : 0;
        if (!pid || parent_of(pid) != node->pid)
            continue;
        status_line(pid, "Name:", name, sizeof name);
        if (strcmp(name, "sandbox-node") != 0)
            found = pid;
    }
    closedir(proc);
    return found;
}

void status_line(pid_t pid, const char *key, char *out, size_t size)
{
    char path[48], line[512];
    *out = '\0';
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, key, strlen(key)) == 0) {
            char *value = line + strlen(key);
            value += strspn(value, " \t");
            value[strcspn(value, "\n")] = '\0';
            snprintf(out, size, "%s", value);
            break;
        }
    if (file)
        fclose(file);
}

static const char *wanted;
static int matches;

static int match_folder(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    if (type == FTW_D && strcmp(path + ftw->base, wanted) == 0)
        matches++;
    return 0;
}

static int count_folders(const char *name)
{
    wanted = name;
    matches = 0;
    nftw("/sys/fs/cgroup", match_folder, 16, FTW_PHYS);
    return matches;
}

int cgroups_left(const char *state)
{
    char name[96];
    snprintf(name, sizeof name, "secureagent-%s", state);
    return count_folders(name);
}

int cgroups_of(const char *state, const char *id)
{
    (void)state;
    return count_folders(id);
}
