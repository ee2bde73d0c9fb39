/*
 * What is said to a kernel (the interpreter of a context, runtime/kernels/) and what it answers,
 * on the control channel of its execution (SA_EXEC_CONTROL). No I/O.
 *
 * Towards Python and Node.js: u32 length (little-endian), then so many bytes of JSON. Towards bash,
 * which has no way to parse that: fields that each end with a NUL (runtime/kernels/bash.sh).
 *
 *     init     token, imports
 *     execute  id, code, env, whether there is stdin
 *     interrupt  id; to Node.js, which may miss a signal at the border of synchronous code
 *     input    id, some bytes of stdin, whether those are the last. Python and Node.js get one for
 *              each `input` they send; bash gets them until the last by itself
 *
 * From a kernel: u32 length, then the 32 characters of the token of `init` and JSON. The token is
 * no secret that holds against code which looks for it in its own process: whoever wants to may lie
 * about his own context, and about nothing else. It makes sure that bytes written to the descriptor
 * without that knowledge are no frame: they end the kernel.
 *
 *     ready    pid, version
 *     failed   import, name, value: what was to be imported could not be
 *     stdout, stderr   data, encoding ("base64" when it is no text)
 *     result   data (mime type to text), json (list of mime, value), main (of the last expression)
 *     error    name, value, traceback
 *     input    prompt, password: it waits for stdin
 *     done     id, exitCode, cpuUs, memoryBytes
 *
 * Everything a kernel sends is hostile: sizes, counts, depth, text and types are checked, and what
 * is not as above is SA_EPROTOCOL.
 */
#ifndef SA_API_CONTEXT_PROTOCOL_H
#define SA_API_CONTEXT_PROTOCOL_H

#include "json/json.h"

enum {
    SA_KERNEL_TOKEN_CHARS = 32,
    SA_KERNEL_FRAME_MAX = 16 * 1024 * 1024,
    SA_KERNEL_DEPTH_MAX = 64,
    SA_KERNEL_VALUES_MAX = 100000, /* of JSON in one frame */
    SA_KERNEL_MIMES_MAX = 32,      /* of one result */
    SA_KERNEL_MIME_BYTES = 200,
};

enum sa_kernel_codec { SA_KERNEL_JSON, SA_KERNEL_FIELDS };

/* ---- to the kernel; appended to `out` ---- */

void sa_kernel_put_init(enum sa_kernel_codec codec, const char *token,
                        const struct sa_json_strings *imports, struct sa_buf *out);

struct sa_kernel_request {
    int64_t id;
    const char *code;
    size_t code_length;
    struct sa_json_map env;
    bool input; /* there is stdin */
};
void sa_kernel_put_execute(enum sa_kernel_codec codec, const struct sa_kernel_request *request,
                           struct sa_buf *out);
void sa_kernel_put_interrupt(int64_t id, struct sa_buf *out);
void sa_kernel_put_input(enum sa_kernel_codec codec, int64_t id, const void *data, size_t length,
                         bool last, struct sa_buf *out);

/* ---- from the kernel ---- */

enum sa_kernel_frame_kind {
    SA_KERNEL_READY,
    SA_KERNEL_FAILED,
    SA_KERNEL_STDOUT,
    SA_KERNEL_STDERR,
    SA_KERNEL_RESULT,
    SA_KERNEL_ERROR,
    SA_KERNEL_INPUT,
    SA_KERNEL_DONE,
};

struct sa_kernel_frame { /* only the members of its kind are set */
    enum sa_kernel_frame_kind kind;
    /* stdout, stderr: the bytes; result, error: a JSON object as sa_execution_append() takes it */
    const char *data;
    size_t length;
    const char *version;               /* ready */
    const char *import, *name, *value; /* failed */
    const char *prompt;                /* input */
    bool password;
    int64_t id, exit_code, cpu_us, memory_bytes; /* done; the latter two are what it claims */
};

struct sa_kernel_reader { /* zeroed, but the token */
    char token[SA_KERNEL_TOKEN_CHARS + 1];
    struct sa_buf buffer; /* the beginning of a frame */
};
/* A new token, and nothing read. */
void sa_kernel_reader_reset(struct sa_kernel_reader *reader);
void sa_kernel_reader_deinit(struct sa_kernel_reader *reader);

/* Called for each whole frame, valid during the call. False: no more, what was fed is of no
 * interest any longer. */
typedef bool (*sa_kernel_frame_cb)(void *user, const struct sa_kernel_frame *frame);
/* -1, SA_EPROTOCOL: it does not keep to the protocol; the reader is of no use then. */
int sa_kernel_reader_feed(struct sa_kernel_reader *reader, const void *data, size_t length,
                          sa_kernel_frame_cb frame, void *user, struct sa_error *err);

#endif
