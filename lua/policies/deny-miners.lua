-- Crypto-miners, by the names of their programs and by words that little else says. This stops
-- who does not hide; who hides is met by the limits of processor time and by the closed network.

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
      description = "programs, in letters of either case",
    },
    telltale = {
      type = "list",
      items = "string",
      default = { "stratum+tcp://", "stratum+ssl://", "stratum+tls://", "--donate-level", "--randomx-" },
      description = "words in code and commands, in letters of either case",
    },
  },
  decide = function(input, params)
    -- Every word of a command counts, and of a shell's code: "sudo -n nice xmrig", "cd /tmp; ./xmrig", however
    -- long it is.
    local name = mentions_word(input.argv, params.names)
      or input.language == "bash" and input.code and mentions_word(input.code, params.names)
    if name then
      return deny("program", string.format("%s mines: mining is not allowed here", name))
    end
    local word = mentions(input.code or input.argv, params.telltale)
    if word then
      return deny("words", string.format('"%s" is said by miners: mining is not allowed here', word))
    end
    return nil
  end,
}
