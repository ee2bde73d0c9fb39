-- Lists, in Lua so that a comparison function runs under the same guard as any other: no function
-- of C ever calls a rule's. Returns what becomes global.
local LIMIT = 4096

local function less(a, b)
  return a < b
end

-- Merge the runs from[low, middle) and from[middle, high) into `to`.
local function join(from, to, low, middle, high, before)
  local left, right = low, middle
  for i = low, high - 1 do
    if left < middle and (right >= high or not before(from[right], from[left])) then
      to[i], left = from[left], left + 1
    else
      to[i], right = from[right], right + 1
    end
  end
end

-- A new list, sorted; equal elements keep their order.
local function sort(list, before)
  if type(list) ~= "table" then
    error("sort(): expected a list, got " .. type(list), 2)
  end
  if before ~= nil and type(before) ~= "function" then
    error("sort(): expected a function to compare by, got " .. type(before), 2)
  end
  local n = #list
  if n > LIMIT then
    error("sort(): more than " .. LIMIT .. " elements", 2)
  end
  local from, to = {}, {}
  for i = 1, n do
    from[i] = list[i]
    local kind = type(from[i])
    if not before and (kind ~= type(from[1]) or kind ~= "number" and kind ~= "string") then
      error("sort(): without a function to compare by, all elements are numbers or all are strings", 2)
    end
  end
  before = before or less
  local width = 1
  while width < n do
    for low = 1, n, 2 * width do
      local middle, high = low + width, low + 2 * width
      join(from, to, low, middle > n + 1 and n + 1 or middle, high > n + 1 and n + 1 or high, before)
    end
    from, to, width = to, from, 2 * width
  end
  return from
end

-- The names of a map's members, sorted.
local function keys(map)
  if type(map) ~= "table" then
    error("keys(): expected a map, got " .. type(map), 2)
  end
  local names = {}
  for name in pairs(map) do
    names[#names + 1] = name
  end
  return sort(names)
end

return { sort = sort, keys = keys }
