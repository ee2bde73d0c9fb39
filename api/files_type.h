/* What a browser is told of a file. */
#ifndef SA_API_FILES_TYPE_H
#define SA_API_FILES_TYPE_H

#include "base/buf.h"

/* Media type by the name's ending; "application/octet-stream" when it tells nothing. */
const char *sa_media_type(const char *name);
/* Append the value of Content-Disposition (RFC 6266) that saves under `name`. */
void sa_content_disposition(const char *name, struct sa_buf *out);

#endif
