-- Crypto-miners by name: as the program, as a word of a shell line or of bash code, and by the protocol
-- that they speak. The shipped rule deny-miners does much the same: this one is yours to change.
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
    if mentions(input.code, params.marks) or mentions(input.argv, params.marks) then
      return deny("protocol", "mining is not allowed here")
    end
    local name = mentions_word(input.language == "bash" and input.code or input.argv, params.names)
    if name then
      return deny("miner", "mining is not allowed here (" .. name .. ")")
    end
  end,
}
