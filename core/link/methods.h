/*
 * What is asked of an execution-runtime over the link: methods, their fields, and the boot block
 * that the launcher hands over. Encoding: link/fields.h. Times are milliseconds, sizes bytes.
 * Paths are absolute inside the sandbox or relative to the first root (/workspace); ".." is
 * refused. Every path is resolved beneath one of the roots of the boot block with
 * openat2(RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS); the target of a link that leaves its root is
 * looked up as a path of its own, so links lead from root to root but never out.
 *
 * Errors of files: SA_EINVALID (bad path, not a file), SA_ENOTFOUND, SA_EFORBIDDEN (outside of the
 * roots, permissions, read-only), SA_ECONFLICT (exists, not empty, changed meanwhile), SA_EQUOTA
 * (no space), SA_ETOOLARGE, SA_ECANCELED after a CANCEL.
 */
#ifndef SA_LINK_METHODS_H
#define SA_LINK_METHODS_H

#include "link/fields.h"

enum sa_link_method {
    /* Run a program. OPEN: exec tags. Opener sends DATA/EOF on channel 0 (stdin) when
     * SA_EXEC_STDIN or SA_EXEC_CODE_BYTES is set, and NOTEs with SA_EXEC_SIGNAL. Runtime sends a
     * NOTE with SA_EXEC_PID once it runs, DATA and EOF on channels 1 and 2, then END with the
     * result tags. CANCEL kills it (TERM, then KILL) and END has status "canceled"; so does the
     * timeout
     * ("timeout"). Both end all that the program started, background too, and END comes when
     * nothing of it lives.
     *
     * When the program exits by itself, END waits until both pipes are closed, or until whoever
     * holds them in the background has been quiet for 50 ms, at most 500 ms; what the program
     * wrote is never lost. Background processes live on (SA_EXEC_LEFT); their output is dropped.
     *
     * When it cannot be started END is an error and no NOTE came. Its path names what is wrong:
     * "command" (SA_ENOTFOUND, SA_EFORBIDDEN, SA_EINVALID, SA_ETOOLARGE), "cwd", "env", "rlimit",
     * "timeoutMs", "seccomp" (SA_ECONTROL). SA_EQUOTA: there can be no more processes. */
    SA_METHOD_EXEC = 1,
    /* Runtime sends a NOTE with the entry (SA_FILE_* below), DATA on 0, EOF, END: all of what the
     * entry's size says, or of it what lies behind OFFSET, within LENGTH, or the last SUFFIX. */
    SA_METHOD_FILE_READ = 10,
    /* Opener sends DATA on 0 and EOF; the file is replaced atomically at EOF, or untouched when
     * the stream ends otherwise. END: the entry, SA_FILE_CREATED 1 when it is new. SA_FILE_IF_*
     * are checked at once and again at the moment of replacing: SA_ECONFLICT, whose path is the
     * header's name ("If-Match", "If-None-Match", "If-Unmodified-Since"). */
    SA_METHOD_FILE_WRITE = 11,
    SA_METHOD_FILE_STAT = 12, /* END: the entry; a link is not followed */
    /* NOTEs, each one SA_FILE_ENTRY body per entry (several fields a note), sorted by name within
     * a folder; then END with SA_FILE_COUNT. SA_FILE_LIMIT stops after so many, and END has a
     * SA_FILE_CURSOR where there is more: with it in the request the listing goes on behind it.
     * SA_FILE_GLOB lists only what matches (glob.h). */
    SA_METHOD_FILE_LIST = 13,
    SA_METHOD_FILE_MKDIR = 14, /* parents too; END: the entry */
    /* SA_FILE_PATH to SA_FILE_TO, as rename(2): replaces a file, or with SA_FILE_KEEP nothing
     * (SA_ECONFLICT). From root to root it is copied, put in place in one step, and only then
     * removed where it was. END: the entry, SA_FILE_CREATED. */
    SA_METHOD_FILE_MOVE = 15,
    SA_METHOD_FILE_REMOVE =
        16, /* SA_FILE_RECURSIVE, IF_*; END: SA_FILE_COUNT of what was removed */
    /* As MOVE, and what was there stays. A folder with all that is in it; links as links. The copy
     * shows only when it is whole. SA_EINVALID for what is no file, folder or link. */
    SA_METHOD_FILE_COPY = 17,
    SA_METHOD_FILE_CHMOD = 18, /* SA_FILE_MODE; follows links; END: the entry */
    /* Endless until CANCEL: a NOTE without fields once it watches, then NOTEs of SA_FILE_EVENT
     * bodies. SA_FILE_RECURSIVE: all folders below, new ones too; what was made in a new folder
     * before it was watched is reported as created. What happens faster than it is taken is
     * reported as one SA_FILE_EVENT "overflow". SA_EQUOTA when there can be no more watches. */
    SA_METHOD_FILE_WATCH = 19,
    /* A tree as one stream: for each entry below SA_FILE_PATH a NOTE (SA_FILE_NAME is its path
     * below it, as bytes) and, of a file, as many bytes of DATA on 0 as its size says; then EOF,
     * END with SA_FILE_COUNT. What is no file, folder or link is left out. Of a file: itself. */
    SA_METHOD_FILE_EXPORT = 23,
    /* The way back: the opener sends NOTEs and DATA as EXPORT does (SA_FILE_NAME, TYPE, MODE,
     * MODIFIED_MS, TARGET; DATA of any length until the next NOTE), then EOF, and each entry is put
     * below the folder SA_FILE_PATH (made where missing) when the next one begins, in one step.
     * A NOTE without fields only ends the file before it. No link below it is followed. END:
     * SA_FILE_COUNT of what is in place. An error names the entry as its path, and its message says
     * how many were put in place before. */
    SA_METHOD_FILE_IMPORT = 24,
    /* Connect to a TCP server inside: SA_PORT_NUMBER, on 127.0.0.1, else ::1. Runtime sends a NOTE
     * with SA_PORT_NUMBER once connected; the opener's DATA on 0 goes to the server, what comes
     * back is DATA on 1; EOF on either is a half close. END when both are closed, or an error:
     * SA_EUNAVAILABLE nobody listens. CANCEL resets the connection. */
    SA_METHOD_PORT_CONNECT = 30,
    /* END: a SA_PORT_LISTENER body for each TCP socket that listens inside, sorted by port. */
    SA_METHOD_PORT_LIST = 31,
    SA_METHOD_USAGE = 20, /* END: SA_USAGE_* */
    /* Wipe nothing, just stop: TERM to all, KILL after the grace, then PID 1 exits 0. */
    SA_METHOD_SHUTDOWN = 22,
    /* SA_CLOCK_HELD 1: stop the clock by which timeouts count, until it comes with 0: the sandbox
     * is about to be frozen, or was. END: nothing. */
    SA_METHOD_CLOCK = 40,
    /* What makes the sandbox somebody's, once, after it was claimed: SA_SETUP_ENV, on top of the
     * boot environment for every program from now on, templates too. SA_ECONFLICT the second time
     * without a RESET in between. END: nothing. */
    SA_METHOD_SETUP = 50,
    /* Remember all that can be written, as it is now (after preloads), as the pristine state:
     * paths, types, modes, sizes, contents, extended attributes of every writable root. Ends what
     * still runs and all open calls first; a template is started anew. END: SA_RESET_FINGERPRINT.
     * SA_EQUOTA when it is too much to remember, SA_ECONTROL when something could be left behind
     * where nobody can look, SA_ECONFLICT the second time. */
    SA_METHOD_SEAL = 51,
    /* Make it as it was when it was sealed: end every process and template, remove or undo whatever
     * was written, System V and POSIX IPC, shared memory, timers, the environment of SETUP; then
     * look at everything again. Open calls end first, as canceled, and nothing but SHUTDOWN is
     * served until the END: SA_RESET_FINGERPRINT, the same as SEAL's, and SA_RESET_KILLED,
     * SA_RESET_REMOVED, SA_RESET_LOOKED. SA_ECONFLICT: something differs or could not be removed
     * (path: what, in plain ASCII; the message: how), and the sandbox must go. Templates are for
     * whoever wants them to warm again. CANCEL leaves it half done: it must be asked for again. */
    SA_METHOD_RESET = 52,
};

