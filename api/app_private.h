/* What app.c (requests) and app_run.c (start and stop) share. */
#ifndef SA_API_APP_PRIVATE_H
#define SA_API_APP_PRIVATE_H

#include "api/app_run.h"

void sa_app_dispatch(struct sa_http_request *request, void *user);
void sa_app_completed(const struct sa_http_completion *completion, void *user);
void sa_app_add_metrics(struct sa_app *app);
void sa_app_add_routes(struct sa_app *app);

#endif
