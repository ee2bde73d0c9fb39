-- Does a sandbox behave strangely? Signs are weighed and added up to a score from 0 to 100; what
-- follows from it are thresholds. An honest program that runs out of memory, or makes one odd
-- system call, stays below them.
local function ratio(part, whole)
  return whole > 0 and clamp(part / whole, 0, 1) or 0
end

-- Up to `weight`, reached at `full`.
local function sign(weight, value, full)
  return weight * clamp(value / full, 0, 1)
end

local function count(events, reasons)
  local n = 0
  for _, event in ipairs(events) do
    if event.type == "Security" and has(reasons, event.reason) then
      n = n + event.count
    end
  end
  return n
end

local function signs(input, params)
  local c = input.counters
  return {
    { "escape", sign(60, count(input.events, params.escapeCalls), 3), "system calls that only an escape needs" },
    { "denials", sign(30, c.denials, params.denials), "many refused system calls" },
    { "egress", sign(30, c.egressDenials, params.egressDenials), "many refused connections" },
    { "processes", ratio(c.processes, c.pidsLimit) > 0.9 and 25 or 0, "as many processes as it may have" },
    { "memory", sign(20, c.oomKills, 10), "memory runs out again and again" },
    { "output", sign(20, c.outputBytes, params.output), "very much output" },
  }
end

local function action(score, params)
  for _, name in ipairs({ "kill", "pause", "alert" }) do
    if params[name] > 0 and score >= params[name] then
      return name
    end
  end
  return "none"
end

return {
  name = "anomaly",
  version = 1,
  point = "anomaly",
  description = "Signs that a sandbox behaves strangely",
  params = {
    alert = { type = "integer", default = 40, min = 0, max = 100, description = "score from which; 0: never" },
    pause = { type = "integer", default = 90, min = 0, max = 100, description = "score from which; 0: never" },
    kill = { type = "integer", default = 0, min = 0, max = 100, description = "score from which; 0: never" },
    denials = { type = "integer", default = 20, min = 1, description = "refused system calls that are very many" },
    egressDenials = { type = "integer", default = 50, min = 1, description = "refused connections that are very many" },
    output = { type = "quantity", default = "1Gi", min = "1Mi", description = "output that is very much" },
    escapeCalls = {
      type = "list",
      items = "string",
      default = { "bpf", "ptrace", "mount", "pivot_root", "setns", "unshare", "init_module", "finit_module", "kexec_load", "userfaultfd" },
      description = "system calls that only an escape needs",
    },
  },
  decide = function(input, params)
    local score, strongest = 0, { "none", 0, "nothing strange" }
    for _, found in ipairs(signs(input, params)) do
      score = score + found[2]
      if found[2] > strongest[2] then
        strongest = found
      end
    end
    score = round(clamp(score, 0, 100))
    return { score = score, action = action(score, params), rule = strongest[1], reason = strongest[3] }
  end,
}
