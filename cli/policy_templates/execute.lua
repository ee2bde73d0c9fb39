-- Asked before code, a command, a terminal or a context starts.
---@type sa.ExecuteRule
local rule = {
  name = "@NAME@",
  version = 1,
  point = "execute",
  description = "Programs that must not run.",
  params = {
    programs = { type = "list", items = "string", default = { "xmrig" }, description = "names of programs" },
  },
  decide = function(input, params)
    if has(params.programs, input.program) then
      return deny("program", input.program .. " must not run here")
    end
  end,
}

return rule
