-- luacheck's settings for rules: what they find beside their own locals.
std = {
  read_globals = {
    -- of Lua
    "type", "tostring", "tonumber", "pairs", "ipairs", "next", "select", "unpack", "assert", "error", "math",
    "table", "string",
    -- lists and tables
    "has", "sort", "keys", "merge", "copy",
    -- strings
    "starts_with", "ends_with", "contains", "find", "glob", "split", "trim", "lines", "words", "mentions", "mentions_word",
    -- numbers, quantities, time
    "clamp", "round", "quantity", "millicores", "duration", "utc",
    -- names, addresses, paths
    "domain_matches", "ip_in", "path_under", "path_clean",
    -- verdicts
    "allow", "deny",
  },
}
max_line_length = false
-- decide(input, params) has both, needed or not
unused_args = false
