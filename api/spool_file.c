/* The file of a spool: opened when the first block is full, written one block at a time. */
#include "api/spool_private.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "log/log.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

struct opening {
    uv_work_t work;
    struct sa_spool *spool;
    const char *folder;
    int fd, error;
};

static void fail(struct sa_spool *s, int error)
{
    struct sa_spools *all = s->spools;
    s->file = FILE_FAILED;
    if (!all->complained) {
        struct sa_error why;
        sa_error_sys(&why, SA_EUNAVAILABLE, error, "cannot spool output in %s", all->folder);
        sa_log_warn("output is kept in memory only, and little of it", SA_LOG_ERR(&why));
        all->complained = true;
    }
    spool_trim(s);
}

static void tell_writable(struct sa_spool *s)
{
    if (!s->full_said || sa_spool_is_full(s) || s->freed)
        return;
    s->full_said = false;
    s->events->writable(s->user);
}

/* ---- opening ---- */

/* In a thread. A file without a name; where the file system has none, one whose name goes. */
static void open_file(uv_work_t *work)
{
    struct opening *o = work->data;
    o->fd = open(o->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (o->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT)) {
        sa_autofree char *path = sa_printf("%s/outputXXXXXX", o->folder);
        o->fd = mkostemp(path, O_CLOEXEC);
        if (o->fd >= 0)
            unlink(path);
    }
    o->error = errno;
}

static void on_opened(uv_work_t *work, int status)
{
    struct opening *o = work->data;
    struct sa_spool *s = o->spool;
    (void)status;
    s->busy--;
    s->fd = o->fd;
    if (o->fd >= 0)
        s->file = FILE_OPEN;
    else
        s->spools->figures.files--;
    if (s->freed) {
        spool_release(s);
    } else if (o->fd >= 0) {
        spool_write_out(s);
    } else {
        fail(s, o->error);
        tell_writable(s);
    }
    free(o);
}

static void open_later(struct sa_spool *s)
{
    struct sa_spools *all = s->spools;
    while (all->figures.files >= all->options.files_max)
        if (!all->options.relieve || !all->options.relieve(all->options.owner, true)) {
            fail(s, EMFILE);
            return;
        }
    struct opening *o = sa_alloc(sizeof *o);
    *o = (struct opening){.spool = s, .folder = all->folder, .fd = -1};
    o->work.data = o;
    s->file = FILE_OPENING;
    s->busy++;
    all->figures.files++;
    uv_queue_work(all->options.loop, &o->work, open_file, on_opened);
}

static void on_closed(uv_fs_t *fs)
{
    uv_fs_req_cleanup(fs);
    free(fs);
}

/* In a thread, too: letting go of the blocks of a file takes a while. */
void spool_close_file(struct sa_spool *s)
{
    if (s->fd < 0)
        return;
    uv_fs_t *fs = sa_alloc(sizeof *fs);
    uv_fs_close(s->spools->options.loop, fs, s->fd, on_closed);
    s->fd = -1;
    s->spools->figures.files--;
}

/* ---- writing ---- */

static int64_t place(const struct sa_spool *s, uint64_t number)
{
    return (int64_t)(number % s->ring) * SA_SPOOL_BLOCK_BYTES;
}

static void on_written(uv_fs_t *fs)
{
    struct sa_spool *s = fs->data;
    ssize_t result = fs->result;
    size_t wanted = spool_block(s, s->written)->length;
    uv_fs_req_cleanup(fs);
    s->writing = false;
    s->busy--;
    if (s->freed) {
        spool_release(s);
        return;
    }
    if (result != (ssize_t)wanted) {
        fail(s, result < 0 ? (int)-result : ENOSPC);
    } else {
        s->written++;
        spool_trim(s);
        spool_write_out(s);
    }
    tell_writable(s);
}

void spool_write_out(struct sa_spool *s)
{
    if (s->written == s->next || s->writing || s->file == FILE_OPENING || s->file == FILE_FAILED)
        return;
    if (s->file == FILE_NONE) {
        open_later(s);
        return;
    }
    struct block *block = spool_block(s, s->written);
    uv_buf_t buf = uv_buf_init(block->data, (unsigned)block->length);
    s->writing = true;
    s->busy++;
    s->write.data = s;
    uv_fs_write(s->spools->options.loop, &s->write, s->fd, &buf, 1, place(s, s->written),
                on_written);
}

/* ---- reading back ---- */

static void on_loaded(uv_fs_t *fs)
{
    struct load *l = fs->data;
    struct sa_spool_reader *r = l->reader;
    struct sa_spool *s = l->spool;
    bool whole = fs->result == (ssize_t)l->length;
    uv_fs_req_cleanup(fs);
    s->busy--;
    if (r) {
        r->load = NULL;
        /* Its place may have been given to another block in the meantime: then it is gone, and
         * the reader will see that. */
        if (l->number >= s->first) {
            r->block_number = l->number;
            r->block_bad = !whole;
            r->block = whole ? sa_steal(&l->data) : NULL;
        }
    }
    free(l->data);
    free(l);
    if (r)
        r->loaded(r->user);
    else
        spool_release(s);
}

void spool_load(struct sa_spool_reader *r)
{
    struct sa_spool *s = r->spool;
    if (r->load)
        return;
    struct load *l = sa_alloc(sizeof *l);
    *l = (struct load){
        .spool = s, .reader = r, .number = r->number, .length = spool_block(s, r->number)->length};
    l->data = sa_realloc(NULL, l->length);
    l->fs.data = r->load = l;
    s->busy++;
    uv_buf_t buf = uv_buf_init(l->data, (unsigned)l->length);
    uv_fs_read(s->spools->options.loop, &l->fs, s->fd, &buf, 1, place(s, l->number), on_loaded);
}
