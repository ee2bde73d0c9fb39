-- Crypto-miners, by the names of their programs and by words that little else says. This stops
-- who does not hide; who hides is met by the limits of processor time and by the closed network.
local function base(path)
  local parts = split(path, "/")
  return parts[#parts]
end

-- The word of `list` that is in the text.
local function found(list, text)
  for _, word in ipairs(list) do
    if contains(text, word) then
      return word
    end
  end
end

-- Every word of a command counts: "sudo -n nice xmrig", "cd /tmp; ./xmrig". A shell line is one
-- element of argv, other elements are words as they are.
local function program(names, argv)
  for _, argument in ipairs(argv) do
    local parts = #argv == 1 and words(argument) or { argument }
    for _, word in ipairs(parts) do
      if has(names, base(word):lower()) then
        return word
      end
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
    local name = program(params.names, input.argv or {})
    if name then
      return deny("program", string.format("%s mines: mining is not allowed here", name))
    end
    local text = input.code or table.concat(input.argv or {}, " ")
    local word = found(params.telltale, text:lower())
    if word then
      return deny("words", string.format('"%s" is said by miners: mining is not allowed here', word))
    end
    return nil
  end,
}
