return {
  {
    name = "high is complete, and needs gVisor",
    input = { level = "high", runtime = "python", context = {} },
    expect = {
      verdict = "allow",
      result = {
        runtimeClass = "gvisor",
        uid = 1000,
        gid = 1000,
        capabilities = {},
        noNewPrivs = true,
        readOnlyRoot = true,
        privateNetwork = true,
        maskProc = true,
        seccomp = "high",
        landlock = { enabled = true, writable = { "/workspace", "/tmp", "/home/user", "/dev/shm" } },
        writablePaths = { "/workspace", "/tmp", "/home/user", "/dev/shm" },
        devices = { "null", "zero", "full", "random", "urandom", "tty" },
        limits = { pids = 128, openFiles = 1024, fileSizeBytes = 1073741824, coreBytes = 0 },
        requiredControls = { "userns.range", "rootfs.readonly", "netns", "capabilities", "no_new_privs", "seccomp" },
      },
    },
  },
  {
    name = "its limits are the operator's",
    input = { level = "high", context = {} },
    params = { pids = 64, openFiles = 256, fileSize = "10Mi" },
    expect = { result = { limits = { pids = 64, openFiles = 256, fileSizeBytes = 10485760 } } },
  },
  {
    name = "high takes no overrides",
    input = { level = "high", overrides = { devices = { "kvm" } }, context = {} },
    expect = { verdict = "deny", rule = "profile-high/overrides" },
  },
  {
    name = "other levels are other rules'",
    input = { level = "standard", context = {} },
    expect = { verdict = "allow" },
  },
}
