/* core/base/fdio on real files, pipes and sockets; no descriptor may leak. */
#include "base/fdio.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { MORE = SA_FDS_MAX + 2 };

static int open_descriptors(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static int count_before(void **state)
{
    *state = (void *)(intptr_t)open_descriptors();
    return 0;
}

static int count_after(void **state)
{
    return (int)(intptr_t)*state == open_descriptors() ? 0 : -1;
}

static void files_are_read_whole_up_to_the_cap(void **state)
{
    (void)state;
    char path[] = "/tmp/sa-fdio-XXXXXX";
    int fd = mkstemp(path);
    char block[10000];
    struct sa_error err = {0};
    memset(block, 'z', sizeof block);
    assert_int_equal(sa_write_all(fd, block, sizeof block), 0);
    close(fd);
    sa_autobuf text = SA_BUF_INIT;
    sa_buf_adds(&text, "<");
    assert_int_equal(sa_read_file(AT_FDCWD, path, sizeof block, &text, &err), 0);
    assert_int_equal(text.length, sizeof block + 1);
    assert_int_equal(text.data[text.length], '\0');
    assert_int_equal(sa_read_file(AT_FDCWD, path, sizeof block - 1, &text, &err), -1);
    assert_int_equal(err.code, SA_ETOOLARGE);
    unlink(path);
    assert_int_equal(sa_read_file(AT_FDCWD, path, 100, &text, &err), -1);
    assert_int_equal(err.code, SA_ENOTFOUND);
    assert_int_equal(err.sys_errno, ENOENT);
    assert_int_equal(sa_read_file(AT_FDCWD, "/tmp", 100, &text, &err), -1);
    assert_int_equal(err.sys_errno, EISDIR);
    assert_int_equal(sa_write_file(AT_FDCWD, path, "x", &err), -1);
    assert_int_equal(err.code, SA_ENOTFOUND); /* never made */
}

static void failed_writes_are_errors(void **state)
{
    (void)state;
    struct sa_error err = {0};
    assert_int_equal(sa_write_file(AT_FDCWD, "/dev/full", "x", &err), -1);
    assert_int_equal(err.sys_errno, ENOSPC);
    assert_int_equal(sa_write_all(-1, "x", 1), -1);
    assert_int_equal(errno, EBADF);
}

static void descriptors_arrive_closed_on_exec(void **state)
{
    (void)state;
    int pair[2], pipes[2], got[SA_FDS_MAX];
    size_t count;
    char data[8];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(pipe(pipes), 0);
    int four[] = {pipes[0], pipes[1], pipes[0], pipes[1]};
    assert_int_equal(sa_send_fds(pair[0], "hello", 5, four, 4, 0), 5);
    assert_int_equal(sa_recv_fds(pair[1], data, sizeof data, got, &count, 0), 5);
    assert_int_equal(count, 4);
    assert_memory_equal(data, "hello", 5);
    assert_int_equal(fcntl(got[0], F_GETFD), FD_CLOEXEC);
    assert_int_equal(write(got[1], "p", 1), 1);
    assert_int_equal(read(pipes[0], data, 1), 1);
    for (size_t i = 0; i < count; i++)
        close(got[i]);
    close(pair[0]);
    assert_int_equal(sa_recv_fds(pair[1], data, sizeof data, got, &count, 0), 0);
    assert_int_equal(count, 0);
    close(pair[1]);
    close(pipes[0]);
    close(pipes[1]);
}

static void truncated_messages_leak_nothing(void **state)
{
    (void)state;
    int pair[2], got[SA_FDS_MAX], here = open("/", O_RDONLY | O_CLOEXEC);
    size_t count = 99;
    char data[4];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(sa_send_fds(pair[0], "too long", 8, &here, 1, 0), 8);
    assert_int_equal(sa_recv_fds(pair[1], data, sizeof data, got, &count, 0), -1);
    assert_int_equal(errno, EMSGSIZE);
    assert_int_equal(count, 0);

    /* More descriptors than anybody asked for. */
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(MORE * sizeof(int))];
    } control = {0};
    struct iovec iov = {(char[]){'x'}, 1};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(MORE * sizeof(int));
    for (size_t i = 0; i < MORE; i++)
        memcpy(CMSG_DATA(c) + i * sizeof(int), &here, sizeof here);
    assert_int_equal(sendmsg(pair[0], &message, 0), 1);
    assert_int_equal(sa_recv_fds(pair[1], data, sizeof data, got, &count, 0), -1);
    assert_int_equal(errno, EMSGSIZE);
    close(here);
    close(pair[0]);
    close(pair[1]);
}

static void too_many_descriptors_are_not_sent(void **state)
{
    (void)state;
    int fds[SA_FDS_MAX + 1] = {0};
    assert_int_equal(sa_send_fds(0, "x", 1, fds, SA_FDS_MAX + 1, 0), -1);
    assert_int_equal(errno, EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files_are_read_whole_up_to_the_cap, count_before,
                                        count_after),
        cmocka_unit_test_setup_teardown(failed_writes_are_errors, count_before, count_after),
        cmocka_unit_test_setup_teardown(descriptors_arrive_closed_on_exec, count_before,
                                        count_after),
        cmocka_unit_test_setup_teardown(truncated_messages_leak_nothing, count_before, count_after),
        cmocka_unit_test(too_many_descriptors_are_not_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
