/*
 * Bytes as the file of the last good generation. What is taken has its names in order and within
 * the caps, and is the same once it is kept and taken again.
 */
#include "lua/bundle.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/fdio.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void check(const struct sa_bundle *bundle)
{
    size_t bytes = 0;
    require(sa_bundle_count(bundle) <= SA_BUNDLE_FILES_MAX);
    for (size_t i = 0; i < sa_bundle_count(bundle); i++) {
        const struct sa_bundle_file *file = sa_bundle_file(bundle, i);
        bytes += file->length;
        require(file->text[file->length] == '\0' && file->origin);
        require(i == 0 || strcmp(sa_bundle_file(bundle, i - 1)->name, file->name) < 0);
    }
    require(bytes <= SA_BUNDLE_BYTES_MAX && strlen(sa_bundle_digest(bundle)) == 64);
}

static void keep_again(const struct sa_bundle *bundle)
{
    char folder[] = "/tmp/fuzz-kept-XXXXXX";
    require(mkdtemp(folder));
    sa_autofree char *path = sa_printf("%s/kept", folder);
    require(sa_bundle_save(bundle, path, NULL) == 0);
    struct sa_bundle *again = sa_bundle_load(path, NULL);
    require(again && strcmp(sa_bundle_digest(again), sa_bundle_digest(bundle)) == 0);
    require(sa_bundle_count(again) == sa_bundle_count(bundle));
    sa_bundle_unref(again);
    unlink(path);
    rmdir(folder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sa_error err = {0};
    sa_autoclose int fd = memfd_create("kept", MFD_CLOEXEC);
    require(fd >= 0 && sa_write_all(fd, (const char *)data, size) == 0);
    sa_autofree char *path = sa_printf("/proc/self/fd/%d", fd);
    struct sa_bundle *bundle = sa_bundle_load(path, &err);
    require(bundle || err.message[0]);
    if (bundle) {
        check(bundle);
        keep_again(bundle);
    }
    sa_bundle_unref(bundle);
    return 0;
}
