local function create(spec)
  return { operation = "CREATE", kind = "Sandbox", object = { spec = spec } }
end

return {
  {
    name = "without parameters nothing is limited",
    input = create({ resources = { cpu = "64", memory = "1Ti", pids = 30000 }, timeout = 86400 }),
    expect = { verdict = "allow" },
  },
  {
    name = "what just fits",
    input = create({ resources = { cpu = "1500m", memory = "1Gi", ephemeralStorage = "1Mi", pids = 64 }, timeout = 60, env = { A = "***" } }),
    params = { cpu = 1.5, memory = "1Gi", storage = "1Mi", pids = 64, timeout = "1m", env = 1 },
    expect = { verdict = "allow" },
  },
  {
    name = "cpu",
    input = create({ resources = { cpu = "2500m" } }),
    params = { cpu = 2 },
    expect = { verdict = "deny", rule = "limits/cpu", reason = "2.5 of cpu: at most 2 is allowed here" },
  },
  {
    name = "memory",
    input = create({ resources = { memory = "3Gi" } }),
    params = { memory = "1536Mi" },
    expect = { verdict = "deny", rule = "limits/memory", reason = "3Gi of memory: at most 1.5Gi is allowed here" },
  },
  {
    name = "what is not asked for is the server's default",
    input = create({}),
    params = { memory = "256Mi" },
    expect = { verdict = "deny", rule = "limits/memory" },
  },
  {
    name = "timeout",
    input = create({ timeout = 3600 }),
    params = { timeout = "10m" },
    expect = { verdict = "deny", rule = "limits/timeout", reason = "3600 s of timeout: at most 600 s is allowed here" },
  },
  {
    name = "a change is looked at as well",
    input = { operation = "UPDATE", kind = "Sandbox", object = { spec = { timeout = 3600 } }, old = { spec = {} } },
    params = { timeout = "10m" },
    expect = { verdict = "deny", rule = "limits/timeout" },
  },
  {
    name = "env",
    input = create({ env = { A = "***", B = "***" } }),
    params = { env = 1 },
    expect = { verdict = "deny", rule = "limits/env" },
  },
  {
    name = "nothing is asked for by a delete",
    input = { operation = "DELETE", kind = "Sandbox", old = { spec = { timeout = 3600 } } },
    params = { timeout = "10m" },
    expect = { verdict = "allow" },
  },
}
