/* The embedded store without a disk does what every store must. */
#include "conformance/conformance.h"

#include "embedded_target.h"

int main(void)
{
    const struct sa_conformance_target target = {.name = "embedded, in memory",
                                                 .open = embedded_target_open,
                                                 .close = embedded_target_close,
                                                 .history = EMBEDDED_TARGET_HISTORY};
    return sa_conformance_run(&target);
}
