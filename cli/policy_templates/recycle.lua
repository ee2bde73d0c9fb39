-- May a used pod be used again?
---@type sa.RecycleRule
local rule = {
  name = "@NAME@",
  version = 1,
  point = "recycle",
  description = "Pods that grew old are replaced.",
  params = {
    max_age = { type = "duration", default = "1h", description = "replaced when it is older" },
  },
  decide = function(input, params)
    if input.ageSeconds > params.max_age then
      return { verdict = "replace", rule = "age", reason = "the pod is older than " .. params.max_age .. " s" }
    end
  end,
}

return rule
