-- Enough warm pods that a given share of claims finds one: as many as are claimed while a pod is
-- made, and as many more as chance asks for. The claims of a time are nearly Poisson distributed:
-- of mean m, they are fewer than m + z * sqrt(m) with a probability that z says.
local function z_of(ratio)
  local table_of = { { 0.999, 3.1 }, { 0.995, 2.6 }, { 0.99, 2.35 }, { 0.98, 2.06 }, { 0.95, 1.65 }, { 0.9, 1.3 } }
  for _, row in ipairs(table_of) do
    if ratio >= row[1] then
      return row[2]
    end
  end
  return 0.85
end

-- The highest rate of any `span` seconds among the samples that ended after `since`.
local function busiest(history, since, span)
  local rate, claims, first = 0, 0, 1
  for i, sample in ipairs(history) do
    claims = claims + (i > 1 and sample.claims or 0) -- the first only tells where the next begins
    while history[first + 1] and history[first + 1].at <= sample.at - span do
      first = first + 1
      claims = claims - history[first].claims
    end
    local seconds = sample.at - history[first].at
    if sample.at > since and seconds > 0 then
      rate = math.max(rate, claims / math.max(seconds, span))
    end
  end
  return rate
end

-- What chance does not explain: claims that come at once, and what would have been enough where
-- claims missed more often than is meant.
local function learnt(history, since, rate, ratio)
  local burst, enough, claims, misses = 0, 0, 0, 0
  for _, sample in ipairs(history) do
    if sample.at > since then
      claims, misses = claims + sample.claims, misses + sample.misses
      burst = math.max(burst, sample.claimsPeak)
      if sample.misses > 0 then
        enough = math.max(enough, sample.size + sample.misses)
      end
    end
  end
  local by_chance = rate + 4 * math.sqrt(rate) + 2
  return burst > by_chance and burst or 0, misses > (1 - ratio) * claims and enough or 0
end

return {
  name = "target-hit-ratio",
  version = 1,
  point = "scaling",
  description = "As many warm pods as the arrival rate and the time to make one ask for",
  params = {
    hitRatio = { type = "number", default = 0.98, min = 0.5, max = 0.999, description = "share of claims that find a warm pod" },
    window = { type = "duration", default = "300s", min = "10s", max = "24h", description = "how far back the busiest moment counts" },
    headroom = { type = "number", default = 1.1, min = 1, max = 10, description = "more than was measured" },
    spare = { type = "integer", default = 1, min = 0, max = 10000, description = "pods on top, while there are claims" },
    scaleDownDelay = { type = "duration", default = "120s", max = "24h", description = "pause between two reductions" },
    stepDown = { type = "number", default = 0.25, min = 0.05, max = 1, description = "largest reduction at once, as share of the size; at least 1 pod" },
    tolerance = { type = "number", default = 0.25, min = 0, max = 1, description = "share by which the size may be too large before it is reduced" },
  },
  decide = function(input, params)
    local pool, history, since = input.pool, input.history or {}, input.now - params.window
    local rate = math.max(input.demand.claimsPerSecond, busiest(history, since, 30)) * params.headroom
    -- A pod that is claimed is ordered anew at once, and is there after the refill time, of which
    -- the mean matters; until that was measured, a second.
    local refill = (input.refillP50Ms > 0 and (2 * input.refillP50Ms + input.refillP95Ms) / 3 or 1000) / 1000
    local mean = rate * refill
    local ideal = rate > 0 and math.ceil(mean + z_of(params.hitRatio) * math.sqrt(mean)) + params.spare or 0
    local why = string.format("%.3g claims/s and %.3g s to refill", rate, refill)
    local burst, enough = learnt(history, since, rate, params.hitRatio)
    if enough > ideal then -- in steps, as misses before anything was warm say little
      ideal, why = math.min(enough, 2 * ideal), "claims that missed"
    end
    if burst > ideal then
      ideal, why = burst, string.format("%d claims at once", burst)
    end
    local wanted, size = clamp(ideal, pool.min, pool.max), clamp(pool.size, pool.min, pool.max)
    if wanted > size then
      size = wanted
    elseif wanted < size * (1 - params.tolerance) and input.now - input.lastScaleAt >= params.scaleDownDelay then
      size = math.max(wanted, size - math.max(1, math.floor(size * params.stepDown)))
    end
    return { size = size, reason = string.format("%s want %d", why, ideal) }
  end,
}
