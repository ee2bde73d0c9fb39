/*
 * The part of a security context that is not about system calls, as the launcher needs it: what the
 * native driver can have of a profile, or the member that it cannot.
 */
#ifndef SA_NATIVE_CONTEXT_H
#define SA_NATIVE_CONTEXT_H

#include "native/host.h"
#include "nodelink/profile.h"

/* Folders that can be writable: bits of sa_context, and their paths. */
enum sa_folder {
    SA_FOLDER_WORKSPACE,
    SA_FOLDER_TMP,
    SA_FOLDER_HOME,
    SA_FOLDER_SHM,
    SA_FOLDER_COUNT
};
#define SA_FOLDERS_ALL ((1u << SA_FOLDER_COUNT) - 1)
extern const char *const sa_folders[SA_FOLDER_COUNT];

/* Devices that can be there, as bits; "tty" brings the terminals (ptmx, pts). */
enum sa_device {
    SA_DEVICE_NULL,
    SA_DEVICE_ZERO,
    SA_DEVICE_FULL,
    SA_DEVICE_RANDOM,
    SA_DEVICE_URANDOM,
    SA_DEVICE_TTY,
    SA_DEVICE_COUNT
};
extern const char *const sa_devices[SA_DEVICE_COUNT];

#define SA_COVER "/etc/secureagent/none" /* a file that nobody may open */

/* Plain data: it crosses to the child. */
struct sa_context {
    uint32_t uid, gid;
    uint64_t pids, open_files, file_bytes; /* pids, file_bytes: 0: no limit of its own */
    uint32_t writable, landlocked;         /* folders; the latter may be written under Landlock */
    uint32_t devices;
    uint32_t landlock; /* 0: not used */
};

/* -1 and SA_ECONTROL; the path is the member's name: "capabilities", "uid", "writablePaths",
 * "devices", "landlock", "no_new_privs", "rootfs.readonly", "netns", "proc.masked",
 * "limits.coreBytes". */
int sa_context_from(const struct sa_profile *profile, const struct sa_host *host,
                    struct sa_context *context, struct sa_error *err);

#endif
