-- V8 guards the code that it makes with memory protection keys.
local more = { standard = { "@pkeys" }, high = { "@pkeys" } }

local function joined(one, two)
  local all = copy(one)
  for _, name in ipairs(two) do
    table.insert(all, name)
  end
  return all
end

return {
  name = "seccomp-node",
  version = 1,
  point = "seccomp",
  description = "System calls that Node.js may make beyond those of all",
  decide = function(input)
    if input.language ~= "node" or more[input.level] == nil then
      return nil
    end
    return allow({ allow = joined(input.filter.allow, more[input.level]), telling = input.filter.telling })
  end,
}
