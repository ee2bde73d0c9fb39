-- Runtimes in which nobody types: code runs, shells and terminals do not.
return {
  name = "no-shell",
  version = 1,
  point = "execute",
  description = "Some runtimes have no shell.",
  params = {
    runtimes = { type = "list", items = "string", default = { "python" }, description = "runtimes it is for" },
    shells = {
      type = "list",
      items = "string",
      default = { "sh", "bash", "dash", "zsh", "busybox" },
      description = "names of shells",
    },
  },
  decide = function(input, params)
    if not has(params.runtimes, input.sandbox.runtime) then
      return nil
    end
    if input.kind == "terminal" or input.tty then
      return deny("terminal", "there are no terminals in " .. input.sandbox.runtime .. " sandboxes")
    end
    if input.language == "bash" or has(params.shells, input.program) then
      return deny("shell", "there is no shell in " .. input.sandbox.runtime .. " sandboxes")
    end
  end,
}
