-- The security context of the level "high": a kernel of its own (gVisor) between the programs and
-- the host's, a shorter list of system calls, and controls without which it is not made. A node
-- that has no gVisor refuses it and says so: nobody gets less than was asked for.
return {
  name = "profile-high",
  version = 1,
  point = "profile",
  description = "The security context of the level high",
  params = {
    pids = { type = "integer", default = 128, min = 8, max = 32768, description = "processes and threads, at most" },
    openFiles = { type = "integer", default = 1024, min = 64, max = 65536, description = "descriptors of each process" },
    fileSize = { type = "quantity", default = "1Gi", min = "1Mi", description = "one file, at most" },
  },
  decide = function(input, params)
    if input.level ~= "high" then
      return nil
    end
    if next(input.overrides or {}) ~= nil then
      return deny("overrides", "the level high cannot be changed; ask for the level custom")
    end
    return allow({
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
      limits = { pids = params.pids, openFiles = params.openFiles, fileSizeBytes = params.fileSize, coreBytes = 0 },
      requiredControls = { "userns.range", "rootfs.readonly", "netns", "capabilities", "no_new_privs", "seccomp" },
    })
  end,
}
