/* How a client is told of a denial. */
#ifndef SA_API_DENIAL_H
#define SA_API_DENIAL_H

#include "http/http.h"
#include "policy/denial.h"

void sa_respond_denial(struct sa_http_request *request, const struct sa_denial *denial);
/* The member "details" of an error that is told otherwise than over HTTP. */
void sa_denial_print(const struct sa_denial *denial, struct sa_json_w *w);

#endif
