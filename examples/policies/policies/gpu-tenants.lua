-- Graphics devices are for some tenants: whoever else asks for one, in whatever way, gets none.
return {
  name = "gpu-tenants",
  version = 1,
  point = "profile",
  description = "Only some tenants get graphics devices.",
  params = {
    tenants = { type = "list", items = "string", default = {}, description = "who may have one" },
    devices = {
      type = "list",
      items = "string",
      default = { "nvidia*", "dri/*", "kfd" },
      description = "names in /dev, with * and ?",
    },
  },
  decide = function(input, params)
    if has(params.tenants, input.scope.tenant) then
      return nil
    end
    for _, device in ipairs(input.context.devices or {}) do
      for _, pattern in ipairs(params.devices) do
        if glob(pattern, device) then
          return deny("tenant", "/dev/" .. device .. " is not for " .. (input.scope.tenant or "you"))
        end
      end
    end
  end,
}
