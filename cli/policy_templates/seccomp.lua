-- Chooses the system calls of a language at a level.
---@type sa.SeccompRule
local rule = {
  name = "@NAME@",
  version = 1,
  point = "seccomp",
  description = "Programs of some levels may not watch files.",
  params = {
    levels = { type = "list", items = "string", default = { "custom" }, description = "levels it is for" },
    without = { type = "list", items = "string", default = { "inotify_init1" }, description = "system calls to take away" },
  },
  decide = function(input, params)
    if not has(params.levels, input.level) then
      return nil -- as it was
    end
    local kept, before = {}, input.filter and input.filter.allow or {}
    for _, name in ipairs(before) do
      if not has(params.without, name) then
        table.insert(kept, name)
      end
    end
    if #kept < #before then
      return allow({ allow = kept })
    end
  end,
}

return rule
