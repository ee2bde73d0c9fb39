-- Commands may be anything: compilers, databases, programs that lock themselves up further.
local more = { standard = { "@numa", "@pkeys", "@aio", "@sysv", "@mqueue", "@self" }, high = { "@pkeys" } }

local function joined(one, two)
  local all = copy(one)
  for _, name in ipairs(two) do
    table.insert(all, name)
  end
  return all
end

return {
  name = "seccomp-default",
  version = 1,
  point = "seccomp",
  description = "System calls that commands may make beyond those of all",
  decide = function(input)
    if input.language ~= "default" or more[input.level] == nil then
      return nil
    end
    return allow({ allow = joined(input.filter.allow, more[input.level]), telling = input.filter.telling })
  end,
}
