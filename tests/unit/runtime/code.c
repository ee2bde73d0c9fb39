#include "code.h"

#include "base/cleanup.h"
#include "base/clock.h"

static const char program[] =
    "import sys\n"
    "with open(3, 'rb') as _: _ = _.read()\n"
    "def _hook(kind, value, tb, _code=_):\n"
    "    import linecache, traceback\n"
    "    linecache.cache['<code>'] = (len(_code), None,\n"
    "        _code.decode('utf-8', 'replace').splitlines(True), '<code>')\n"
    "    traceback.print_exception(kind, value, tb and tb.tb_next)\n"
    "sys.excepthook, sys.argv = _hook, ['<code>']\n"
    "_ = compile(_, '<code>', 'exec')\n"
    "del sys, _hook\n"
    "exec(_)\n";
static const char is_forked[] = "print('template.py' in open('/proc/self/cmdline').read())";

struct reply *code_begin(struct box *box, const char *code, bool template,
                         const struct sa_buf *extra)
{
    sa_autobuf body = SA_BUF_INIT;
    add_argv(&body, "python3", "-c", program, NULL);
    sa_fields_add_int(&body, SA_EXEC_CODE_BYTES, (int64_t)strlen(code));
    if (template)
        sa_fields_add_text(&body, SA_EXEC_TEMPLATE, "python");
    if (extra)
        sa_buf_add(&body, extra->data, extra->length);
    struct reply *r = exec_body(box, &body);
    assert_int_equal(sa_stream_write(r->stream, SA_CHANNEL_IN, code, strlen(code)), strlen(code));
    return r;
}

struct reply *code_run(struct box *box, const char *code, bool template, const struct sa_buf *extra)
{
    struct reply *r = code_begin(box, code, template, extra);
    reply_wait(r);
    return r;
}

bool code_forks(struct box *box, const struct sa_buf *extra)
{
    struct reply *r = code_run(box, is_forked, true, extra);
    assert_exit(r, 0);
    bool yes = strcmp(r->out[SA_CHANNEL_OUT].data, "True\n") == 0;
    reply_free(r);
    return yes;
}

void code_warm_up(struct box *box, const struct sa_buf *extra)
{
    int64_t until = sa_monotonic_ms() + 60000;
    while (!code_forks(box, extra))
        if (sa_monotonic_ms() > until)
            fail_msg("no template");
    box_idle(box, 30); /* the next spare; without it the tests hold all the same */
}
