/* Folders on their way in and out, as tar streams (libarchive). */
#ifndef SA_CLI_CP_ARCHIVE_H
#define SA_CLI_CP_ARCHIVE_H

#include "client.h"
#include "progress.h"

/* POST what is in `folder` to `url`. A thread reads the disk meanwhile. */
int sa_cp_send_folder(struct sa_client *client, const char *url, const char *folder,
                      struct sa_progress *progress, struct sa_error *err);
/* GET `url` and unpack it into `folder`, which is made. What comes is not trusted: nothing is
 * written outside of the folder, no link is followed, no owner and no set-uid bit is kept. */
int sa_cp_receive_folder(struct sa_client *client, const char *url, const char *folder,
                         struct sa_progress *progress, struct sa_error *err);

#endif
