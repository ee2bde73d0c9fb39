-- How much one sandbox may ask for. A parameter without a value sets no limit; set them for all,
-- or for a tenant, namespace or pool, in params.lua.
local function gigabytes(bytes)
  return string.format("%.4gGi", bytes / (1024 * 1024 * 1024))
end

local function seconds(n)
  return string.format("%d s", n)
end

-- What is asked for, what is allowed, how both are said.
local function first_excess(checks)
  for _, check in ipairs(checks) do
    if check.most and check.asked and check.asked > check.most then
      local show = check.show or tostring
      return deny(check.rule, string.format("%s of %s: at most %s is allowed here", show(check.asked), check.rule, show(check.most)))
    end
  end
end

return {
  name = "limits",
  version = 1,
  point = "admission",
  description = "How much one sandbox may ask for",
  params = {
    cpu = { type = "number", min = 0.01, description = "processors" },
    memory = { type = "quantity", min = "16Mi" },
    storage = { type = "quantity", min = "1Mi", description = "ephemeralStorage" },
    pids = { type = "integer", min = 8, description = "processes and threads" },
    timeout = { type = "duration", min = "1s" },
    env = { type = "integer", min = 0, description = "environment variables" },
  },
  decide = function(input, params)
    if input.operation == "DELETE" or input.kind ~= "Sandbox" then
      return nil
    end
    local spec = input.object.spec
    local resources = spec.resources or {}
    return first_excess({
      { rule = "cpu", asked = (millicores(resources.cpu) or 1000) / 1000, most = params.cpu },
      { rule = "memory", asked = quantity(resources.memory) or 512 * 1024 * 1024, most = params.memory, show = gigabytes },
      { rule = "ephemeralStorage", asked = quantity(resources.ephemeralStorage), most = params.storage, show = gigabytes },
      { rule = "pids", asked = resources.pids or 256, most = params.pids },
      { rule = "timeout", asked = spec.timeout or 300, most = params.timeout, show = seconds },
      { rule = "env", asked = #keys(spec.env or {}), most = params.env },
    })
  end,
}
