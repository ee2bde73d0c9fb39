#include "ipc.h"

#include "base/cleanup.h"
#include "link/methods.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/vfs.h>
#include <unistd.h>

#define QUEUES_MAGIC 0x19800202 /* of an mqueue file system, mq_overview(7) */
enum { SCANS_MAX = 16 };

/* Which ones there are is asked by index, with *_STAT_ANY: permissions do not hide them. */
#ifndef MSG_STAT_ANY
#define MSG_STAT_ANY 13
#endif
#ifndef SEM_STAT_ANY
#define SEM_STAT_ANY 20
#endif
#ifndef SHM_STAT_ANY
#define SHM_STAT_ANY 15
#endif

static int queues = -1;

void sa_ipc_init(void)
{
    struct statfs fs;
    if (fcntl(SA_BOOT_QUEUES_FD, F_GETFD) < 0)
        return;
    if (fstatfs(SA_BOOT_QUEUES_FD, &fs) < 0 || fs.f_type != QUEUES_MAGIC) {
        close(SA_BOOT_QUEUES_FD);
        return;
    }
    fcntl(SA_BOOT_QUEUES_FD, F_SETFD, FD_CLOEXEC);
    queues = SA_BOOT_QUEUES_FD;
}

bool sa_ipc_can_look(void)
{
    return queues >= 0;
}

/* --- System V --- */

union semun_ {
    int value;
    struct semid_ds *set;
    struct seminfo *info;
};

static int shm_used(int *last)
{
    struct shm_info info = {0};
    *last = shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&info);
    return *last < 0 ? -1 : info.used_ids;
}

static int shm_remove(int index)
{
    struct shmid_ds ds;
    int id = shmctl(index, SHM_STAT_ANY, &ds);
    return id < 0 ? 0 : shmctl(id, IPC_RMID, NULL);
}

static int sem_used(int *last)
{
    struct seminfo info = {0};
    *last = semctl(0, 0, SEM_INFO, (union semun_){.info = &info});
    return *last < 0 ? -1 : info.semusz;
}

static int sem_remove(int index)
{
    struct semid_ds ds;
    int id = semctl(index, 0, SEM_STAT_ANY, (union semun_){.set = &ds});
    return id < 0 ? 0 : semctl(id, 0, IPC_RMID);
}

static int msg_used(int *last)
{
    struct msginfo info = {0};
    *last = msgctl(0, MSG_INFO, (struct msqid_ds *)(void *)&info);
    return *last < 0 ? -1 : info.msgpool;
}

static int msg_remove(int index)
{
    struct msqid_ds ds;
    int id = msgctl(index, MSG_STAT_ANY, &ds);
    return id < 0 ? 0 : msgctl(id, IPC_RMID, NULL);
}

static const struct {
    const char *name;
    int (*used)(int *last);
    int (*remove)(int index);
} kinds[] = {
    {"System V shared memory", shm_used, shm_remove},
    {"System V semaphores", sem_used, sem_remove},
    {"System V message queues", msg_used, msg_remove},
};

static int clear(size_t kind, struct sa_error *err)
{
    int last, used = kinds[kind].used(&last);
    for (int i = 0; used > 0 && i <= last; i++)
        if (kinds[kind].remove(i) < 0)
            return sa_error_sys(err, SA_ECONFLICT, errno, "%s: cannot be removed",
                                kinds[kind].name);
    if (used > 0)
        used = kinds[kind].used(&last);
    if (used < 0)
        return sa_error_sys(err, SA_ECONFLICT, errno, "%s: cannot be looked at", kinds[kind].name);
    if (used > 0)
        return sa_error_set(err, SA_ECONFLICT, "%s: %d are left", kinds[kind].name, used);
    return 0;
}

/* --- POSIX --- */

/* How many there were; all are gone, but for what an error tells. */
static int clear_queues(struct sa_error *err)
{
    sa_autoclose int fd = openat(queues, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *d;
    int count = 0, rc = 0;
    if (!dir)
        return sa_error_sys(err, SA_ECONFLICT, errno, "POSIX message queues: cannot be listed");
    sa_steal_fd(&fd);
    while (rc == 0 && (d = readdir(dir))) {
        if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
            continue;
        count++;
        if (unlinkat(queues, d->d_name, 0) < 0)
            rc = sa_error_sys(err, SA_ECONFLICT, errno, "POSIX message queue: cannot be removed");
    }
    closedir(dir);
    return rc < 0 ? -1 : count;
}

int sa_ipc_clear(struct sa_error *err)
{
    int count = 1;
    for (size_t i = 0; i < SA_COUNT(kinds); i++)
        if (clear(i, err) < 0)
            return -1;
    for (int scan = 0; scan < SCANS_MAX && count > 0; scan++)
        count = clear_queues(err);
    if (count > 0)
        return sa_error_set(err, SA_ECONFLICT, "POSIX message queues: %d are left", count);
    return count;
}
