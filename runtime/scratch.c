#include "scratch.h"

#include "boot.h"
#include "look.h"
#include "sealer.h"

static struct {
    bool noted;
    bool settled[SA_BOOT_SCRATCH_MAX];
    struct sa_facts facts[SA_BOOT_SCRATCH_MAX];
} scratch;

void sa_scratch_note(void)
{
    if (scratch.noted)
        return;
    scratch.noted = true;
    for (size_t i = 0; i < sa_boot.scratch_count; i++)
        scratch.settled[i] = sa_look_stat(sa_boot.scratch[i].fd, "", &scratch.facts[i]) == 0 &&
                             sa_sealer_is_settled(&scratch.facts[i]);
}

bool sa_scratch_is_new(int index)
{
    struct sa_facts now;
    if (!scratch.noted)
        return true; /* no program has been started */
    return scratch.settled[index] && sa_look_stat(sa_boot.scratch[index].fd, "", &now) == 0 &&
           now.ctime_ns == scratch.facts[index].ctime_ns;
}