enum sa_setup_tag { SA_SETUP_ENV = 2 /* repeated "NAME=value" */ };
enum sa_reset_tag {
    SA_RESET_FINGERPRINT = 2, /* SHA-256, in hex */
    SA_RESET_KILLED = 3,      /* processes */
    SA_RESET_REMOVED = 4,     /* files and folders */
    SA_RESET_LOOKED = 5,      /* entries of folders and their names that were looked at */
};

enum sa_clock_tag { SA_CLOCK_HELD = 2 };

enum sa_exec_tag {
    SA_EXEC_ARGV = 2,       /* repeated; the program is looked up in PATH of the environment */
    SA_EXEC_ENV = 3,        /* repeated "NAME=value"; on top of the boot environment */
    SA_EXEC_CWD = 4,        /* default /workspace */
    SA_EXEC_STDIN = 5,      /* 1: a pipe fed by the opener; absent or 0: /dev/null */
    SA_EXEC_TIMEOUT_MS = 6, /* wall time, 1 ms to 7 days; absent: none */
    SA_EXEC_GRACE_MS = 7,   /* between TERM and KILL; default 500 */
    SA_EXEC_FILTER = 8,     /* name of a seccomp filter of the boot block; default
                             "default"; without it nothing is started */
    SA_EXEC_CODE_BYTES = 9, /* the first so many bytes on channel 0 (1 to SA_EXEC_CODE_MAX) are
                               code, offered to the program as read-only descriptor 3; it starts
                               once they are there, and what follows is stdin */
    SA_EXEC_OUT_MAX = 10,   /* most bytes forwarded on each of stdout, stderr; the rest is read,
                               counted, and dropped; default 1 GiB */
    SA_EXEC_RLIMIT = 11,    /* repeated "nofile=1024:2048" (getrlimit(2) names, lower case) */
    SA_EXEC_TTY = 12,       /* a terminal of its own instead of pipes: rows << 16 | columns
                             (1 to 4096 each); stdin is DATA on 0 and EOF on 0 hangs up; all
                             output is on channel 1; the program leads a session */
    SA_EXEC_CONTROL = 13,   /* 1: one end of a socketpair is the program's descriptor 3 (it may not
                             be combined with CODE_BYTES), the other is channel 3, both ways:
                             how a kernel is driven. Bytes on 1 and 2 that the program wrote
                             before something on 3 are sent before it. */
    SA_EXEC_TEMPLATE = 14,  /* name of the template ("python"): fork from the process that waits
                             with its imports done; where there is none yet it is started for
                             next time, and this time the program is started from ARGV. With
                             CONTROL: from one that is there, and has imported what contexts need */
    SA_EXEC_IMPORT = 15,    /* repeated: modules that the template imports; none: those that the
                               last one was to import, if any */
    SA_EXEC_WARM = 16,      /* 1: wait until the template can be forked from, which is started for
                               this, rather than start from ARGV; at most 30 s */
    SA_EXEC_SIGNAL = 20,    /* NOTE to the runtime: signal number to the process group */
    SA_EXEC_PID = 21,       /* NOTE from the runtime: pid inside the sandbox */
    SA_EXEC_WINDOW = 22,    /* NOTE to the runtime: new size of the terminal, as SA_EXEC_TTY */
    SA_EXEC_STATUS = 30,    /* END: "exited", "signaled", "timeout", "canceled" */
    SA_EXEC_EXIT_CODE = 31, /* when exited */
    SA_EXEC_EXIT_SIGNAL = 32, /* when it died by a signal (any status) */
    SA_EXEC_DURATION_US = 33,
    SA_EXEC_CPU_US = 34,
    SA_EXEC_MEMORY_PEAK = 35, /* ru_maxrss of the largest process, bytes */
    SA_EXEC_OUT_TOTAL = 36,   /* bytes that the program wrote on stdout */
    SA_EXEC_ERR_TOTAL = 37,
    SA_EXEC_LEFT = 38, /* processes of it that still run in the background */
};

