-- Asked for each package that is about to be installed.
---@type sa.PackagesRule
local rule = {
  name = "@NAME@",
  version = 1,
  point = "packages",
  description = "Packages that must not be installed.",
  params = {
    names = { type = "list", items = "string", default = { "requestss" }, description = "canonical names" },
  },
  decide = function(input, params)
    if has(params.names, input.name) then
      return deny("package", input.name .. " must not be installed")
    end
  end,
}

return rule
