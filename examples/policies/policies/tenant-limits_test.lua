local function asks(spec)
  return { operation = "CREATE", kind = "Sandbox", object = { metadata = {}, spec = spec } }
end

return {
  { name = "small ones are made", input = asks({ resources = { memory = "512Mi", cpu = "500m" }, timeout = 600 }), expect = { verdict = "allow" } },
  {
    name = "what is too large may still end",
    input = { operation = "DELETE", kind = "Sandbox", old = { spec = { timeout = 86400 } } },
    expect = { verdict = "allow" },
  },
  { name = "nothing said is nothing exceeded", input = asks({}), expect = { verdict = "allow" } },
  {
    name = "memory",
    input = asks({ resources = { memory = "2Gi" } }),
    expect = { verdict = "deny", rule = "memory", reason = "at most 1024 MiB of memory" },
  },
  { name = "a number is bytes", input = asks({ resources = { memory = 2147483648 } }), expect = { verdict = "deny", rule = "memory" } },
  { name = "processors", input = asks({ resources = { cpu = 3 } }), expect = { verdict = "deny", rule = "cpu" } },
  { name = "time", input = asks({ timeout = 7200 }), expect = { verdict = "deny", rule = "timeout" } },
  {
    name = "another tenant's limits",
    input = asks({ resources = { memory = "2Gi" } }),
    params = { memory = "4Gi" },
    expect = { verdict = "allow" },
  },
}
