#include "native/seccomp_ranges.h"

#include "base/arena.h"
#include "base/cleanup.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>

enum answer { ALLOW, GO_ON, NEW };

/* From `first` to the next one's. */
struct range {
    uint32_t first;
    enum answer answer;
};

struct tree {
    struct range *ranges;
    struct sa_buf *out;
    size_t end; /* where the program goes on: instructions from the start of `out` */
};

static void add(struct sa_buf *out, struct sock_filter instruction)
{
    sa_buf_add(out, &instruction, sizeof instruction);
}

static size_t position(const struct tree *t)
{
    return t->out->length / sizeof(struct sock_filter);
}

/* A conditional jump reaches 255 instructions; one that goes further needs a second one. */
static size_t size_of(size_t count)
{
    if (count == 1)
        return 1;
    const size_t left = size_of(count / 2);
    return 1 + (size_t)(left > UINT8_MAX) + left + size_of(count - count / 2);
}

static void add_answer(struct tree *t, enum answer answer)
{
    if (answer == ALLOW)
        add(t->out, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    else if (answer == NEW)
        add(t->out, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS));
    else
        add(t->out,
            (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, (uint32_t)(t->end - position(t) - 1)));
}

static void add_tree(struct tree *t, size_t from, size_t count)
{
    if (count == 1) {
        add_answer(t, t->ranges[from].answer);
        return;
    }
    const size_t half = count / 2, left = size_of(half);
    const uint32_t middle = t->ranges[from + half].first;
    if (left <= UINT8_MAX) {
        add(t->out,
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, middle, (uint8_t)left, 0));
    } else {
        add(t->out, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, middle, 0, 1));
        add(t->out, (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, (uint32_t)left));
    }
    add_tree(t, from, half);
    add_tree(t, from + half, count - half);
}

static size_t find_ranges(const bool *allowed, unsigned count, struct range *ranges)
{
    size_t n = 0;
    for (unsigned number = 0; number < count; number++) {
        const enum answer answer = allowed[number] ? ALLOW : GO_ON;
        if (!n || ranges[n - 1].answer != answer)
            ranges[n++] = (struct range){number, answer};
    }
    ranges[n++] = (struct range){count, NEW};
    return n;
}

void sa_ranges_emit(uint32_t arch, const bool *allowed, unsigned count, struct sa_buf *out)
{
    sa_autofree struct range *ranges = sa_alloc((count + 1) * sizeof *ranges);
    const size_t n = find_ranges(allowed, count, ranges);
    struct tree t = {.ranges = ranges, .out = out};
    t.end = position(&t) + 4 + size_of(n);
    add(out, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                          offsetof(struct seccomp_data, arch)));
    add(out, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, arch, 1, 0));
    add_answer(&t, GO_ON);
    add(out,
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
    add_tree(&t, 0, n);
}
