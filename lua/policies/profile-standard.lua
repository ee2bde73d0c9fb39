-- The security context of the level "standard": what every sandbox gets that asks for nothing
-- else. A context must be complete: a member that no rule decides denies the sandbox.
return {
  name = "profile-standard",
  version = 1,
  point = "profile",
  description = "The security context of the level standard",
  decide = function(input)
    if input.level ~= "standard" then
      return nil
    end
    if next(input.overrides or {}) ~= nil then
      return deny("overrides", "the level standard cannot be changed; ask for the level custom")
    end
    return allow({
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
      -- pids 0: as many as the sandbox asks for in its resources.
      limits = { pids = 0, openFiles = 65536, fileSizeBytes = 0, coreBytes = 0 },
      requiredControls = {},
    })
  end,
}
