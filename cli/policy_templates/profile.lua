-- Completes the security context of a sandbox that is about to be made.
---@type sa.ProfileRule
local rule = {
  name = "@NAME@",
  version = 1,
  point = "profile",
  description = "Sandboxes of some levels get fewer processes.",
  params = {
    levels = { type = "list", items = "string", default = { "custom" }, description = "security levels it is for" },
    pids = { type = "integer", default = 64, min = 1, max = 4096, description = "processes and threads" },
  },
  decide = function(input, params)
    if has(params.levels, input.level) then
      return allow({ limits = { pids = params.pids } })
    end
  end,
}

return rule
