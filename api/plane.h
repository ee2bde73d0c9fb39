/* The control plane of this process below the API: the object store and its caches, the node and
 * its agent, security contexts, claims. Controllers are started beside it (main.c). */
#ifndef SA_API_PLANE_H
#define SA_API_PLANE_H

#include "api/app_run.h"

/* Opens DATA_DIR/objects.db (blocks) and starts the informers. */
int sa_plane_open(struct sa_app *app, const char *data_dir, struct sa_error *err);
/* The rest; app->policy is there. */
void sa_plane_start(struct sa_app *app, const struct sa_app_options *options);
/* What sa_plane_start() made; nobody uses it any more. */
void sa_plane_stop(struct sa_app *app);
/* `closed` comes from the loop; at once when nothing was opened. */
void sa_plane_close(struct sa_app *app, void (*closed)(void *user), void *user);

#endif
