-- A timeout has come: what now?
---@type sa.LifecycleRule
local rule = {
  name = "@NAME@",
  version = 1,
  point = "lifecycle",
  description = "What still works gets more time, once.",
  params = {
    more = { type = "duration", default = "5m", description = "time that is added" },
  },
  decide = function(input, params)
    if input.event == "timeout" and input.runningExecutions > 0 and input.extensions == 0 then
      return {
        verdict = "decide",
        rule = "working",
        reason = "programs are still running",
        changes = { action = "extend", extendSeconds = params.more },
      }
    end
  end,
}

return rule
