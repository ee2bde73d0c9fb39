/* Inside the making of the template root (template.c, template_files.c, devices.c). Paths without a
 * leading slash are below the tree that becomes the node's root. */
#ifndef SA_NATIVE_TEMPLATE_H
#define SA_NATIVE_TEMPLATE_H

#include "base/error.h"
#include "native/host.h"

#include <stddef.h>
#include <stdint.h>

/* -1, with "cannot WHAT PATH" and errno. */
int sa_template_failed(struct sa_error *err, const char *what, const char *path);
/* Make a folder (0755), or find it there. */
int sa_template_folder(const char *path, struct sa_error *err);
int sa_template_file(const char *path, const void *text, size_t length, struct sa_error *err);
/* Bind what is at `from`, and what is below it, to `to`, with these MOUNT_ATTR_ flags. */
int sa_template_bind(const char *from, const char *to, uint64_t attributes, struct sa_error *err);

/* Fill t/etc (template_files.c). */
int sa_template_files(const struct sa_go *go, struct sa_error *err);
/* Make v/0, v/1, ...: a /dev for each slot; only v/0 where device nodes cannot be made, and then
 * host->own_devices is false (devices.c). */
int sa_template_devices(struct sa_host *host, struct sa_error *err);

#endif
