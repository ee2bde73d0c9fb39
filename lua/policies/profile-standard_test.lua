return {
  {
    name = "standard is complete",
    input = { level = "standard", runtime = "python", context = {} },
    expect = {
      verdict = "allow",
      result = {
        runtimeClass = "native",
        uid = 1000,
        gid = 1000,
        capabilities = {},
        noNewPrivs = true,
        readOnlyRoot = true,
        privateNetwork = true,
        maskProc = true,
        seccomp = "standard",
        landlock = { enabled = true, writable = { "/workspace", "/tmp", "/home/user", "/dev/shm" } },
        writablePaths = { "/workspace", "/tmp", "/home/user", "/dev/shm" },
        devices = { "null", "zero", "full", "random", "urandom", "tty" },
        limits = { pids = 0, openFiles = 65536, fileSizeBytes = 0, coreBytes = 0 },
        requiredControls = {},
      },
    },
  },
  {
    name = "standard takes no overrides",
    input = { level = "standard", overrides = { noNewPrivs = false }, context = {} },
    expect = { verdict = "deny", rule = "profile-standard/overrides" },
  },
  {
    name = "no overrides at all are none",
    input = { level = "standard", overrides = {}, context = {} },
    expect = { verdict = "allow", result = { uid = 1000 } },
  },
  {
    name = "other levels are other rules'",
    input = { level = "high", context = {} },
    expect = { verdict = "allow" },
  },
}
