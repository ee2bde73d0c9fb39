/* The object store of this process and what reads it. */
#ifndef SA_API_OBJECTS_H
#define SA_API_OBJECTS_H

#include "api/app.h"

/* Opens DATA_DIR/objects.db (blocks) and starts the informers. */
int sa_app_objects_open(struct sa_app *app, const char *data_dir, struct sa_error *err);
/* `closed` comes from the loop; at once when nothing was opened. */
void sa_app_objects_close(struct sa_app *app, void (*closed)(void *user), void *user);

#endif
