/* What a sandbox has used. The kernel counts from the beginning of its groups; when a sandbox is
 * counted anew, what was there by then is remembered and taken off. */
#include "native/driver.h"

#include "native/folder.h"

int64_t sa_sandbox_oom_counted(const struct sandbox *sb)
{
    const int64_t before = sb->record.before.oom_kills;
    return sb->oom_kills > before ? sb->oom_kills - before : 0;
}

static void take_off(int64_t *value, int64_t before)
{
    if (*value >= 0)
        *value = *value > before ? *value - before : 0;
}

/* As the kernel says. */
static void look(struct sandbox *sb, struct sa_native_stats *stats)
{
    *stats = (struct sa_native_stats){-1, -1, -1, -1, -1, -1, -1, -1};
    sa_memory_look(sb);
    stats->oom_kills = sb->oom_kills;
    if (sb->pid_namespace) {
        stats->memory_used = sb->watched_bytes;
        stats->memory_peak = sb->watched_peak;
        stats->memory_limit = sb->memory_bytes;
        stats->processes = sb->watched_processes;
    }
    sa_cgroup_stats(sb->native->groups, sb->child.group, stats);
    if (stats->memory_used > sb->seen_bytes)
        sb->seen_bytes = stats->memory_used;
}

/* What of it came since. */
static void only_since(const struct sandbox *sb, struct sa_native_stats *stats)
{
    const struct sa_counted *before = &sb->record.before;
    take_off(&stats->cpu_us, before->cpu_us);
    take_off(&stats->throttled_us, before->throttled_us);
    take_off(&stats->oom_kills, before->oom_kills);
    /* A peak of before hides all that are lower. */
    if (before->memory_peak && stats->memory_peak <= before->memory_peak)
        stats->memory_peak = sb->seen_bytes;
}

static int64_t least_zero(int64_t value)
{
    return value > 0 ? value : 0;
}

void sa_sandbox_count(struct sandbox *sb, struct sa_native_stats *stats)
{
    look(sb, stats);
    only_since(sb, stats);
}

int sa_sandbox_count_anew(struct sandbox *sb, struct sa_native_stats *stats, struct sa_error *err)
{
    struct sa_native_stats now;
    look(sb, &now);
    *stats = now;
    only_since(sb, stats);
    const bool forgotten =
        sb->pid_namespace || sa_cgroup_forget_peak(sb->native->groups, sb->child.group);
    sb->watched_peak = sb->watched_bytes;
    sb->seen_bytes = least_zero(now.memory_used);
    sb->record.before =
        (struct sa_counted){.cpu_us = least_zero(now.cpu_us),
                            .throttled_us = least_zero(now.throttled_us),
                            .memory_peak = forgotten ? 0 : least_zero(now.memory_peak),
                            .oom_kills = sb->oom_kills};
    return sa_folder_save(sb->native->host.folder, &sb->record, err);
}
