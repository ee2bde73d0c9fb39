-- Enough warm pods that those in use are a given share of all: at 80 %, one warm pod to four in
-- use. Good where the load is even; it looks at what is in use, not at how fast that changes.
return {
  name = "target-utilization",
  version = 1,
  point = "scaling",
  description = "Warm pods in proportion to those in use",
  params = {
    targetUtilization = { type = "integer", default = 80, min = 1, max = 99, description = "pods in use, of all, in percent" },
    tolerance = { type = "number", default = 0.1, min = 0, max = 1, description = "share by which the size may be too large before it is reduced" },
    scaleDownDelay = { type = "duration", default = "300s", max = "24h", description = "how long the size must have been too large" },
    stepUp = { type = "number", default = 1, min = 0.1, max = 10, description = "largest growth at once, as share of the size; at least 4 pods" },
    stepDown = { type = "number", default = 0.5, min = 0.05, max = 1, description = "largest reduction at once, as share of the size; at least 1 pod" },
  },
  decide = function(input, params)
    local pool, share = input.pool, params.targetUtilization / 100
    -- The most that was in use within the delay: load that comes and goes in less does not make
    -- the pool breathe.
    local used = input.pods.assigned
    for _, sample in ipairs(input.history or {}) do
      if sample.at > input.now - params.scaleDownDelay then
        used = math.max(used, sample.assigned)
      end
    end
    local ideal = math.ceil(used * (1 - share) / share)
    local wanted, size = clamp(ideal, pool.min, pool.max), clamp(pool.size, pool.min, pool.max)
    if wanted > size then
      size = math.min(wanted, size + math.max(4, math.ceil(size * params.stepUp)))
    elseif wanted < size * (1 - params.tolerance) and input.now - input.lastScaleAt >= params.scaleDownDelay then
      size = math.max(wanted, size - math.max(1, math.floor(size * params.stepDown)))
    end
    return { size = size, reason = string.format("%d in use, at %d %%, want %d warm", used, params.targetUtilization, ideal) }
  end,
}
