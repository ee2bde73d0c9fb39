/*
 * The data directory of a server on this machine:
 *
 *   DATA/            0711 as root (the API, another user then, must get to its folder), else 0700
 *   DATA/api/        0700, owned by the user that the API runs as: the database
 *   DATA/node/       0700: what the node knows of its sandboxes
 *   DATA/node.sock   0600, of that user: the node's (nodelink/nodelink.h)
 *   DATA/cli.json    0600, {"url","apiKey"[,"tlsCert"]}: how commands on this machine find it
 *   DATA/lock        kept locked while a supervisor, or what it started, is running
 */
#ifndef SA_CLI_DATADIR_H
#define SA_CLI_DATADIR_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct sa_datadir {
    char *path;     /* real path */
    char *api;      /* path/api */
    char state[32]; /* stable name made from the path: names the node's cgroups */
    int lock;       /* this process holds it alone; close-on-exec */
    int family;     /* a lock that the children inherit, so that the next supervisor can wait
                       until the last of them has gone */
    bool reachable; /* may the API's user walk to `api`? */
};

/* The default: /var/lib/secureagent as root, else $XDG_DATA_HOME/secureagent or
 * ~/.local/share/secureagent. malloc'd. */
char *sa_datadir_default(void);

/* Make what is missing and take the lock, waiting up to `wait_ms` for what a killed supervisor
 * left running. `api_uid` owns DATA/api (-1: this user). SA_ECONFLICT: another supervisor runs
 * here. Free with sa_datadir_close(), also after a failure. */
int sa_datadir_open(struct sa_datadir *dir, const char *path, int64_t api_uid, int wait_ms,
                    struct sa_error *err);
void sa_datadir_close(struct sa_datadir *dir);

/* cli.json. `tls_cert` may be NULL. Replaced atomically. */
int sa_clifile_write(const char *data_dir, const char *url, const char *key, const char *tls_cert,
                     struct sa_error *err);
struct sa_clifile {
    char *url, *key, *tls_cert; /* malloc'd; tls_cert may be NULL */
};
/* SA_ENOTFOUND when there is none. */
int sa_clifile_read(const char *data_dir, struct sa_clifile *out, struct sa_error *err);
void sa_clifile_deinit(struct sa_clifile *file);

#endif
