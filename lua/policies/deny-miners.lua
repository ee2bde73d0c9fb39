-- Crypto-miners, by the names of their programs and by words that little else says. This stops
-- who does not hide; who hides is met by the limits of processor time and by the closed network.
-- The word of `list` that is in the text.
local function found(list, text)
  for _, word in ipairs(list) do
    if contains(text, word) then
      return word
    end
  end
end

-- What a word of a command ends at, in a shell line or a path.
local edges = " \t\n;|&()<>{}`'\"/=$\\,"

local function is_edge(text, at)
  return at < 1 or at > #text or contains(edges, text:sub(at, at))
end

-- Every word of a command counts: "sudo -n nice xmrig", "cd /tmp; ./xmrig", however long it is.
local function program(names, text)
  for _, name in ipairs(names) do
    local first, last = find(text, name)
    while first and last >= first do
      if is_edge(text, first - 1) and is_edge(text, last + 1) then
        return name
      end
      first, last = find(text, name, last + 1)
    end
  end
end

return {
  name = "deny-miners",
  version = 1,
  point = "execute",
  description = "No crypto-mining, by names of programs and telltale words",
  params = {
    names = {
      type = "list",
      items = "string",
      default = { "xmrig", "xmr-stak", "minerd", "cpuminer", "ethminer", "nbminer", "cgminer", "bfgminer", "t-rex", "lolminer" },
      description = "programs, in lower case",
    },
    telltale = {
      type = "list",
      items = "string",
      default = { "stratum+tcp://", "stratum+ssl://", "stratum+tls://", "--donate-level", "--randomx-" },
      description = "words in code and commands, in lower case",
    },
  },
  decide = function(input, params)
    local command = table.concat(input.argv or {}, " "):lower()
    local name = program(params.names, command)
    if name then
      return deny("program", string.format("%s mines: mining is not allowed here", name))
    end
    local word = found(params.telltale, input.code and input.code:lower() or command)
    if word then
      return deny("words", string.format('"%s" is said by miners: mining is not allowed here', word))
    end
    return nil
  end,
}
