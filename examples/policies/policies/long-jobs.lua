-- More time for sandboxes with a label, a limit for all others.
return {
  name = "long-jobs",
  version = 1,
  point = "execute",
  description = "Executions get more time in labelled sandboxes.",
  params = {
    label = { type = "string", default = "jobs", description = "the label" },
    value = { type = "string", default = "long", description = "its value" },
    long = { type = "duration", default = "1h", max = "24h", description = "time where the label is" },
    short = { type = "duration", default = "5m", max = "24h", description = "most elsewhere" },
  },
  decide = function(input, params)
    local asked = input.run.timeoutMs
    if input.sandbox.labels[params.label] == params.value then
      return allow({ timeoutMs = math.max(asked, params.long * 1000) })
    end
    if asked > params.short * 1000 then
      return allow({ timeoutMs = params.short * 1000 })
    end
  end,
}
