-- numpy and its kin ask for the policies of memory; System V memory is how old libraries share it.
local more = { standard = { "@numa", "@sysv" }, high = {  } }

local function joined(one, two)
  local all = copy(one)
  for _, name in ipairs(two) do
    table.insert(all, name)
  end
  return all
end

return {
  name = "seccomp-python",
  version = 1,
  point = "seccomp",
  description = "System calls that Python may make beyond those of all",
  decide = function(input)
    if input.language ~= "python" or more[input.level] == nil then
      return nil
    end
    return allow({ allow = joined(input.filter.allow, more[input.level]), telling = input.filter.telling })
  end,
}
