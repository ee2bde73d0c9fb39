-- How large sandboxes may be, tenant by tenant: the numbers are parameters, so that params.lua has them.
return {
  name = "tenant-limits",
  version = 1,
  point = "admission",
  description = "Most memory, processors and time of a sandbox.",
  params = {
    memory = { type = "quantity", default = "1Gi", min = "64Mi", description = "most memory" },
    cpu = { type = "number", default = 2, min = 0.1, max = 256, description = "most processors" },
    timeout = { type = "duration", default = "1h", min = "1s", description = "longest life" },
  },
  decide = function(input, params)
    if input.kind ~= "Sandbox" or input.operation == "DELETE" then
      return nil
    end
    local spec = input.object.spec or {}
    local resources = spec.resources or {}
    if resources.memory and quantity(resources.memory) > params.memory then
      return deny("memory", "at most " .. round(params.memory / 1048576) .. " MiB of memory")
    end
    if resources.cpu and millicores(resources.cpu) > params.cpu * 1000 then
      return deny("cpu", "at most " .. params.cpu .. " processors")
    end
    if spec.timeout and spec.timeout > params.timeout then
      return deny("timeout", "at most " .. params.timeout .. " seconds")
    end
  end,
}
