-- Crypto-miners by name: as the program, as a word of a shell line, and by the protocol that they speak.
return {
  name = "no-mining",
  version = 1,
  point = "execute",
  description = "Crypto-miners do not run.",
  params = {
    names = {
      type = "list",
      items = "string",
      default = { "xmrig", "minerd", "ethminer", "t-rex", "nbminer" },
      description = "names of programs",
    },
    marks = {
      type = "list",
      items = "string",
      default = { "stratum+tcp://", "stratum+ssl://" },
      description = "what gives a miner away in code and arguments",
    },
  },
  decide = function(input, params)
    local texts = { input.code or "" }
    for _, argument in ipairs(input.argv) do
      table.insert(texts, argument)
    end
    for _, text in ipairs(texts) do
      for _, mark in ipairs(params.marks) do
        if contains(text, mark) then
          return deny("protocol", "mining is not allowed here")
        end
      end
    end
    for _, argument in ipairs(input.argv) do
      for _, word in ipairs(words(argument)) do
        local parts = split(word, "/")
        if has(params.names, parts[#parts]) then
          return deny("miner", "mining is not allowed here (" .. parts[#parts] .. ")")
        end
      end
    end
  end,
}
