/*
 * The PORT_LIST method: who listens inside. The kernel's tables name sockets by inode; whose they
 * are is found among the descriptors of the processes, as far as those may be read. All of it can
 * be made large by programs inside, so everything has its bound.
 */
#include "base/cleanup.h"
#include "base/fdio.h"
#include "call.h"
#include "proc.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    LISTENERS_MAX = 256,
    TABLE_BYTES = 256 * 1024, /* the listening sockets come first */
    LOOKS_MAX = 8192,         /* at descriptors */
    LISTENING = 10,           /* TCP_LISTEN of the kernel */
};

struct listener {
    char address[INET6_ADDRSTRLEN];
    unsigned port;
    unsigned long inode;
    pid_t pid; /* 0: unknown */
};

struct listeners {
    struct listener items[LISTENERS_MAX];
    size_t count, unknown;
    int looks;
};

/* The words of an address are in hexadecimal, each as the machine has it. */
static bool parse_address(const char *hex, int family, char *out, size_t size)
{
    uint32_t words[4];
    for (size_t i = 0; i < (family == AF_INET ? 1 : 4); i++) {
        char digits[9] = {0};
        memcpy(digits, hex + 8 * i, 8);
        words[i] = (uint32_t)strtoul(digits, NULL, 16);
    }
    return inet_ntop(family, words, out, (socklen_t)size) != NULL;
}

/* false when it does not listen. */
static bool parse_line(char *line, int family, struct listener *l)
{
    enum { LOCAL = 1, STATE = 3, INODE = 9, WORDS };
    char *words[WORDS], *rest;
    size_t n = 0;
    for (char *w = strtok_r(line, " ", &rest); w && n < WORDS; w = strtok_r(NULL, " ", &rest))
        words[n++] = w;
    if (n < WORDS || strtoul(words[STATE], NULL, 16) != LISTENING)
        return false;
    const char *colon = strchr(words[LOCAL], ':');
    if (!colon || colon - words[LOCAL] != (family == AF_INET ? 8 : 32))
        return false;
    l->port = (unsigned)strtoul(colon + 1, NULL, 16);
    l->inode = strtoul(words[INODE], NULL, 10);
    return parse_address(words[LOCAL], family, l->address, sizeof l->address);
}

static void read_table(struct listeners *all, const char *path, int family)
{
    sa_autobuf text = SA_BUF_INIT;
    sa_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : 1;
    while (n > 0 && text.length < TABLE_BYTES) {
        n = read(fd, sa_buf_reserve(&text, 16384), 16384);
        text.length += n > 0 ? (size_t)n : 0;
    }
    sa_buf_addc(&text, '\0');
    char *rest = text.data;
    strsep(&rest, "\n"); /* the head */
    for (char *line; all->count < LISTENERS_MAX && (line = strsep(&rest, "\n"));) {
        struct listener l = {0};
        if (!parse_line(line, family, &l))
            break; /* those that listen come first */
        all->items[all->count++] = l;
        all->unknown++;
    }
}

static void is_owner(struct listeners *all, unsigned long inode, pid_t pid)
{
    for (size_t i = 0; i < all->count; i++)
        if (all->items[i].inode == inode && !all->items[i].pid) {
            all->items[i].pid = pid;
            all->unknown--;
        }
}

static void look_at(pid_t pid, void *arg)
{
    struct listeners *all = arg;
    const struct dirent *entry;
    char target[64];
    DIR *dir = all->unknown && all->looks > 0 ? sa_proc_descriptors(pid) : NULL;
    if (!dir)
        return;
    while (all->unknown && all->looks-- > 0 && (entry = readdir(dir))) {
        ssize_t n = readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1);
        target[n > 0 ? n : 0] = '\0';
        if (!strncmp(target, "socket:[", 8))
            is_owner(all, strtoul(target + 8, NULL, 10), pid);
    }
    closedir(dir);
}

static int by_port(const void *a, const void *b)
{
    const struct listener *x = a, *y = b;
    return x->port != y->port ? (x->port < y->port ? -1 : 1) : strcmp(x->address, y->address);
}

static void add_program(struct sa_buf *out, pid_t pid)
{
    char name[64];
    if (!sa_proc_read(pid, "comm", name, sizeof name))
        return;
    name[strcspn(name, "\n")] = '\0';
    for (char *c = name; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    sa_fields_add_text(out, SA_PORT_PROGRAM, name);
}

static void add_listener(struct sa_buf *out, const struct listener *l)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_int(&body, SA_PORT_NUMBER, l->port);
    sa_fields_add_text(&body, SA_PORT_ADDRESS, l->address);
    if (l->pid) {
        sa_fields_add_int(&body, SA_PORT_PID, l->pid);
        add_program(&body, l->pid);
    }
    sa_fields_add_bytes(out, SA_PORT_LISTENER, body.data, body.length);
}

void sa_port_list_open(struct sa_stream *stream, const void *body, size_t length)
{
    static struct listeners all;
    sa_autobuf out = SA_BUF_INIT;
    (void)body;
    (void)length;
    all.count = all.unknown = 0;
    all.looks = LOOKS_MAX;
    read_table(&all, "/proc/net/tcp", AF_INET);
    read_table(&all, "/proc/net/tcp6", AF_INET6);
    if (all.unknown)
        sa_proc_each(look_at, &all);
    qsort(all.items, all.count, sizeof all.items[0], by_port);
    for (size_t i = 0; i < all.count; i++)
        add_listener(&out, &all.items[i]);
    sa_stream_end(stream, out.data, out.length);
}
