/* Ranges of system calls, run by an interpreter of the instructions that filters are made of. */
#include "native/seccomp_ranges.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { CALLS = 512, GOES_ON = 0x12345 };

static uint32_t run(const struct sa_buf *program, uint32_t arch, uint32_t number)
{
    const struct sock_filter *code = (const void *)program->data;
    const size_t count = program->length / sizeof *code;
    const struct seccomp_data data = {.nr = (int)number, .arch = arch};
    uint32_t a = 0;
    for (size_t at = 0; at < count; at++) {
        const struct sock_filter *i = &code[at];
        if (i->code == (BPF_LD | BPF_W | BPF_ABS))
            memcpy(&a, (const char *)&data + i->k, sizeof a);
        else if (i->code == (BPF_JMP | BPF_JA))
            at += i->k;
        else if (i->code == (BPF_JMP | BPF_JEQ | BPF_K))
            at += a == i->k ? i->jt : i->jf;
        else if (i->code == (BPF_JMP | BPF_JGE | BPF_K))
            at += a >= i->k ? i->jt : i->jf;
        else if (i->code == (BPF_RET | BPF_K))
            return i->k;
        else
            fail_msg("an instruction of another kind: %u", i->code);
    }
    return GOES_ON;
}

/* Every number, of this architecture and of others; and none jumps over the end. */
static void check(const bool *allowed, unsigned count)
{
    struct sa_buf program = SA_BUF_INIT;
    const uint32_t edges[] = {count, count + 1, 0x3fffffff, 0x40000000, 0x40000001, UINT32_MAX};
    sa_ranges_emit(AUDIT_ARCH_X86_64, allowed, count, &program);
    assert_in_range(program.length / sizeof(struct sock_filter), 1, BPF_MAXINSNS);
    for (uint32_t number = 0; number < count; number++) {
        assert_int_equal(run(&program, AUDIT_ARCH_X86_64, number),
                         allowed[number] ? SECCOMP_RET_ALLOW : GOES_ON);
        assert_int_equal(run(&program, AUDIT_ARCH_I386, number), GOES_ON);
        assert_int_equal(run(&program, AUDIT_ARCH_AARCH64, number), GOES_ON);
    }
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
        assert_int_equal(run(&program, AUDIT_ARCH_X86_64, edges[i]), SECCOMP_RET_ERRNO | ENOSYS);
        assert_int_equal(run(&program, AUDIT_ARCH_I386, edges[i]), GOES_ON);
    }
    sa_buf_deinit(&program);
}

static void test_few_and_many(void **state)
{
    bool allowed[CALLS] = {false};
    (void)state;
    check(allowed, CALLS);
    memset(allowed, true, sizeof allowed);
    check(allowed, CALLS);
    for (unsigned i = 0; i < CALLS; i++) /* as many ranges as there can be: far jumps */
        allowed[i] = i & 1;
    check(allowed, CALLS);
    check(allowed, CALLS - 1);
    memset(allowed, 0, sizeof allowed);
    allowed[0] = allowed[CALLS - 1] = true;
    check(allowed, CALLS);
    check(allowed, 1);
    check(allowed, 2);
}

static void test_any(void **state)
{
    uint64_t seed = 88172645463325252u;
    (void)state;
    for (int round = 0; round < 200; round++) {
        bool allowed[CALLS];
        const unsigned often = 1 + (unsigned)round % 17; /* how long the ranges are */
        for (unsigned i = 0; i < CALLS; i++) {
            seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
            allowed[i] = i && seed % often ? allowed[i - 1] : seed >> 40 & 1;
        }
        check(allowed, CALLS - (unsigned)(seed >> 50) % 64);
    }
}

/* What is there already stays in front. */
static void test_behind_others(void **state)
{
    const bool allowed[] = {true, false, true};
    const struct sock_filter first = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0);
    struct sa_buf program = SA_BUF_INIT;
    (void)state;
    sa_buf_add(&program, &first, sizeof first);
    sa_ranges_emit(AUDIT_ARCH_X86_64, allowed, 3, &program);
    assert_memory_equal(program.data, &first, sizeof first);
    assert_int_equal(run(&program, AUDIT_ARCH_X86_64, 1), GOES_ON);
    assert_int_equal(run(&program, AUDIT_ARCH_X86_64, 2), SECCOMP_RET_ALLOW);
    sa_buf_deinit(&program);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_few_and_many),
                                       cmocka_unit_test(test_any),
                                       cmocka_unit_test(test_behind_others)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