enum { SA_EXEC_CODE_MAX = 16 * 1024 * 1024 };

enum sa_port_tag {
    SA_PORT_NUMBER = 2,
    SA_PORT_LISTENER = 10, /* body of the following: */
    SA_PORT_ADDRESS = 11,  /* "127.0.0.1", "::", ... */
    SA_PORT_PID = 12,      /* inside; absent: unknown */
    SA_PORT_PROGRAM = 13,  /* its name, made printable; absent: unknown */
};

enum sa_file_tag {
    SA_FILE_PATH = 2,
    SA_FILE_TO = 3,
    SA_FILE_RECURSIVE = 4,
    SA_FILE_MODE = 5,           /* permission bits; for a new file 0644, kept for a replaced one */
    SA_FILE_PARENTS = 6,        /* FILE_WRITE: 1 makes missing folders */
    SA_FILE_OFFSET = 7,         /* FILE_READ */
    SA_FILE_LENGTH = 8,         /* FILE_READ */
    SA_FILE_SUFFIX = 9,         /* FILE_READ */
    SA_FILE_IF_MATCH = 10,      /* repeated: a version, or "*": there must be one */
    SA_FILE_IF_NONE_MATCH = 11, /* repeated: a version, or "*": there must be none */
    SA_FILE_IF_UNMODIFIED_S = 12, /* not modified after that second */
    SA_FILE_GLOB = 13,
    SA_FILE_LIMIT = 14,
    SA_FILE_CURSOR = 15, /* bytes */
    SA_FILE_KEEP = 16,   /* 1: replace nothing */
    SA_FILE_ENTRY = 20,  /* body of the following: */
    SA_FILE_NAME = 21,   /* last component; bytes that are not UTF-8 are replaced */
    SA_FILE_TYPE = 22,   /* "file" "directory" "symlink" "fifo" "socket" "device" */
    SA_FILE_SIZE = 23,
    SA_FILE_MODIFIED_MS = 24,
    SA_FILE_TARGET = 25,      /* of a symlink */
    SA_FILE_VERSION = 26,     /* text that changes with the contents: the etag, unquoted */
    SA_FILE_FULL_PATH = 27,   /* canonical, absolute */
    SA_FILE_PERMISSIONS = 28, /* mode & 07777 */
    SA_FILE_CREATED = 30,
    SA_FILE_COUNT = 31,
    SA_FILE_EVENT = 32,      /* body of SA_FILE_EVENT_TYPE, FULL_PATH, TYPE and EVENT_FROM */
    SA_FILE_EVENT_TYPE = 33, /* "create" "write" "remove" "rename" "chmod" "overflow" */
    SA_FILE_EVENT_FROM = 34, /* of a rename: where it was */
};

