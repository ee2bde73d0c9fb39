/* Forms of texts: how they are checked here, and by a pattern where a CRD has to say it. */
#ifndef SA_KINDS_FORMATS_H
#define SA_KINDS_FORMATS_H

#include <stdbool.h>
#include <stddef.h>

struct sa_format {
    const char *expected; /* "expected ..." */
    const char *pattern;  /* RE2, of all of it; NULL: no pattern says it */
    bool (*valid)(const char *text);
};

extern const struct sa_format sa_format_label;     /* DNS label, RFC 1123 */
extern const struct sa_format sa_format_subdomain; /* DNS subdomain, RFC 1123 */
extern const struct sa_format sa_format_module;    /* "a.b" */
extern const struct sa_format sa_format_domain;    /* "pypi.org", "*.example.com", "*" */
extern const struct sa_format sa_format_path;      /* absolute, clean, not the root */
extern const struct sa_format sa_format_image;     /* "registry.example.com/team/x:1" */
extern const struct sa_format sa_format_word;      /* letters, digits, - _ . + */
extern const struct sa_format sa_format_env;       /* name of an environment variable */
extern const struct sa_format sa_format_package;   /* what pip or npm takes */

#endif
