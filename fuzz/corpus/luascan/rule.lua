local function f(x, ...) return x and { verdict = "allow" } or nil end
return { name = "a", version = 1, point = "execute", params = { n = { type = "list", default = { 'x' } } },
  decide = function(input, params)
    for i, v in ipairs(input.argv) do if v == [[x]] then return deny("id", "why") end end
    repeat local a = 0x1f ^ 2 .. "b\n" until a ~= nil
    while not input.b do goto out end ::out::
    --[==[ c ]==]
    return { verdict = "deny", reason = "r", changes = { run = { timeoutMs = -5 } } }
  end }
