-- Graphics devices are for some tenants: whoever else asks for one gets none. It runs before the shipped
-- rules of its point, so what is asked for is in `overrides`; `context` has what rules before it gave.
--
-- Whoever may have one also needs profile-custom to let it through (`weaken = { "devices" }` in params.lua),
-- and a driver that has such devices: the native one has none.
local function asked(of)
  return type(of) == "table" and type(of.devices) == "table" and of.devices or {}
end

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
    for _, devices in ipairs({ asked(input.overrides), asked(input.context) }) do
      for _, device in ipairs(devices) do
        for _, pattern in ipairs(params.devices) do
          if type(device) == "string" and glob(pattern, device) then
            return deny("tenant", "/dev/" .. device .. " is not for " .. (input.scope.tenant or "you"))
          end
        end
      end
    end
  end,
}
