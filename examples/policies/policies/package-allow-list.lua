-- Only packages that somebody has looked at, by manager; patterns allow families of them.
return {
  name = "package-allow-list",
  version = 1,
  point = "packages",
  description = "Only listed packages are installed.",
  params = {
    pip = { type = "list", items = "string", default = { "numpy", "pandas", "pytest*" }, description = "with * and ?" },
    npm = { type = "list", items = "string", default = { "lodash", "@types/*" }, description = "with * and ?" },
  },
  decide = function(input, params)
    for _, pattern in ipairs(params[input.manager] or {}) do
      if glob(pattern, input.name) then
        return nil
      end
    end
    return deny("not-listed", input.name .. " is not on the list of " .. input.manager .. " packages")
  end,
}
