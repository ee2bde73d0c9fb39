-- What every language may call: the sets that programs need whatever they are written in, since each
-- may start programs of the others. The sets are the node's (`sandbox-node --calls` prints them);
-- what is in no set, and what the node never allows, cannot be allowed here. How the lists came about
-- is in docs/seccomp.md.
local standard = {
  "@io", "@files", "@xattr", "@memory", "@process", "@ids", "@signals", "@time", "@timers", "@sync", "@sched", "@poll",
  "@net", "@inotify",
}
-- Without extended attributes, changes of ids, POSIX timers' and inotify's corners of the kernel.
local high = { "@io", "@files", "@memory", "@process", "@signals", "@time", "@sync", "@sched", "@poll", "@net" }

return {
  name = "seccomp-base",
  version = 1,
  point = "seccomp",
  description = "System calls that every language may make",
  params = {
    custom = {
      type = "list",
      items = "string",
      default = standard,
      description = "calls and @sets of the level custom, for every language",
    },
    telling = {
      type = "list",
      items = "string",
      default = {},
      description = "calls, beyond the node's own, that are refused and told as a security event",
    },
  },
  decide = function(input, params)
    local lists = { standard = standard, high = high, custom = params.custom }
    if lists[input.level] == nil then
      return nil -- a level that nobody knows has no list, and so no sandboxes
    end
    return allow({ allow = lists[input.level], telling = params.telling })
  end,
}
