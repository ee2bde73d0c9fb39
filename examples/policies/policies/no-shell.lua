-- Runtimes in which nobody types: code and programs run, shells and terminals do not. A command that is
-- given as one line is run by a shell, so it must be a single word. Code may still start programs of
-- its own: rules see what is asked of the server.
local special = " \t\n;&|<>()$`'\"\\*?[]{}~#!="

local function is_line(argv)
  if #argv ~= 1 then
    return false
  end
  for i = 1, #special do
    if contains(argv[1], special:sub(i, i)) then
      return true
    end
  end
  return false
end

-- Its name, also behind another program: env bash.
local function names_shell(shells, argv)
  for _, argument in ipairs(argv) do
    local parts = split(argument, "/")
    if has(shells, parts[#parts]) then
      return true
    end
  end
  return false
end

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
    if input.language == "bash" or has(params.shells, input.program) or names_shell(params.shells, input.argv) then
      return deny("shell", "there is no shell in " .. input.sandbox.runtime .. " sandboxes")
    end
    if is_line(input.argv) then
      return deny("line", "give the command as a list of arguments: there is no shell to read a line")
    end
  end,
}
