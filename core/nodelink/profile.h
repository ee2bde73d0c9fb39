/*
 * A profile: the security context of sandboxes, complete, as the node is told it (PROFILE). It is
 * registered once and kept by its id, which CREATE then names; so a create carries no lists, and
 * filters are compiled once for all that are alike.
 *
 *   SA_PROFILE_ID           digest of the rest, chosen by the control plane: 16 to 64 of 0-9 a-f
 *   SA_PROFILE_UID, GID     inside
 *   SA_PROFILE_FLAGS        bits of enum sa_profile_flag
 *   SA_PROFILE_PIDS         most processes and threads; 0: what each sandbox asks for. The smaller
 *                           of the two holds
 *   SA_PROFILE_OPEN_FILES   descriptors of a process
 *   SA_PROFILE_FILE_BYTES   largest file; 0: what the disk holds
 *   SA_PROFILE_CORE_BYTES   largest core dump; 0: none
 *   SA_PROFILE_CAPABILITY   repeated: "CAP_..." that is kept
 *   SA_PROFILE_WRITABLE     repeated: folders that can be written
 *   SA_PROFILE_LANDLOCK     repeated: folders that Landlock lets be written
 *   SA_PROFILE_DEVICE       repeated: names in /dev
 *   SA_PROFILE_FILTER       repeated, a body: SA_FILTER_LANGUAGE, then SA_FILTER_ALLOW and
 *                           SA_FILTER_TELLING repeated: names of system calls and "@sets"
 *
 * All but the lists must be there, once. What this says is a wish: a node that cannot meet all of
 * it refuses the profile (SA_ECONTROL, the path names the member), and its floor (SECURITY.md)
 * holds whatever is said.
 */
#ifndef SA_NODELINK_PROFILE_H
#define SA_NODELINK_PROFILE_H

#include "nodelink/nodelink.h"

enum {
    SA_PROFILE_ID_BYTES = 65,
    SA_PROFILE_LIST_MAX = 64,
    SA_PROFILE_FILTERS_MAX = 8,
    SA_FILTER_NAMES_MAX = 512,
    SA_FILTER_NAME_BYTES = 32,
    SA_PROFILE_TEXT_BYTES = 128, /* of a path or name */
    SA_PROFILE_USER_MAX = 65534, /* uid and gid: the next one is the same in all sandboxes */
};

enum sa_profile_tag {
    SA_PROFILE_ID = 50, /* also of CREATE */
    SA_PROFILE_UID = 51,
    SA_PROFILE_GID = 52,
    SA_PROFILE_FLAGS = 53,
    SA_PROFILE_PIDS = 54,
    SA_PROFILE_OPEN_FILES = 55,
    SA_PROFILE_FILE_BYTES = 56,
    SA_PROFILE_CORE_BYTES = 57,
    SA_PROFILE_CAPABILITY = 58,
    SA_PROFILE_WRITABLE = 59,
    SA_PROFILE_LANDLOCK = 60,
    SA_PROFILE_DEVICE = 61,
    SA_PROFILE_FILTER = 62,
};
enum sa_profile_filter_tag {
    SA_FILTER_LANGUAGE = 1,
    SA_FILTER_ALLOW = 2,
    SA_FILTER_TELLING = 3,
};

enum sa_profile_flag {
    SA_PROFILE_NO_NEW_PRIVS = 1,
    SA_PROFILE_READ_ONLY_ROOT = 2,
    SA_PROFILE_PRIVATE_NETWORK = 4,
    SA_PROFILE_MASK_PROC = 8,
    SA_PROFILE_USE_LANDLOCK = 16,
    SA_PROFILE_FLAGS_ALL = 31,
};

struct sa_text_list {
    char **items;
    size_t count;
};
bool sa_text_list_has(const struct sa_text_list *list, const char *text);

struct sa_profile_filter {
    char language[SA_FILTER_NAME_BYTES]; /* "base": of everything; else as SA_EXEC_FILTER */
    struct sa_text_list allow, telling;
};

struct sa_profile {
    char id[SA_PROFILE_ID_BYTES];
    int64_t uid, gid, pids, open_files, file_bytes, core_bytes;
    unsigned flags;
    struct sa_text_list capabilities, writable, landlock, devices;
    struct sa_profile_filter filters[SA_PROFILE_FILTERS_MAX];
    size_t filter_count;
};
/* Lists and their texts are malloc'd. */
void sa_profile_deinit(struct sa_profile *profile);
bool sa_profile_id_valid(const char *id);
/* The fields of a PROFILE without its id: what the id is a digest of. */
void sa_profile_encode(const struct sa_profile *profile, struct sa_buf *out);
/* -1 and SA_EPROTOCOL: not such a body; everything is checked but whether it can be had. */
int sa_profile_decode(const void *body, size_t length, struct sa_profile *profile,
                      struct sa_error *err);

#endif
