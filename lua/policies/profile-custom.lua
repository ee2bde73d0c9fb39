-- The security context of the level "custom": that of "standard" with the changes that were asked
-- for. They may only harden: what would be weaker than standard is refused by name, but for what
-- the operator lists in `weaken`. The node's own floor holds whatever is said here.
local standard = {
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
}

local function is_true(value)
  return value
end

local function all_of(values, known)
  for _, value in ipairs(values) do
    if not has(known, value) then
      return false
    end
  end
  return true
end

-- In one of the folders that standard may write.
local function is_writable(path)
  for _, folder in ipairs(standard.writablePaths) do
    if type(path) == "string" and path_under(folder, path) then
      return true
    end
  end
  return false
end

local function all_writable(paths)
  for _, path in ipairs(paths) do
    if not is_writable(path) then
      return false
    end
  end
  return true
end

-- Is this value at least as hard as standard's?
local hard = {
  runtimeClass = function(value)
    return has({ "native", "gvisor" }, value)
  end,
  uid = function(value)
    return value >= 1000
  end,
  gid = function(value)
    return value >= 1000
  end,
  capabilities = function(value)
    return all_of(value, {})
  end,
  noNewPrivs = is_true,
  readOnlyRoot = is_true,
  privateNetwork = is_true,
  maskProc = is_true,
  seccomp = function(value)
    return has({ "standard", "high" }, value)
  end,
  landlock = { enabled = is_true, writable = all_writable },
  writablePaths = all_writable,
  devices = function(value)
    return all_of(value, standard.devices)
  end,
  limits = {
    pids = function(value)
      return value >= 0
    end,
    openFiles = function(value)
      return value <= standard.limits.openFiles
    end,
    fileSizeBytes = function(value)
      return value >= 0
    end,
    coreBytes = function(value)
      return value == 0
    end,
  },
  requiredControls = function()
    return true
  end,
}

-- Names of what is weaker, and of what cannot be: unknown, or of the wrong type.
local function look(overrides, base, tests, above, found)
  for name, value in pairs(overrides) do
    local path = above .. name
    if tests[name] == nil or type(value) ~= type(base[name]) then
      table.insert(found.wrong, path)
    elseif type(tests[name]) == "table" then
      look(value, base[name], tests[name], path .. ".", found)
    elseif not tests[name](value) then
      table.insert(found.weaker, path)
    end
  end
end

return {
  name = "profile-custom",
  version = 1,
  point = "profile",
  description = "The security context of the level custom: standard, hardened",
  params = {
    weaken = {
      type = "list",
      items = "string",
      default = {},
      description = "members that may be weaker than standard's, such as devices or limits.coreBytes",
    },
  },
  decide = function(input, params)
    if input.level ~= "custom" then
      return nil
    end
    local overrides, found, refused = input.overrides or {}, { wrong = {}, weaker = {} }, {}
    look(overrides, standard, hard, "", found)
    if #found.wrong > 0 then
      return deny("unknown", "a security context has no such member, or not of this type: " .. table.concat(sort(found.wrong), ", "))
    end
    for _, path in ipairs(sort(found.weaker)) do
      if not has(params.weaken, path) then
        table.insert(refused, path)
      end
    end
    if #refused > 0 then
      return deny("weaker", "weaker than the level standard, which this server does not allow: " .. table.concat(refused, ", "))
    end
    return allow(merge(standard, overrides))
  end,
}
