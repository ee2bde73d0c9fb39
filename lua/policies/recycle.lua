-- When a used pod is used again. Only where the pool asks for it, only when the check found it
-- clean, and never after something strange. One reason against it is enough; a new pod is cheap.
local function against(input, params)
  local memory = input.memoryLimitBytes > 0 and input.memoryPeakBytes / input.memoryLimitBytes or 0
  return {
    { "disabled", not input.enabled, "the pool does not recycle" },
    { "unclean", not input.clean, "the check against its pristine state failed" },
    { "tenant", not input.sameTenant and not params.acrossTenants, "the next user is somebody else" },
    { "level", not has(params.levels, input.securityLevel), "pods of this security level are used once" },
    { "uses", input.maxUses > 0 and input.uses >= input.maxUses, string.format("used %d times", input.uses) },
    { "age", input.ageSeconds >= params.maxAge, string.format("%d s old", input.ageSeconds) },
    { "end", not has(params.endReasons, input.endReason), "its last use did not end as it should" },
    { "oom", input.oomKills > 0, "memory ran out in it" },
    { "denials", input.denials > params.denials, string.format("%d system calls were refused in it", input.denials) },
    { "memory", memory > params.memory, string.format("%d %% of its memory was in use", memory * 100) },
  }
end

return {
  name = "recycle",
  version = 1,
  point = "recycle",
  description = "When a used pod is used again",
  params = {
    maxAge = { type = "duration", default = "1h", min = "1s" },
    endReasons = { type = "list", items = "string", default = { "deleted", "timeout" }, description = "after which it may be" },
    levels = { type = "list", items = "string", default = { "standard" }, description = "security levels of which it may be" },
    denials = { type = "integer", default = 0, min = 0, description = "refused system calls, at most" },
    memory = { type = "number", default = 0.9, min = 0, max = 1, description = "part of its memory that was in use, at most" },
    acrossTenants = { type = "boolean", default = false, description = "the next user may be somebody else" },
  },
  decide = function(input, params)
    for _, check in ipairs(against(input, params)) do
      if check[2] then
        return { verdict = "replace", rule = check[1], reason = check[3] }
      end
    end
    return { verdict = "reuse" }
  end,
}
