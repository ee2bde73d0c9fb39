-- Which packages may be installed. Entries are globs over the canonical name, for one manager
-- ("pip:torch*") or for both ("left-pad").
local function listed(entries, manager, name)
  for _, entry in ipairs(entries) do
    if glob(entry, name) or glob(entry, manager .. ":" .. name) then
      return true
    end
  end
  return false
end

-- "==1.2.3" of pip, "1.2.3" of npm: one version and no other.
local function is_pinned(manager, version)
  if version == nil then
    return false
  elseif manager == "pip" then
    return starts_with(version, "==") and not contains(version, "*") and not contains(version, ",")
  end
  -- Ranges of npm may have dashes, as prereleases do: "1.2.3 - 9.0.0", "1.2.3-0 || >2".
  for _, sign in ipairs({ " ", "|", "<", ">", "=", "~", "^", "*" }) do
    if contains(version, sign) then
      return false
    end
  end
  for _, part in ipairs(split(split(version, "-", 2)[1], ".")) do
    if tonumber(part) == nil then
      return false
    end
  end
  return #split(version, ".") >= 3
end

return {
  name = "packages",
  version = 1,
  point = "packages",
  description = "Which packages may be installed",
  params = {
    allow = { type = "list", items = "string", default = { "*" }, description = "one must match" },
    deny = { type = "list", items = "string", default = {}, description = "none may match" },
    pinned = { type = "boolean", default = false, description = "an exact version must be asked for" },
  },
  decide = function(input, params)
    local manager, name = input.manager, input.name
    if listed(params.deny, manager, name) then
      return deny("denied", string.format("%s (%s) is not allowed here", name, manager))
    elseif not listed(params.allow, manager, name) then
      return deny("not-allowed", string.format("%s (%s) is none of the packages that are allowed here", name, manager))
    elseif params.pinned and not is_pinned(manager, input.version) then
      return deny("version", string.format("ask for one version of %s, such as %s", name, manager == "pip" and "==1.2.3" or "@1.2.3"))
    end
    return nil
  end,
}
