/* The syntax of names, as Kubernetes has it. */
#ifndef SA_BASE_NAMES_H
#define SA_BASE_NAMES_H

#include <stdbool.h>

enum { SA_SUBDOMAIN_MAX = 253, SA_LABEL_WORD_MAX = 63 };

/* A DNS subdomain (RFC 1123): labels of a-z 0-9 -, joined by dots. */
bool sa_is_subdomain(const char *name);
/* Of labels, annotations and finalizers: "name" or "prefix.example.com/name". */
bool sa_is_qualified_name(const char *key);
/* "", or at most 63 letters, digits, - _ . with a letter or digit at both ends. */
bool sa_is_label_value(const char *value);

#endif