enum sa_usage_tag {
    SA_USAGE_PROCESSES = 2,
    SA_USAGE_CPU_US = 3,       /* since the sandbox began, of all its processes */
    SA_USAGE_MEMORY_BYTES = 4, /* resident, anonymous and shared memory of all processes */
    SA_USAGE_DISK_BYTES = 5,
    SA_USAGE_DISK_LIMIT = 6,
    SA_USAGE_INODES = 7,
    SA_USAGE_INODES_LIMIT = 8,
};

/*
 * The boot block: the launcher starts the runtime with its door on descriptor 3 and this body in
 * a sealed memfd on descriptor 4; no argument and no environment matters. The runtime reads it
 * once, closes it, and makes itself non-dumpable. It must be process 1 of its pid namespace, and
 * see /proc of it; when something is wrong with the block it says so on standard error and exits
 * with 1.
 *
 * The door is a datagram socket (unix(7)). Each message of one byte brings a stream socket
 * (SCM_RIGHTS), a link: the runtime sends HELLO on it. A link that comes replaces the one before,
 * whose calls end as canceled; programs that run for such a call are killed, files and what an
 * ended call left in the background stay, and the clock (SA_METHOD_CLOCK) runs. Whoever has a
 * link has the sandbox: only the launcher may reach the door. Without a link for
 * SA_BOOT_ORPHAN_MS the runtime exits, and that is the end of the sandbox.
 */
enum sa_boot_tag {
    SA_BOOT_ENV = 2,       /* repeated "NAME=value": environment of every program */
    SA_BOOT_ROOT = 3,      /* repeated: writable roots: "/workspace" first, "/tmp", the home */
    SA_BOOT_READ_ROOT = 4, /* repeated: roots that may be read but not written, e.g. "/usr" */
    SA_BOOT_FILTER = 5,    /* repeated: a body of SA_FILTER_NAME and SA_FILTER_PROGRAM */
    SA_BOOT_OOM_SCORE = 6, /* oom_score_adj of started programs; default 500 */
    SA_BOOT_RLIMIT = 7,    /* repeated, as SA_EXEC_RLIMIT: of every program */
    SA_BOOT_SCRATCH = 8,   /* repeated: a writable folder that no method reaches, as a cache is;
                              SEAL and RESET look at it, too */
    SA_BOOT_ORPHAN_MS = 9, /* default 120,000 */
};
enum sa_filter_tag {
    SA_FILTER_NAME = 1,
    SA_FILTER_PROGRAM = 2, /* array of struct sock_filter */
};
enum {
    SA_BOOT_LINK_FD = 3,
    SA_BOOT_BLOCK_FD = 4,
    SA_BOOT_QUEUES_FD = 5, /* may be missing: the folder of an mqueue file system of the sandbox */
};

#endif
