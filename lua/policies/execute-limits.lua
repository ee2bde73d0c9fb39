-- How long, and with how much, code and commands may run. They are not refused: what is asked for
-- beyond a cap becomes the cap. A parameter without a value caps nothing.
--
-- 0 means the default: of the time the server's, of all else no limit but the sandbox's.
local function cap(asked, most)
  if most and (asked == 0 or asked > most) then
    return most
  end
end

local limited = { "code", "command", "terminal" }

return {
  name = "execute-limits",
  version = 1,
  point = "execute",
  description = "How long, and with how much, code and commands may run",
  params = {
    timeout = { type = "duration", min = "1s", max = "24h" },
    backgroundTimeout = { type = "duration", min = "1s", max = "24h", description = "of what nobody waits for" },
    memory = { type = "quantity", min = "16Mi", description = "address space of each process" },
    cpu = { type = "duration", min = "1s", description = "processor time of each process" },
    openFiles = { type = "integer", min = 16 },
  },
  decide = function(input, params)
    if next(params) == nil or not has(limited, input.kind) then
      return nil
    end
    local run, timeout = input.run, params.timeout
    if input.background and params.backgroundTimeout then
      timeout = params.backgroundTimeout
    end
    local changes = {
      timeoutMs = cap(run.timeoutMs, timeout and timeout * 1000),
      memoryBytes = cap(run.memoryBytes, params.memory),
      cpuSeconds = cap(run.cpuSeconds, params.cpu),
      openFiles = cap(run.openFiles, params.openFiles),
    }
    if next(changes) == nil then
      return nil
    end
    return allow(changes)
  end,
}
