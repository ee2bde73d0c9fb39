"""What rules may call, one expression after the other: the documented value, also for odd arguments."""
import pytest

from tests.helpers.policy import Failed, rule

VALUES = {
    # strings
    "starts_with('abc', 'ab')": "true", "starts_with('a', 'ab')": "false", "starts_with('a', '')": "true",
    "('abc'):ends_with('bc')": "true", "ends_with('c', 'bc')": "false", "ends_with('', '')": "true",
    "('a.b'):contains('.')": "true", "contains('ab', '.')": "false", "contains('a', '')": "true", "contains('a\\0b', '\\0b')": "true",
    "find('hello', 'l')": "3", "select(2, find('hello', 'll'))": "4", "find('hello', 'l', 4)": "4", "find('hello', 'l', 5)": "nil",
    "find('a', '', 2)": "2", "find('a', 'a', 0)": "nil", "find('a', 'a', 0/0)": "nil", "find('a', 'a', 1e300)": "nil", "find('a+', '+')": "2",
    "glob('*.py', 'a.py')": "true", "glob('*.py', 'a.pyc')": "false", "glob('a?c', 'abc')": "true", "glob('a?c', 'ac')": "false",
    "glob('*', '')": "true", "glob('', '')": "true", "glob('', 'a')": "false", "glob('**a**', 'bab')": "true", "glob('[a]', 'a')": "false",
    "glob('*ab*ab', 'abxababab')": "true", "glob('a*b', 'a/c/b')": "true",
    "table.concat(split('a,b,,c', ','), '|')": "a|b||c", "table.concat(split('a,b,c', ',', 2), '|')": "a|b,c", "#split('', ',')": "1",
    "table.concat(split('a::b', '::'), '|')": "a|b", "#split('a,b', ',', 0)": "1", "#split(',', ',')": "2", "#split('aaa', 'aa')": "2",
    "trim('  a b\\t\\n')": "a b", "trim('   ')": "", "trim('')": "", "table.concat(lines('a\\r\\nb\\n\\nc'), '|')": "a|b||c", "#lines('')": "0",
    "#lines('a\\n')": "1", "#lines('\\n')": "1",
    "table.concat(words('a  \"b c\" d\\\\ e'), '|')": "a|b c|d e", "table.concat(words(\"x 'a\\\"b' y\"), '|')": "x|a\"b|y",
    "table.concat(words('a;b|c&&d>e'), ' ')": "a ; b | c && d > e", "table.concat(words('a\\nb'), ' ')": "a ; b", "#words('')": "0",
    "#words('  ')": "0", "table.concat(words('\"unended x'), '|')": "unended x", "#words('\"\"')": "1", "table.concat(words('a\\\\\\nb'), '|')": "ab",
    "table.concat(words('x=\"a b\"c'), '|')": "x=a bc", "words('\\\\')[1]": "\\",
    "mentions('a BigCat', { 'dog', 'gc', 'big' })": "gc", "mentions('ab', { 'AB' })": "AB", "mentions('ab', { 'abc', '', 'ba' })": "nil", "mentions('a', {})": "nil",
    "mentions(nil, { 'a' })": "nil", "mentions('', { 'a', '' })": "nil", "mentions({ 'a', 'b' }, { 'ab', 'A B' })": "A B", "mentions(input.list, { 'a b' })": "a b",
    "mentions({}, { 'a' })": "nil", "#('x\\0y'):mentions({ '\\0Y' })": "2", "mentions('b', input.list)": "b", "mentions('xyz', { 'x', 'y' })": "x",
    "mentions(input.huge, { 'hi', 'ih', 'hh' })": "hh", "mentions('\\195\\132', { '\\195\\164' })": "nil", "mentions('@[`{', { '`', '@' })": "`",
    "mentions_word('cd /tmp;./XMRig -x', { 'tmp', 'xmrig' })": "tmp", "mentions_word('determinerd minerds', { 'minerd' })": "nil",
    "mentions_word('aa minerd.minerd minerd', { 'minerd' })": "minerd", "mentions_word('minerdminerd', { 'minerd' })": "nil", "mentions_word({ 'a', 'b-c' }, { 'b', 'c', 'a b-c' })": "a b-c",
    "mentions_word('\"a\"', { 'a' })": "a", "mentions_word('a', { 'a' })": "a", "mentions_word('x a_ ', { 'a' })": "nil", "mentions_word(nil, { 'a' })": "nil", "mentions_word('a', { '' })": "nil",
    "string.format('%d-%s-%5.2f-%x-%%', 3, 'x', 1.5, 255)": "3-x- 1.50-ff-%", "string.format('%5s|%-5s|%.2s', 'a', 'b', 'cde')": "    a|b    |cd",
    "string.format('%s %s %s', nil, true, {})": "nil true table", "string.format('%c', 65)": "A", "string.format('%i', -1)": "-1", "('%g'):format(0.5)": "0.5",
    "string.format('%s', input)": "table", "string.format('')": "", "tostring(1e15)": "1e+15", "tostring(print_)": "nil", "tostring({})": "table",
    "tostring(function() end)": "function", "tostring(input.list)": "table", "type(input.list)": "table", "('x'):upper():lower():len()": "1",
    "('abc'):sub(2)": "bc", "('abc'):reverse()": "cba", "('a'):byte()": "97", "string.char(97, 98)": "ab", "tonumber('0x10')": "16", "tonumber('x')": "nil",
    # lists and maps
    "has({ 1, 2 }, 2)": "true", "has({ 1 }, '1')": "false", "has(nil, 1)": "false", "has(input.list, 'b')": "true", "has({ nil, 1 }, 1)": "false",
    "has({ a = 1 }, 1)": "false", "has({}, nil)": "false", "table.concat(sort({ 3, 1, 2 }), ' ')": "1 2 3", "table.concat(sort(input.list), '')": "ab",
    "table.concat(sort({ 'b', 'a' }, function(x, y) return x > y end), '')": "ba", "#sort({})": "0", "table.concat(sort({ 1, 2, 3, 4, 5, 6, 7 }, function(a, b) return a > b end), '')": "7654321",
    "table.concat(sort({ 11, 22, 12, 21 }, function(a, b) return a % 10 < b % 10 end), ' ')": "11 21 22 12",
    "table.concat(keys({ b = 1, a = 2 }), '')": "ab", "table.concat(keys(input.map), '')": "xy", "#keys({})": "0",
    "merge({ a = 1, b = { c = 1, d = 2 } }, { b = { c = 3 }, e = 4 }).b.c": "3", "merge({ b = { d = 2 } }, { b = { c = 3 } }).b.d": "2",
    "#merge({ l = { 1, 2, 3 } }, { l = { 4 } }).l": "1", "merge(nil, { a = 1 }).a": "1", "merge({ a = 1 }, nil).a": "1", "merge(input.map, { x = 9 }).x": "9",
    "copy(input.list)[2]": "b", "copy(5)": "5", "copy(input.map).y.z": "1", "(function() local t = copy(input.list) t[1] = 'q' return t[1] .. input.list[1] end)()": "qa",
    "(function() local t = { 1, 2 } table.insert(t, 1, 0) table.insert(t, 3) return table.concat(t, '') end)()": "0123",
    "(function() local t = { 1, 2, 3 } return table.remove(t, 1) .. table.remove(t) .. #t end)()": "131", "table.remove({})": "nil", "table.remove({ 5 }, 2)": "nil",
    "table.concat({ 1, 'a', 2.5 }, '-')": "1-a-2.5", "table.concat({ 1, 2, 3 }, '', 2, 2)": "2", "table.concat({})": "", "table.concat({}, 'x', 5, 1)": "",
    "select('#', unpack({ 1, 2, 3 }))": "3", "unpack({ 1, 2 }, 2)": "2", "select('#', unpack({}, 5, 1))": "0",
    # numbers
    "clamp(5, 1, 3)": "3", "clamp(0, 1, 3)": "1", "clamp(2, 1, 3)": "2", "round(2.5)": "3", "round(-0.4)": "0", "quantity('512Mi')": "536870912", "quantity('1k')": "1000",
    "quantity(5)": "5", "quantity('x')": "nil", "quantity({})": "nil", "quantity('1\\0')": "nil", "quantity(nil)": "nil", "millicores('500m')": "500", "millicores(2)": "2000",
    "millicores('x')": "nil", "duration('1h30m')": "5400", "duration('300ms')": "0.3", "duration('90')": "90", "duration('1d')": "86400", "duration('1.5h')": "5400",
    "duration('h')": "nil", "duration('')": "nil", "duration('5x')": "nil", "duration('5 m')": "nil", "duration(7)": "7", "duration('-5s')": "nil", "duration('1m30')": "nil",
    "utc(0).year": "1970", "utc(0).weekday": "4", "utc(951782400).month": "2", "utc(951782400).day": "29", "utc(1700000000).hour": "22", "utc(1700000000, 120).hour": "0",
    "utc(1700000000, 120).day": "15", "utc(-1).year": "1969", "utc(-1).second": "59", "utc(4e11 - 86400 * 2).year": "14645", "utc(1700000000.9).second": "20",
    # networks
    "domain_matches('*.example.org', 'a.b.EXAMPLE.org')": "true", "domain_matches('*.example.org', 'example.org')": "false", "domain_matches('example.org', 'Example.org.')": "true",
    "domain_matches('*', 'x')": "true", "domain_matches('*.example.org', 'badexample.org')": "false", "domain_matches('', '')": "false", "domain_matches('*.', 'a.')": "false",
    "domain_matches('*.example.org', '.example.org')": "false", "ip_in('10.0.0.0/8', '10.255.0.1')": "true", "ip_in('10.0.0.0/8', '11.0.0.1')": "false", "ip_in('10.0.0.0/8', 'x')": "false",
    "ip_in('10.0.0.0/8', '::ffff:10.1.2.3')": "true", "ip_in('fe80::/10', 'febf::1')": "true", "ip_in('fe80::/10', 'fec0::1')": "false", "ip_in('0.0.0.0/0', '1.2.3.4')": "true",
    "ip_in('0.0.0.0/0', '::1')": "false", "ip_in('1.2.3.4', '1.2.3.4')": "true", "ip_in('192.168.1.128/25', '192.168.1.127')": "false", "ip_in('::/0', '::1')": "true",
    "path_clean('/a/./b//../c/')": "/a/c", "path_clean('../../x')": "/x", "path_clean('')": "/", "path_clean('/..')": "/", "path_clean('a')": "/a", "path_clean('/...')": "/...",
    "path_under('/a', '/a/b')": "true", "path_under('/a', '/ab')": "false", "path_under('/a/', '/a')": "true", "path_under('/', '/x')": "true", "path_under('/a', '/a/../b')": "false",
}
ERRORS = {
    "starts_with(nil, 'x')": "string expected", "contains({}, 'x')": "string expected", "glob(('*'):upper() .. input.long, 'x')": "more than 256", "split('a', '')": "separator is empty",
    "split(input.long:upper():lower(), 'a')": None, "string.format('%n', 1)": "conversion", "string.format('%5000d', 1)": "conversion", "string.format('%.999f', 1)": "conversion",
    "string.format('%')": "conversion", "string.format('%d')": "no value", "string.format('%d', 'x')": "needs a number", "string.format('%d', 0/0)": "whole number", "string.format('%d', 1e300)": "whole number",
    "string.format('%s%s', input.huge, input.huge)": "more than 65536", "string.format('%*d', 1, 2)": "conversion", "sort(5)": "expected a list", "sort({}, 5)": "a function", "sort({ 1, 'a' })": "all elements",
    "sort({ {}, {} })": "all elements", "keys(5)": "expected a map", "keys({ 1, a = 2 })": "all elements", "has(5, 1)": "expected a table", "has({})": "value expected", "merge(5, {})": "two tables", "merge({}, 5)": "two tables",
    "pairs(5)": "expected a table", "pairs(nil)": "expected a table, got nil", "ipairs()": "expected a table", "next(5)": "expected a table", "next({}, 'x')": "next", "next(input, 'nothere')": "next",
    "table.insert({}, 5, 1)": "not within", "table.insert({}, -2e9, 1)": "not within", "table.insert({}, 0/0, 1)": "not within", "table.insert({})": "a list", "table.insert(5, 1)": "expected a table",
    "table.remove({ 1 }, 9)": "not within", "table.remove({ 1 }, -1e9)": "not within", "table.concat({ {} })": "is a table", "table.concat({ 1 }, '', 1, 2)": "is a nil", "table.concat({}, '', 1, 1e9)": "is a nil",
    "table.concat({ input.huge, input.huge, input.huge, input.huge, input.huge, input.huge, input.huge, input.huge, input.huge, input.huge, input.huge, input.huge, input.huge, input.huge, input.huge, input.huge, input.huge, input.huge })": "more than 1048576",
    "unpack({}, 1, 251)": "more than 250", "unpack({}, -1, 5)": "more than 250", "unpack({}, 1, 2^31)": "more than 250", "unpack(5)": "expected a table", "clamp('x', 1, 2)": "number expected", "utc(1e300)": "out of range",
    "utc(0/0)": "out of range", "utc(0, 1e9)": "out of range", "ip_in('x', '1.2.3.4')": "no network", "ip_in('10.0.0.0/33', '1.2.3.4')": "no network", "ip_in('10.0.0.0/-1', '1.2.3.4')": "no network",
    "ip_in('10.0.0.0/', '1.2.3.4')": "no network", "ip_in('10.0.0.0/8x', '1.2.3.4')": "no network", "type()": "value expected", "string.char(300)": "invalid value", "tostring()": "value expected", "math.floor('x')": "number expected",
    "mentions('a')": "value expected", "mentions(true, {})": "string expected", "mentions('a', 'a')": "expected a table", "mentions('a', { 1 })": "element 1 of the list is a number",
    "mentions({ 'a', 1 }, {})": "element 2 of the text is a number", "mentions_word('a', nil)": "expected a table", "mentions((function() local t = {} for i = 1, 20 do t[i] = input.huge end return t end)(), {})": "more than 1048576",
    "words(5 .. '')": None, "select(0)": "out of range", "tonumber('1', 99)": "base out of range",
}
INPUT = {"list": ["a", "b"], "map": {"x": 1, "y": {"z": 1}}, "long": "a" * 300, "huge": "h" * 60000}


def expressions(worker, table):
    body = "local f = ({\n" + "".join(f"function() local x = {e} return x end,\n" for e in table) + "})[input.n]\nreturn deny('x', '<' .. tostring(f()) .. '>')"
    return worker({"policies/a.lua": rule(body, head="local print_")}, cpuMs=2000)


def test_values(worker):
    w = expressions(worker, VALUES)
    got = {e: w.call("execute", INPUT | {"n": n})["reason"][1:-1] for n, e in enumerate(VALUES, 1)}
    assert got == VALUES


def test_errors(worker):
    w = expressions(worker, ERRORS)
    for n, (expression, message) in enumerate(ERRORS.items(), 1):
        if message is None:
            w.call("execute", INPUT | {"n": n})
            continue
        with pytest.raises(Failed) as failed:
            w.call("execute", INPUT | {"n": n})
        assert message in failed.value.message, expression
        assert failed.value.kind == "error", expression
        if not expression.startswith("next("):  # Lua itself gives no place for these
            assert failed.value.line == 3 + n, expression
