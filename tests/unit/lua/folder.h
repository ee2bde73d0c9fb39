/* A folder of rules for a test, below the temporary one; what fails, fails the test. */
#ifndef SA_TEST_LUA_FOLDER_H
#define SA_TEST_LUA_FOLDER_H

#include <stddef.h>

struct folder {
    char path[160];
};

void folder_make(struct folder *folder);
void folder_remove(const struct folder *folder); /* with all in it; may be gone */

/* Names are relative to the folder; missing folders on the way are made. */
void folder_write(const struct folder *folder, const char *name, const char *text);
void folder_write_bytes(const struct folder *folder, const char *name, const void *data,
                        size_t length);
/* As editors do: written beside it, renamed over it. */
void folder_replace(const struct folder *folder, const char *name, const char *text);
void folder_link(const struct folder *folder, const char *target, const char *name);
/* A symbolic link that is replaced at once, as Kubernetes does with "..data". */
void folder_relink(const struct folder *folder, const char *target, const char *name);
void folder_delete(const struct folder *folder, const char *name);
void folder_rename(const struct folder *folder, const char *from, const char *to);

#endif
