-- Does a sandbox behave strangely? The highest score of all rules is the answer.
---@type sa.AnomalyRule
local rule = {
  name = "@NAME@",
  version = 1,
  point = "anomaly",
  description = "Sandboxes that try what they must not are paused.",
  params = {
    denials = { type = "integer", default = 10, min = 1, description = "refused system calls that are too many" },
  },
  decide = function(input, params)
    local score = clamp(round(100 * input.counters.denials / params.denials), 0, 100)
    return {
      score = score,
      action = score >= 100 and "pause" or "none",
      rule = "denials",
      reason = input.counters.denials .. " telling system calls were refused",
    }
  end,
}

return rule
