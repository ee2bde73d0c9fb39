/* The one table of error codes, and the functions that fill a struct sa_error. */
#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int http;
    int exit;
    const char *condition;
} codes[SA_CODE_COUNT] = {
    [SA_OK] = {"ok", 200, 0, "Ok"},
    [SA_EINVALID] = {"invalid_request", 400, 64, "InvalidRequest"},
    [SA_EUNAUTHORIZED] = {"unauthorized", 401, 77, "Unauthorized"},
    [SA_EFORBIDDEN] = {"forbidden", 403, 77, "Forbidden"},
    [SA_ENOTFOUND] = {"not_found", 404, 69, "NotFound"},
    [SA_ECONFLICT] = {"conflict", 409, 75, "Conflict"},
    [SA_ERATELIMITED] = {"rate_limited", 429, 75, "RateLimited"},
    [SA_EQUOTA] = {"quota_exceeded", 429, 75, "QuotaExceeded"},
    [SA_EPOLICY] = {"policy_denied", 403, 77, "PolicyDenied"},
    [SA_ETOOLARGE] = {"payload_too_large", 413, 65, "TooLarge"},
    [SA_ETIMEOUT] = {"timeout", 504, 75, "Timeout"},
    [SA_EUNAVAILABLE] = {"unavailable", 503, 69, "Unavailable"},
    [SA_ECONTROL] = {"unavailable", 503, 69, "ControlUnavailable"},
    [SA_EPROTOCOL] = {"invalid_request", 400, 76, "ProtocolError"},
    [SA_ECANCELED] = {"conflict", 409, 75, "Canceled"},
    [SA_EINTERNAL] = {"internal", 500, 70, "InternalError"},
    [SA_EEXISTS] = {"conflict", 409, 75, "AlreadyExists"},
    [SA_EEXPIRED] = {"conflict", 410, 75, "Expired"},
};

static unsigned known(enum sa_code code)
{
    unsigned index = (unsigned)code;
    return index < SA_CODE_COUNT ? index : SA_EINTERNAL;
}

const char *sa_code_name(enum sa_code code)
{
    return codes[known(code)].name;
}

int sa_code_http_status(enum sa_code code)
{
    return codes[known(code)].http;
}

int sa_code_exit_status(enum sa_code code)
{
    return codes[known(code)].exit;
}

const char *sa_code_condition(enum sa_code code)
{
    return codes[known(code)].condition;
}

int sa_error_setv(struct sa_error *err, enum sa_code code, const char *fmt, va_list ap)
{
    if (!err)
        return -1;
    err->code = code;
    err->sys_errno = 0;
    err->path[0] = '\0';
    vsnprintf(err->message, sizeof err->message, fmt, ap);
    return -1;
}

int sa_error_set(struct sa_error *err, enum sa_code code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    sa_error_setv(err, code, fmt, ap);
    va_end(ap);
    return -1;
}

int sa_error_at(struct sa_error *err, enum sa_code code, const char *path, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    sa_error_setv(err, code, fmt, ap);
    va_end(ap);
    if (err)
        snprintf(err->path, sizeof err->path, "%s", path);
    return -1;
}

int sa_error_sys(struct sa_error *err, enum sa_code code, int sys_errno, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    sa_error_setv(err, code, fmt, ap);
    va_end(ap);
    if (!err)
        return -1;
    size_t used = strlen(err->message);
    snprintf(err->message + used, sizeof err->message - used, ": %s", strerror(sys_errno));
    err->sys_errno = sys_errno;
    return -1;
}

int sa_error_wrap(struct sa_error *err, const char *fmt, ...)
{
    if (!err)
        return -1;
    char context[sizeof err->message];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(context, sizeof context, fmt, ap);
    va_end(ap);
    char whole[2 * sizeof err->message + 4];
    snprintf(whole, sizeof whole, "%s: %s", context, err->message);
    whole[sizeof err->message - 1] = '\0';
    memcpy(err->message, whole, sizeof err->message);
    return -1;
}
