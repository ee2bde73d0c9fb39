/* The output queue against a plain model: whatever the sizes, the same bytes come out in order. */
#include "link/queue.h"

#include "base/buf.h"
#include "link/link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint32_t seed = 1;

static uint32_t next_random(uint32_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed % below;
}

static void put(struct sa_queue *queue, struct sa_buf *model, size_t want, size_t used)
{
    uint8_t *to = sa_queue_reserve(queue, want);
    for (size_t i = 0; i < used; i++)
        to[i] = (uint8_t)next_random(256);
    sa_buf_add(model, to, used);
    if (used && used % 3 == 0)
        sa_queue_mark_answer(queue, used);
    sa_queue_commit(queue, used);
}

static void take(struct sa_queue *queue, struct sa_buf *model, size_t length)
{
    struct iovec v[64];
    size_t done = 0, n = sa_queue_vectors(queue, v, 64);
    for (size_t i = 0; i < n && done < length; i++) {
        size_t part = v[i].iov_len < length - done ? v[i].iov_len : length - done;
        assert_memory_equal(v[i].iov_base, model->data + done, part);
        done += part;
    }
    sa_queue_consume(queue, done);
    sa_buf_consume(model, done);
}

static void test_against_model(void **state)
{
    (void)state;
    struct sa_queue queue = {0};
    sa_autobuf model = SA_BUF_INIT;
    for (int i = 0; i < 20000; i++) {
        static const uint32_t caps[] = {20, 3000, 5000, SA_LINK_PAYLOAD_MAX};
        size_t want = 12 + next_random(caps[next_random(4)]);
        if (queue.bytes < 500000)
            put(&queue, &model, want, next_random(4) ? next_random((uint32_t)want + 1) : 0);
        assert_int_equal(queue.bytes, model.length);
        if (next_random(2))
            take(&queue, &model, next_random(next_random(10) ? 4000 : 400000));
        if (!queue.bytes) {
            assert_int_equal(queue.answers, 0);
            if (next_random(2))
                sa_queue_trim(&queue);
        }
    }
    take(&queue, &model, SIZE_MAX);
    assert_int_equal(queue.bytes, 0);
    sa_queue_deinit(&queue);
}

static void test_dropped_reservation_leaves_no_hole(void **state)
{
    (void)state;
    struct sa_queue queue = {0};
    struct iovec v[4];
    memcpy(sa_queue_reserve(&queue, 4000), "abc", 3);
    sa_queue_commit(&queue, 3);
    sa_queue_reserve(&queue, 100000);
    sa_queue_commit(&queue, 0);
    memcpy(sa_queue_reserve(&queue, 3), "def", 3);
    sa_queue_commit(&queue, 3);
    assert_int_equal(sa_queue_vectors(&queue, v, 4), 1);
    assert_memory_equal(v[0].iov_base, "abcdef", 6);
    sa_queue_deinit(&queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_model),
        cmocka_unit_test(test_dropped_reservation_leaves_no_hole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
