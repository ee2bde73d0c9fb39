local function create(spec, metadata)
  return { operation = "CREATE", kind = "Sandbox", object = { metadata = metadata, spec = spec } }
end

local secret = { forbidden = { "labels.data=secret securityLevel=standard" } }

return {
  { name = "nothing is forbidden by default", input = create({ runtime = "bash" }), expect = { verdict = "allow" } },
  { name = "a delete combines nothing", input = { operation = "DELETE" }, params = secret, expect = { verdict = "allow" } },
  {
    name = "all of the conditions",
    input = create({ runtime = "python", securityLevel = "standard" }, { labels = { data = "secret" } }),
    params = secret,
    expect = {
      verdict = "deny",
      rule = "combinations/forbidden",
      reason = "this combination is not allowed here: labels.data=secret securityLevel=standard",
    },
  },
  {
    name = "what is not said is the default",
    input = create({ runtime = "python" }, { labels = { data = "secret" } }),
    params = secret,
    expect = { verdict = "deny" },
  },
  {
    name = "one of them does not hold",
    input = create({ runtime = "python", securityLevel = "high" }, { labels = { data = "secret" } }),
    params = secret,
    expect = { verdict = "allow" },
  },
  {
    name = "members deeper down",
    input = create({ runtime = "go", resources = { pids = 4096 } }),
    params = { forbidden = { "runtime=go resources.pids=????" } },
    expect = { verdict = "deny" },
  },
  {
    name = "a member below one that is none",
    input = create({ runtime = "go" }),
    params = { forbidden = { "runtime.version=*", "resources=*" } },
    expect = { verdict = "allow" },
  },
  {
    name = "annotations, and a condition that it be there",
    input = create({ runtime = "go" }, { annotations = { ["example.com/x"] = "1" } }),
    params = { forbidden = { "annotations.example.com/x" } },
    expect = { verdict = "deny" },
  },
}
