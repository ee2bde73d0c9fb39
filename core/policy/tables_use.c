/* Tables of what is asked while a sandbox is used: execute, files, packages, egress. */
#include "policy/tables.h"

#include "base/cleanup.h"

enum { MUST = SA_FIELD_REQUIRED };
#define ROW_SANDBOX(STRUCT)                                                                        \
    SA_ROW(STRUCT, sandbox, "sandbox", "the sandbox", .fields = sa_fields_sandbox)

/* ---- execute ---- */

const struct sa_policy_field sa_fields_run[] = {
    SA_ROW(sa_policy_run, timeout_ms, "timeoutMs", "milliseconds until it is ended; 0: the default",
           .flags = MUST, .high = 86400000),
    SA_ROW(sa_policy_run, memory_bytes, "memoryBytes",
           "bytes of address space of each process; 0: the sandbox's", .flags = MUST,
           .high = INT64_MAX),
    SA_ROW(sa_policy_run, cpu_seconds, "cpuSeconds",
           "seconds of processor time of each process; 0: no limit", .flags = MUST,
           .high = INT64_MAX),
    SA_ROW(sa_policy_run, file_size_bytes, "fileSizeBytes",
           "bytes of one file; 0: only the disk's size", .flags = MUST, .high = INT64_MAX),
    SA_ROW(sa_policy_run, open_files, "openFiles", "descriptors of each process; 0: the default",
           .flags = MUST, .high = 1048576),
    SA_ROWS_END};

static const char *const run_kinds[] = {"code", "command", "terminal", "context", "port", NULL};
const struct sa_policy_field sa_fields_execute[] = {
    SA_ROWS_WHO,
    ROW_SANDBOX(sa_policy_execute_input),
    SA_ROW(sa_policy_execute_input, kind, "kind",
           "what starts: code, a command, a terminal, a new context, a connection to a port",
           .values = run_kinds),
    SA_ROW(sa_policy_execute_input, language, "language", "of code and contexts"),
    SA_ROW(sa_policy_execute_input, program, "program",
           "last part of the path of a command's program; of a shell line its first word"),
    SA_ROW(sa_policy_execute_input, argv, "argv",
           "of a command, its first 32 KiB; a shell line is one element"),
    SA_ROW(sa_policy_execute_input, code, "code", "its first 48 KiB"),
    SA_ROW(sa_policy_execute_input, code_bytes, "codeBytes", "bytes of all of the code"),
    SA_ROW(sa_policy_execute_input, truncated, "truncated", "code, argv or envNames are cut"),
    SA_ROW(sa_policy_execute_input, cwd, "cwd", "the folder it starts in, if it was said"),
    SA_ROW(sa_policy_execute_input, context, "context", "id of the context it runs in"),
    SA_ROW(sa_policy_execute_input, env_names, "envNames", "names of the variables it is given"),
    SA_ROW(sa_policy_execute_input, background, "background", "nobody waits for it"),
    SA_ROW(sa_policy_execute_input, tty, "tty", "it has a terminal"),
    SA_ROW(sa_policy_execute_input, run, "run", "its limits", .fields = sa_fields_run),
    SA_ROWS_END};

/* ---- files ---- */

static const char *const file_operations[] = {"read",   "write",  "list", "stat",  "delete",
                                              "mkdir",  "move",   "copy", "chmod", "watch",
                                              "export", "import", "sign", NULL};
const struct sa_policy_field sa_fields_files[] = {
    SA_ROWS_WHO,
    ROW_SANDBOX(sa_policy_files_input),
    SA_ROW(sa_policy_files_input, operation, "operation", "what is done",
           .values = file_operations),
    SA_ROW(sa_policy_files_input, path, "path", "absolute and normalised"),
    SA_ROW(sa_policy_files_input, to, "to", "where move and copy lead, likewise"),
    SA_ROW(sa_policy_files_input, bytes, "bytes", "of what is written; -1: not known", .low = -1,
           .high = INT64_MAX),
    SA_ROW(sa_policy_files_input, recursive, "recursive",
           "of list and watch: with all that is below the folder, too"),
    SA_ROWS_END};

/* ---- packages ---- */

static const char *const managers[] = {"pip", "npm", NULL};
const struct sa_policy_field sa_fields_packages[] = {
    SA_ROWS_WHO,
    ROW_SANDBOX(sa_policy_packages_input),
    SA_ROW(sa_policy_packages_input, manager, "manager", "what installs it", .values = managers),
    SA_ROW(sa_policy_packages_input, name, "name", "its canonical name"),
    SA_ROW(sa_policy_packages_input, version, "version", "what was asked for (==1.2), if anything"),
    SA_ROWS_END};

/* ---- egress ---- */

static const struct sa_policy_field egress_rule[] = {
    SA_ROW(sa_policy_egress_rule, domain, "domain", "pypi.org, *.example.com"),
    SA_ROW(sa_policy_egress_rule, ports, "ports", "decimal; none: 443 and 80"), SA_ROWS_END};
const struct sa_policy_field sa_fields_grant[] = {
    SA_ROW(sa_policy_grant, bytes_per_second, "bytesPerSecond", "each way; 0: no limit",
           .flags = MUST, .high = INT64_MAX),
    SA_ROW(sa_policy_grant, connections, "connections", "at a time, of the sandbox; 0: no limit",
           .flags = MUST, .high = 1000000),
    SA_ROWS_END};
static const char *const protocols[] = {"http", "connect", "tls", NULL};
const struct sa_policy_field sa_fields_egress[] = {
    SA_ROWS_WHO,
    ROW_SANDBOX(sa_policy_egress_input),
    SA_ROW(sa_policy_egress_input, host, "host", "canonical name, or an address in its usual form"),
    SA_ROW(sa_policy_egress_input, port, "port", "the port", .low = 0, .high = 65535),
    SA_ROW(sa_policy_egress_input, protocol, "protocol", "how it was asked for",
           .values = protocols),
    SA_ROW(sa_policy_egress_input, sni, "sni", "the name in the TLS hello; absent: none seen"),
    SA_ROW(sa_policy_egress_input, address, "address", "what the host resolved to, once known"),
    SA_ROW(sa_policy_egress_input, address_is_public, "addressIsPublic",
           "the address is neither private, nor local, nor otherwise special"),
    SA_ROW(sa_policy_egress_input, host_is_address, "hostIsAddress", "the host is an address"),
    SA_ROW(sa_policy_egress_input, rules, "rules", "of the sandbox's networkAccess.egress",
           .fields = egress_rule, .size = sizeof(struct sa_policy_egress_rule)),
    SA_ROW(sa_policy_egress_input, grant, "grant", "how much of it", .fields = sa_fields_grant),
    SA_ROWS_END};
