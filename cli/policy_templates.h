/* Files that `policy new` writes, built in (tools/embed.py): a rule to begin with and its test for
 * each decision point, with @NAME@ where the rule's name goes, and what editors and luacheck need.
 */
#ifndef SA_CLI_POLICY_TEMPLATES_H
#define SA_CLI_POLICY_TEMPLATES_H

#include <stddef.h>

struct sa_embedded {
    const char
        *name; /* in the source tree: "cli/policy_templates/execute.lua", "lua/.luacheckrc" */
    const unsigned char *data;
    size_t length;
};
extern const struct sa_embedded sa_policy_templates[]; /* ends with a NULL name */

#endif
