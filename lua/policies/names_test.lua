local function create(name, role)
  return {
    operation = "CREATE",
    kind = "Sandbox",
    user = { name = "alice", role = role or "developer" },
    object = { metadata = { name = name }, spec = { runtime = "python" } },
  }
end

return {
  { name = "any name by default", input = create("build-7"), expect = { verdict = "allow" } },
  { name = "none, too", input = create(nil), expect = { verdict = "allow" } },
  { name = "names do not change later", input = { operation = "UPDATE", object = {} }, expect = { verdict = "allow" } },
  {
    name = "pools have names of their own",
    input = { operation = "CREATE", kind = "WarmPool", object = { metadata = { name = "prod-pool" }, spec = {} } },
    params = { patterns = { "build-*" } },
    expect = { verdict = "allow" },
  },
  {
    name = "a name is needed",
    input = create(nil),
    params = { required = true },
    expect = { verdict = "deny", rule = "names/required" },
  },
  {
    name = "reserved",
    input = create("prod-1"),
    params = { reserved = { "prod-*" } },
    expect = { verdict = "deny", rule = "names/reserved", reason = "names like prod-* are reserved" },
  },
  {
    name = "not for admins",
    input = create("prod-1", "admin"),
    params = { reserved = { "prod-*" } },
    expect = { verdict = "allow" },
  },
  {
    name = "like one of the patterns",
    input = create("ci-9"),
    params = { patterns = { "dev-*", "ci-*" } },
    expect = { verdict = "allow" },
  },
  {
    name = "like none of them",
    input = create("box"),
    params = { patterns = { "dev-*", "ci-*" } },
    expect = { verdict = "deny", rule = "names/pattern", reason = "the name must be like dev-* or ci-*" },
  },
}
