local function file(operation, path, to, labels)
  return { operation = operation, path = path, to = to, sandbox = { id = "sb-1", labels = labels or {} } }
end

local keep = { protected = { "/workspace/keep" } }
local secret = { hidden = { "/workspace/secret" } }
local read_only = { ["read-only"] = "true" }

return {
  { name = "nothing is protected by default", input = file("delete", "/workspace/keep"), expect = { verdict = "allow" } },
  { name = "protected files are read", input = file("read", "/workspace/keep/a"), params = keep, expect = { verdict = "allow" } },
  {
    name = "and not written",
    input = file("write", "/workspace/keep/a"),
    params = keep,
    expect = { verdict = "deny", rule = "files/protected", reason = "/workspace/keep may not be changed (write /workspace/keep/a)" },
  },
  { name = "nor what they are in deleted", input = file("delete", "/workspace"), params = keep, expect = { verdict = "deny", rule = "files/protected" } },
  { name = "others are written", input = file("write", "/workspace/keeper"), params = keep, expect = { verdict = "allow" } },
  { name = "a folder above is no file in it", input = file("mkdir", "/workspace"), params = keep, expect = { verdict = "allow" } },
  { name = "copied from them", input = file("copy", "/workspace/keep/a", "/tmp/a"), params = keep, expect = { verdict = "allow" } },
  { name = "copied to them", input = file("copy", "/tmp/a", "/workspace/keep/a"), params = keep, expect = { verdict = "deny" } },
  { name = "moved from them", input = file("move", "/workspace/keep/a", "/tmp/a"), params = keep, expect = { verdict = "deny" } },
  {
    name = "hidden files are not read",
    input = file("read", "/workspace/secret/a"),
    params = secret,
    expect = { verdict = "deny", rule = "files/hidden" },
  },
  { name = "nor exported with others", input = file("export", "/workspace"), params = secret, expect = { verdict = "deny", rule = "files/hidden" } },
  { name = "nor written by a copy", input = file("copy", "/tmp/a", "/workspace/secret/a"), params = secret, expect = { verdict = "deny", rule = "files/hidden" } },
  {
    name = "nor listed or watched with what is above",
    input = { operation = "list", path = "/workspace", recursive = true, sandbox = { id = "sb-1", labels = {} } },
    params = secret,
    expect = { verdict = "deny", rule = "files/hidden" },
  },
  { name = "the folder above is listed", input = file("list", "/workspace"), params = secret, expect = { verdict = "allow" } },
  {
    name = "a read-only sandbox",
    input = file("write", "/tmp/a", nil, read_only),
    expect = { verdict = "deny", rule = "files/read-only" },
  },
  { name = "is read", input = file("read", "/tmp/a", nil, read_only), expect = { verdict = "allow" } },
  { name = "only true is", input = file("write", "/tmp/a", nil, { ["read-only"] = "false" }), expect = { verdict = "allow" } },
}
