local function run(limits, kind, background)
  local all = { timeoutMs = 60000, memoryBytes = 0, cpuSeconds = 0, fileSizeBytes = 0, openFiles = 0 }
  return { kind = kind or "code", background = background, run = merge(all, limits) }
end

return {
  { name = "nothing is capped by default", input = run({ timeoutMs = 86400000 }), expect = { verdict = "allow" } },
  {
    name = "the time",
    input = run({ timeoutMs = 600000 }),
    params = { timeout = "2m" },
    expect = { verdict = "allow", result = { timeoutMs = 120000, memoryBytes = 0, openFiles = 0 } },
  },
  {
    name = "the default may be more than the cap",
    input = run({ timeoutMs = 0 }),
    params = { timeout = "30s" },
    expect = { result = { timeoutMs = 30000 } },
  },
  { name = "what fits stays", input = run({}), params = { timeout = "2m" }, expect = { verdict = "allow" } },
  {
    name = "what nobody waits for",
    input = run({ timeoutMs = 7200000 }, "command", true),
    params = { timeout = "1m", backgroundTimeout = "1h" },
    expect = { result = { timeoutMs = 3600000 } },
  },
  {
    name = "what nobody waits for, without a cap of its own",
    input = run({ timeoutMs = 7200000 }, "command", true),
    params = { timeout = "1m" },
    expect = { result = { timeoutMs = 60000 } },
  },
  {
    name = "everything else",
    input = run({ cpuSeconds = 100, openFiles = 8 }, "terminal"),
    params = { memory = "256Mi", cpu = "10s", openFiles = 64 },
    expect = { result = { timeoutMs = 60000, memoryBytes = 268435456, cpuSeconds = 10, openFiles = 8 } },
  },
  {
    name = "contexts and ports have no run",
    input = run({ timeoutMs = 600000 }, "context"),
    params = { timeout = "1s" },
    expect = { verdict = "allow" },
  },
}
