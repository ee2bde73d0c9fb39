"""The part of JSON Schema that api/openapi/ uses. A keyword that is not understood here is an
error, and so is a member of an answer that the description does not name."""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import openapi  # noqa: E402

DOCUMENT = openapi.load()
METHODS = ("get", "put", "post", "delete", "head", "options", "patch", "trace")

_TYPES = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
}
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_ANNOTATIONS = {"description", "default", "title", "summary"}


class Mismatch(AssertionError):
    pass


def resolve(node):
    while "$ref" in node:
        target = DOCUMENT
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def _fail(where, message):
    raise Mismatch(f"{where or 'answer'}: {message}")


def _check_object(schema, value, where):
    properties = schema.get("properties", {})
    extra = schema.get("additionalProperties", not properties)
    for name in schema.get("required", []):
        if name not in value:
            _fail(where, f"lacks {name!r}")
    if len(value) > schema.get("maxProperties", len(value)):
        _fail(where, "too many members")
    for name, member in value.items():
        if name in properties:
            check(properties[name], member, f"{where}.{name}")
        elif extra is False:
            _fail(where, f"{name!r} is not described")
        elif isinstance(extra, dict):
            check(extra, member, f"{where}.{name}")


def _check_string(schema, value, where):
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        _fail(where, f"length {len(value)}")
    if "pattern" in schema and not re.search(schema["pattern"], value):
        _fail(where, f"{value!r} does not match {schema['pattern']}")
    if schema.get("format") == "date-time" and not _DATE_TIME.fullmatch(value):
        _fail(where, f"{value!r} is no time")


def _fits(schema, value):
    try:
        check(schema, value)
        return True
    except Mismatch:
        return False


_KNOWN = _ANNOTATIONS | {
    "type", "enum", "const", "properties", "required", "additionalProperties", "maxProperties", "items",
    "minItems", "maxItems", "minLength", "maxLength", "pattern", "format", "minimum", "maximum", "oneOf"}


def check(schema, value, where=""):
    schema = resolve(schema)
    unknown = set(schema) - _KNOWN
    assert not unknown, f"the validator does not know {unknown}"
    types = schema.get("type", [])
    types = types if isinstance(types, list) else [types]
    if types and not any(_TYPES[t](value) for t in types):
        _fail(where, f"{value!r:.80} is not {' or '.join(types)}")
    if "enum" in schema and value not in schema["enum"]:
        _fail(where, f"{value!r:.80} is none of {schema['enum']}")
    if "const" in schema and value != schema["const"]:
        _fail(where, f"{value!r:.80} is not {schema['const']!r}")
    if "oneOf" in schema and sum(_fits(s, value) for s in schema["oneOf"]) != 1:
        _fail(where, "fits none, or several, of oneOf")
    if isinstance(value, dict):
        _check_object(schema, value, where)
    elif isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            _fail(where, f"{len(value)} items")
        for i, item in enumerate(value):
            check(schema.get("items", {}), item, f"{where}[{i}]")
    elif isinstance(value, str):
        _check_string(schema, value, where)
    elif _TYPES["number"](value):
        if not schema.get("minimum", value) <= value <= schema.get("maximum", value):
            _fail(where, f"{value} is out of range")


def check_component(name, value):
    check(DOCUMENT["components"]["schemas"][name], value, name)


def operations():
    """(method, path template, operation) of everything that is described."""
    for path, entry in DOCUMENT["paths"].items():
        for method in METHODS:
            if method in entry:
                yield method.upper(), path, entry[method]


def _pattern(template):
    # {path} may hold slashes; the others not.
    parts = re.split(r"(\{\w+\})", template)
    return "".join((".+" if p == "{path}" else "[^/]+") if p.startswith("{") else re.escape(p)
                   for p in parts)


_OPERATIONS = sorted(((m, re.compile(_pattern(p)), o) for m, p, o in operations()),
                     key=lambda o: (".+" in o[1].pattern, o[1].pattern.count("[^/]+")))


def find_operation(method, path):
    path = path.split("?")[0]
    for known, pattern, operation in _OPERATIONS:
        if known == method and pattern.fullmatch(path):
            return operation
    return None


def check_answer(method, path, answer):
    """Is this requests.Response one that the description allows?"""
    assert answer.headers.get("X-Request-Id"), f"{method} {path}: no X-Request-Id"
    operation = find_operation(method, path)
    if operation is None or answer.status_code in (404, 405) and method not in ("GET", "DELETE"):
        if answer.content:
            check_component("Error", answer.json())
        return
    responses = operation["responses"]
    described = responses.get(str(answer.status_code), responses.get("default"))
    if described is None:
        raise Mismatch(f"{method} {path}: the status {answer.status_code} is not described")
    described = resolve(described)
    if str(answer.status_code) not in responses and answer.status_code < 400:
        raise Mismatch(f"{method} {path}: the status {answer.status_code} is not described")
    if method == "HEAD":
        return
    content = described.get("content", {})
    if not content:
        assert not answer.content, f"{method} {path}: a body where none is described"
        return
    media = answer.headers.get("Content-Type", "").split(";")[0]
    if "*/*" in content and media:
        return
    if media not in content:
        raise Mismatch(f"{method} {path}: {media!r} is not described for {answer.status_code}")
    if media == "application/json":
        check(content[media]["schema"], answer.json(), f"{method} {path}")
