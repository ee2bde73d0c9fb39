/*
 * A stand-in for the execution-runtime, for tests of the node alone: PID 1 that runs each line
 * it reads from its link (\001 stands for a line feed) and sends back what that printed, then a
 * NUL, the wait status as decimal text, and a line feed. A line "!NAME" makes one of the system
 * calls of attempts.c instead of starting a shell; "!end" ends it. The newest link that came
 * through the door has it; without one it waits. Linked statically.
 */
#include "attempts.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DOOR = 3, BOOT = 4, LINE_MAX_BYTES = 65536, ORPHAN_MS = 120 * 1000 };

static char line[LINE_MAX_BYTES];
static size_t length;
static int conn = -1;

static void run(const char *command)
{
    char answer[64];
    int status = 0;
    pid_t ended, pid = fork();
    if (pid == 0) {
        dup2(conn, 1);
        dup2(conn, 2);
        close(conn);
        close(DOOR);
        if (command[0] == '!')
            _exit(attempt(command + 1));
        setenv("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", 1);
        setenv("HOME", "/home/user", 1);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    while ((ended = waitpid(-1, &status, 0)) != pid && ended > 0)
        ;
    int n = snprintf(answer, sizeof answer, "%c%d\n", 0, status);
    if (send(conn, answer, (size_t)n, MSG_NOSIGNAL) < 0)
        return; /* it will be read as closed */
}

static void take_link(void)
{
    char byte;
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {&byte, 1};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    if (recvmsg(DOOR, &message, MSG_DONTWAIT) < 0 || !CMSG_FIRSTHDR(&message))
        return;
    if (conn >= 0)
        close(conn);
    memcpy(&conn, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof conn);
    length = 0;
}

static void take_lines(void)
{
    ssize_t n = read(conn, line + length, sizeof line - 1 - length);
    if (n <= 0) {
        close(conn);
        conn = -1;
        return;
    }
    length += (size_t)n;
    for (char *end; (end = memchr(line, '\n', length));) {
        *end = '\0';
        for (char *c = line; c < end; c++)
            *c = *c == 1 ? '\n' : *c;
        if (strcmp(line, "!end") == 0)
            exit(0);
        run(line);
        length -= (size_t)(end + 1 - line);
        memmove(line, end + 1, length);
    }
}

int main(void)
{
    close(BOOT);
    for (;;) {
        struct pollfd fds[2] = {{.fd = DOOR, .events = POLLIN}, {.fd = conn, .events = POLLIN}};
        if (poll(fds, 2, conn < 0 ? ORPHAN_MS : -1) == 0)
            return 0;
        if (fds[0].revents & POLLIN)
            take_link();
        else if (fds[1].revents)
            take_lines();
    }
}
