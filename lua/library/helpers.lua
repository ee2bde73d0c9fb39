---@meta
-- What rules find beside Lua's own, for editors. All are bounded; those that take a string first are
-- methods of strings, too (input.path:starts_with("/etc")).

---Is `value` in the list?
---@param list any[]
---@param value any
---@return boolean
function has(list, value) end

---@generic T
---@param list T[] at most 4096
---@param before? fun(a: T, b: T): boolean
---@return T[] sorted a new list; equal elements keep their order
function sort(list, before) end

---@param map table<string, any>
---@return string[] sorted
function keys(map) end

---@param a table
---@param b table its members win; maps in both are merged
---@return table merged
function merge(a, b) end

---@generic T
---@param value T
---@return T copy all of it; it can be written to
function copy(value) end

---@param s string
---@param prefix string
---@return boolean
function starts_with(s, prefix) end

---@param s string
---@param suffix string
---@return boolean
function ends_with(s, suffix) end

---@param s string
---@param plain string no pattern
---@return boolean
function contains(s, plain) end

---@param s string
---@param plain string no pattern
---@param from? integer
---@return integer? first
---@return integer? last
function find(s, plain, from) end

---The first of the strings that the text has anywhere, in letters of either case; an empty string is nowhere.
---@param text string|string[]|nil a list is one text, with a space between its elements
---@param strings string[]
---@return string? mentioned
function mentions(text, strings) end

---As mentions(), where what is around the string ends a word of a shell line or a path: white space, quotes, / = , ; and the like.
---@param text string|string[]|nil
---@param strings string[]
---@return string? mentioned
function mentions_word(text, strings) end

---@param pattern string with * and ?
---@param s string
---@return boolean
function glob(pattern, s) end

---@param s string
---@param separator string
---@param max? integer
---@return string[]
function split(s, separator, max) end

---@param s string
---@return string without white space at both ends
function trim(s) end

---@param s string
---@return string[]
function lines(s) end

---The words of a shell line, without their quotes.
---@param s string
---@return string[]
function words(s) end

---@param x number
---@param low number
---@param high number
---@return number
function clamp(x, low, high) end

---@param x number
---@return integer nearest
function round(x) end

---@param s string|number "512Mi"
---@return number bytes
function quantity(s) end

---@param s string|number "500m", 2
---@return number millicores
function millicores(s) end

---@param s string|number "5m"
---@return number seconds
function duration(s) end

---@class sa.Time
---@field year integer
---@field month integer
---@field day integer
---@field hour integer
---@field minute integer
---@field second integer
---@field weekday integer 1 is Monday

---@param seconds number since 1970, as input.now
---@param offset? number minutes east of UTC
---@return sa.Time
function utc(seconds, offset) end

---@param pattern string "pypi.org", "*.example.com"
---@param host string
---@return boolean
function domain_matches(pattern, host) end

---@param cidr string "10.0.0.0/8"
---@param address string
---@return boolean
function ip_in(cidr, address) end

---@param dir string
---@param path string
---@return boolean
function path_under(dir, path) end

---@param path string
---@return string clean without "." and ".."
function path_clean(path) end

---The first verdict of the point, perhaps with changes of its target.
---@param changes? table
---@return table verdict
function allow(changes) end

---@param rule string what it is called, within the file
---@param reason string why, for a person
---@return table verdict
function deny(rule, reason) end
