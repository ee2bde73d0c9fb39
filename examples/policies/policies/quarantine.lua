-- A sandbox that keeps trying what it must not is paused, so that somebody can look at it; one that
-- tries the dangerous calls is ended.
return {
  name = "quarantine",
  version = 1,
  point = "anomaly",
  description = "Sandboxes that behave strangely are paused or ended.",
  params = {
    dangerous = {
      type = "list",
      items = "string",
      default = { "bpf", "kexec_load", "init_module", "finit_module" },
      description = "system calls that end it at once",
    },
    denials = { type = "integer", default = 20, min = 1, description = "refused calls that pause it" },
    egress = { type = "integer", default = 50, min = 1, description = "refused connections that pause it" },
  },
  decide = function(input, params)
    for _, event in ipairs(input.events) do
      if event.type == "Security" and has(params.dangerous, event.reason) then
        return { score = 100, action = "kill", rule = "dangerous", reason = "it tried " .. event.reason }
      end
    end
    local counters = input.counters
    local share = math.max(counters.denials / params.denials, counters.egressDenials / params.egress)
    return {
      score = clamp(round(90 * share), 0, 90),
      action = share >= 1 and "pause" or "none",
      rule = "denials",
      reason = counters.denials .. " refused system calls, " .. counters.egressDenials .. " refused connections",
    }
  end,
}
