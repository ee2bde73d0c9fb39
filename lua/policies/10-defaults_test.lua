local function create(spec, metadata)
  return { operation = "CREATE", kind = "Sandbox", object = { metadata = metadata, spec = spec } }
end

return {
  {
    name = "nothing is set that the operator did not set",
    input = create({ runtime = "python" }),
    expect = { verdict = "allow" },
  },
  {
    name = "what is open is filled in",
    input = create({ runtime = "python" }),
    params = {
      cpu = 0.5,
      memory = "256Mi",
      pids = 64,
      timeout = "10m",
      idleTimeout = "1m",
      securityLevel = "high",
      labels = { team = "blue" },
    },
    expect = {
      verdict = "allow",
      result = {
        metadata = { labels = { team = "blue" } },
        spec = {
          runtime = "python",
          timeout = 600,
          securityLevel = "high",
          resources = { cpu = 0.5, memory = 268435456, pids = 64 },
          lifecycle = { idleTimeout = 60 },
        },
      },
    },
  },
  {
    name = "what is given stays",
    input = create(
      { runtime = "go", timeout = 5, resources = { memory = "1Gi" }, lifecycle = { idleTimeout = 9 } },
      { labels = { team = "red" } }
    ),
    params = { memory = "256Mi", timeout = "10m", idleTimeout = "1m", pids = 64, labels = { team = "blue", tier = "a" } },
    expect = {
      result = {
        metadata = { labels = { team = "red", tier = "a" } },
        spec = { timeout = 5, resources = { memory = "1Gi", pids = 64 }, lifecycle = { idleTimeout = 9 } },
      },
    },
  },
  {
    name = "only creates of sandboxes",
    input = { operation = "DELETE", kind = "Sandbox", old = { spec = {} } },
    params = { timeout = "1m" },
    expect = { verdict = "allow" },
  },
}
