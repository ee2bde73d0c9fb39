/* The embedded store on SQLite does what every store must. */
#include "conformance/conformance.h"

#include "embedded_target.h"

int main(void)
{
    bool on_disk = true;
    const struct sa_conformance_target target = {.name = "embedded, on SQLite",
                                                 .open = embedded_target_open,
                                                 .close = embedded_target_close,
                                                 .user = &on_disk,
                                                 .history = EMBEDDED_TARGET_HISTORY};
    return sa_conformance_run(&target);
}
