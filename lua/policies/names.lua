-- What sandboxes may be called. The server itself checks that a name is a DNS label.
return {
  name = "names",
  version = 1,
  point = "admission",
  description = "What sandboxes may be called",
  params = {
    required = { type = "boolean", default = false, description = "every sandbox must have a name" },
    patterns = { type = "list", items = "string", default = { "*" }, description = "globs; one must match" },
    reserved = { type = "list", items = "string", default = {}, description = "globs that only admins may use" },
  },
  decide = function(input, params)
    if input.operation ~= "CREATE" or input.kind ~= "Sandbox" then
      return nil
    end
    local name = (input.object.metadata or {}).name
    if name == nil then
      if params.required then
        return deny("required", "every sandbox needs a name here")
      end
      return nil
    end
    for _, pattern in ipairs(params.reserved) do
      if glob(pattern, name) and input.user.role ~= "admin" then
        return deny("reserved", string.format("names like %s are reserved", pattern))
      end
    end
    for _, pattern in ipairs(params.patterns) do
      if glob(pattern, name) then
        return nil
      end
    end
    return deny("pattern", "the name must be like " .. table.concat(params.patterns, " or "))
  end,
}
