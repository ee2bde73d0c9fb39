local tests = {
  {
    name = "without overrides custom is standard",
    input = { level = "custom", context = {} },
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
    name = "hardening is taken, and the rest stays",
    input = {
      level = "custom",
      context = {},
      overrides = {
        runtimeClass = "gvisor",
        uid = 2000,
        seccomp = "high",
        landlock = { writable = { "/workspace/out" } },
        writablePaths = { "/workspace", "/tmp/only" },
        devices = { "null", "urandom" },
        limits = { pids = 16, openFiles = 64 },
        requiredControls = { "cgroup.memory" },
      },
    },
    expect = {
      verdict = "allow",
      result = {
        runtimeClass = "gvisor",
        uid = 2000,
        gid = 1000,
        seccomp = "high",
        landlock = { enabled = true, writable = { "/workspace/out" } },
        writablePaths = { "/workspace", "/tmp/only" },
        devices = { "null", "urandom" },
        limits = { pids = 16, openFiles = 64, fileSizeBytes = 0, coreBytes = 0 },
        requiredControls = { "cgroup.memory" },
        noNewPrivs = true,
      },
    },
  },
  {
    name = "everything that is weaker is named",
    input = { level = "custom", context = {}, overrides = { noNewPrivs = false, maskProc = false, uid = 999 } },
    expect = {
      verdict = "deny",
      rule = "profile-custom/weaker",
      reason = "weaker than the level standard, which this server does not allow: maskProc, noNewPrivs, uid",
    },
  },
  {
    name = "the operator may allow it, by name",
    input = { level = "custom", context = {}, overrides = { devices = { "null", "fuse" } } },
    params = { weaken = { "devices" } },
    expect = { verdict = "allow", result = { devices = { "null", "fuse" } } },
  },
  {
    name = "and only what is named",
    input = { level = "custom", context = {}, overrides = { devices = { "fuse" }, limits = { coreBytes = 1 } } },
    params = { weaken = { "devices" } },
    expect = { verdict = "deny", rule = "profile-custom/weaker" },
  },
  {
    name = "a member that there is not",
    input = { level = "custom", context = {}, overrides = { privileged = true, limits = { nice = 1 } } },
    expect = {
      verdict = "deny",
      rule = "profile-custom/unknown",
      reason = "a security context has no such member, or not of this type: limits.nice, privileged",
    },
  },
  {
    name = "a member of the wrong type",
    input = { level = "custom", context = {}, overrides = { noNewPrivs = "no", capabilities = "all" } },
    expect = { verdict = "deny", rule = "profile-custom/unknown" },
  },
  {
    name = "other levels are other rules'",
    input = { level = "standard", context = {} },
    expect = { verdict = "allow" },
  },
}

-- Each member, weakened.
local weaker = {
  runtimeClass = "docker",
  uid = 1,
  gid = 1,
  capabilities = { "CAP_SYS_ADMIN" },
  noNewPrivs = false,
  readOnlyRoot = false,
  privateNetwork = false,
  maskProc = false,
  seccomp = "none",
  landlock = { enabled = false },
  writablePaths = { "/workspace", "/usr" },
  devices = { "kvm" },
  limits = { openFiles = 1000000 },
}
for name, value in pairs(weaker) do
  table.insert(tests, {
    name = "weaker: " .. name,
    input = { level = "custom", context = {}, overrides = { [name] = value } },
    expect = { verdict = "deny", rule = "profile-custom/weaker" },
  })
end
for name, value in pairs({ writable = { "/workspace/../etc" }, enabled = false }) do
  table.insert(tests, {
    name = "weaker: landlock." .. name,
    input = { level = "custom", context = {}, overrides = { landlock = { [name] = value } } },
    expect = {
      verdict = "deny",
      reason = "weaker than the level standard, which this server does not allow: landlock." .. name,
    },
  })
end
for name, value in pairs({ pids = -1, fileSizeBytes = -1, coreBytes = 1, openFiles = 65537 }) do
  table.insert(tests, {
    name = "weaker: limits." .. name,
    input = { level = "custom", context = {}, overrides = { limits = { [name] = value } } },
    expect = { verdict = "deny", rule = "profile-custom/weaker" },
  })
end
return tests
