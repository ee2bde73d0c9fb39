/*
 * Errors. A fallible function returns 0 or a value on success, -1 or NULL on failure, and
 * takes a last `struct sa_error *err`, which it fills on failure and leaves alone on success.
 * Each layer may add its context once with sa_error_wrap(). A message says what was wrong,
 * where, and what to do. One table (error.c) maps codes to HTTP status, API code, resource
 * condition and exit code.
 *
 * `err` may be NULL where the caller does not care.
 */
#ifndef SA_BASE_ERROR_H
#define SA_BASE_ERROR_H

#include <stdarg.h>

enum sa_code {
    SA_OK = 0,
    SA_EINVALID,      /* the request is malformed; `path` names the field */
    SA_EUNAUTHORIZED, /* no credentials, or bad ones */
    SA_EFORBIDDEN,    /* known, but not allowed */
    SA_ENOTFOUND,
    SA_ECONFLICT,    /* the thing is in a state that does not allow this */
    SA_ERATELIMITED, /* try again later */
    SA_EQUOTA,       /* a limit of the sandbox, user or node: memory, disk, processes */
    SA_EPOLICY,      /* a rule said no */
    SA_ETOOLARGE,    /* larger than a cap; the message names cap and size */
    SA_ETIMEOUT,
    SA_EUNAVAILABLE, /* cannot be had now: node gone, shutting down */
    SA_ECONTROL,     /* an isolation control cannot be had; `path` names the control */
    SA_EPROTOCOL,    /* a peer broke a protocol */
    SA_ECANCELED,
    SA_EINTERNAL,
    SA_EEXISTS,  /* something of that name is there already */
    SA_EEXPIRED, /* what it refers to is too old and not kept any more: begin anew */
    SA_CODE_COUNT
};

struct sa_error {
    enum sa_code code;
    int sys_errno;     /* the errno behind it, or 0 */
    char path[128];    /* field (`spec.timeout`), file or control it is about, or "" */
    char message[512]; /* one line, for a person; never holds secrets */
};

/* Static facts about a code. */
const char *sa_code_name(enum sa_code code);      /* API code: "invalid_request" */
int sa_code_http_status(enum sa_code code);       /* 400 */
int sa_code_exit_status(enum sa_code code);       /* sysexits-like, for the command line */
const char *sa_code_condition(enum sa_code code); /* CamelCase reason: "ControlUnavailable" */

/* Fill `err`; always return -1 so that callers can `return sa_error_set(...)`. */
int sa_error_set(struct sa_error *err, enum sa_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int sa_error_setv(struct sa_error *err, enum sa_code code, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));
/* As sa_error_set, with the field, file or control it is about. */
int sa_error_at(struct sa_error *err, enum sa_code code, const char *path, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* As sa_error_set, with ": strerror(sys_errno)" appended. ENOSPC, EDQUOT and ENOENT etc. do not
 * change `code`: the caller knows what they mean. */
int sa_error_sys(struct sa_error *err, enum sa_code code, int sys_errno, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Put "context: " in front of the message. Returns -1. */
int sa_error_wrap(struct sa_error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
