-- How many pods a pool shall have: asked of pools whose scaling names this rule.
---@type sa.ScalingRule
local rule = {
  name = "@NAME@",
  version = 1,
  point = "scaling",
  description = "A fixed number above what is in use.",
  params = {
    spare = { type = "integer", default = 2, min = 0, max = 1000, description = "warm pods beyond those in use" },
  },
  decide = function(input, params)
    local size = clamp(input.pods.assigned + params.spare, input.pool.min, input.pool.max)
    return { size = size, reason = input.pods.assigned .. " in use, " .. params.spare .. " to spare" }
  end,
}

return rule
