/*
 * Archives as streams of entries, on a worker (api/thread.h): tar (ustar, pax, GNU), tar.gz and
 * zip, by libarchive, in bounded memory. Entries travel as bodies of SA_FILE_NAME, TYPE, SIZE,
 * MODE, MODIFIED_MS and TARGET (SA_MESSAGE_ENTRY), each followed by its bytes (SA_MESSAGE_BYTES).
 */
#ifndef SA_API_ARCHIVE_H
#define SA_API_ARCHIVE_H

#include "api/thread.h"
#include "link/fields.h"

#include <stdint.h>

enum sa_archive_format { SA_ARCHIVE_TAR, SA_ARCHIVE_TAR_GZ, SA_ARCHIVE_ZIP };

/* What an archive may hold. */
enum {
    SA_ARCHIVE_ENTRIES_MAX = 200000,
    SA_ARCHIVE_PATH_MAX = 2048,
    SA_ARCHIVE_DEPTH_MAX = 60,
    SA_ARCHIVE_RATIO_MAX = 200, /* unpacked : packed, beyond the following */
    SA_ARCHIVE_RATIO_FROM_BYTES = 64 * 1024 * 1024,
};
#define SA_ARCHIVE_BYTES_MAX ((int64_t)64 << 30)

/* What a worker runs.
 * write: gets entries and bytes, then END; puts bytes, then END, or ERROR.
 * read: gets bytes, then END; puts entries and bytes, then END, or ERROR whose path names the
 * entry. An ERROR's data is a struct sa_error. */
void sa_archive_write(struct sa_thread *worker, enum sa_archive_format format);
void sa_archive_read(struct sa_thread *worker, enum sa_archive_format format);

/* "tar", "tar.gz", "zip". */
int sa_archive_format_parse(const char *text, enum sa_archive_format *format, struct sa_error *err);
/* The name of an entry as a relative path without ".", empty and trailing parts; "" is the folder
 * itself. SA_EINVALID: absolute, "..", too long or deep, not UTF-8. */
int sa_archive_name(const char *name, char out[SA_ARCHIVE_PATH_MAX], struct sa_error *err);
/* Does a link of that name (as above) with that target stay within the archive? */
bool sa_archive_link_stays(const char *name, const char *target);

#endif
