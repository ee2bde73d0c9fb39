-- What happens when a timeout has come: what the sandbox's own lifecycle says, unless programs
-- still run in it and the operator gives them more time.
return {
  name = "lifecycle",
  version = 1,
  point = "lifecycle",
  description = "More time for sandboxes in which programs run",
  params = {
    extend = { type = "duration", default = "0s", max = "24h", description = "more time while programs run; 0: none" },
    extensions = { type = "integer", default = 12, min = 1, description = "how often, at most" },
    events = { type = "list", items = "string", default = { "timeout", "idle" }, description = "at which" },
  },
  decide = function(input, params)
    local running = input.runningExecutions
    if params.extend == 0 or running == 0 or not has(params.events, input.event) or input.extensions >= params.extensions then
      return nil
    end
    return {
      verdict = "decide",
      rule = "running",
      reason = string.format("%d programs still run in it", running),
      changes = { action = "extend", extendSeconds = params.extend },
    }
  end,
}
