-- Fills in what a create leaves open. A parameter without a value leaves it to the server's own
-- defaults (1 CPU, 512Mi, 256 processes, 300 s, level standard). It comes first, so that the rules
-- after it see what will be made.
local function missing(given, default)
  if given == nil then
    return default
  end
end

local function some(map)
  if next(map) ~= nil then
    return map
  end
end

return {
  name = "10-defaults",
  version = 1,
  point = "admission",
  description = "What a create leaves open",
  params = {
    cpu = { type = "number", min = 0.01, description = "processors" },
    memory = { type = "quantity", min = "16Mi" },
    pids = { type = "integer", min = 8, max = 32768, description = "processes and threads" },
    timeout = { type = "duration", min = "1s", max = "24h" },
    idleTimeout = { type = "duration", min = "1s", max = "24h" },
    securityLevel = { type = "string", values = { "standard", "high", "custom" } },
    labels = { type = "map", values = "string", default = {}, description = "where the create does not have them" },
  },
  decide = function(input, params)
    if input.operation ~= "CREATE" or input.kind ~= "Sandbox" then
      return nil
    end
    local metadata, spec = input.object.metadata or {}, input.object.spec
    local resources, lifecycle, labels = spec.resources or {}, spec.lifecycle or {}, {}
    for key, value in pairs(params.labels) do
      labels[key] = missing((metadata.labels or {})[key], value)
    end
    local changed = {
      metadata = some({ labels = some(labels) }),
      spec = some({
        timeout = missing(spec.timeout, params.timeout),
        securityLevel = missing(spec.securityLevel, params.securityLevel),
        resources = some({
          cpu = missing(resources.cpu, params.cpu),
          memory = missing(resources.memory, params.memory),
          pids = missing(resources.pids, params.pids),
        }),
        lifecycle = some({ idleTimeout = missing(lifecycle.idleTimeout, params.idleTimeout) }),
      }),
    }
    return allow(some(changed))
  end,
}
