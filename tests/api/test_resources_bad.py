"""Every field of every manifest with every kind of bad value: `path: what was expected`. The fields
are those of crds/, which are written from the tables that decode them, so that none is forgotten."""
import copy
import json
import pathlib

import pytest
import yaml

CRDS = pathlib.Path(__file__).resolve().parents[2] / "crds"
KINDS = {  # what is required anyway
    "warmpools": ("warmpools", {"runtime": "python"}),
    "runtimes": ("runtimeenvironments", {"language": "python"}),
    "profiles": ("sandboxprofiles", {}),
}
EVERY = {**KINDS, "sandboxes": ("sandboxes", {"runtime": "bash"})}  # the latter are taken flat
SAMPLES = {"domain": "pypi.org", "name": "a", "path": "/a"}


def schema_of(plural):
    crd = yaml.safe_load((CRDS / f"{plural}.yaml").read_text(encoding="utf-8"))
    return crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]


def fields(node, path=()):
    """(path, schema) of everything below; 0 in a path is an element of a list."""
    for name, member in node.get("properties", {}).items():
        yield (*path, name), member
        yield from fields(member, (*path, name))
    if "items" in node:
        yield (*path, 0), node["items"]
        yield from fields(node["items"], (*path, 0))


def is_quantity(node):
    return node.get("x-kubernetes-int-or-string", False)


def wrong_types(node):
    good = "quantity" if is_quantity(node) else node.get("type")
    for kind, value in (("string", "a b/c\x01"), ("boolean", True), ("object", {"x": 1}), ("array", [{}]), ("integer", -7)):
        fits = kind == good or (good == "number" and kind == "integer") or (good == "quantity" and kind == "integer")
        if not fits:
            yield value
    if good == "integer":
        yield 1.5


def bad_texts(node):
    if node.get("minLength"):
        yield ""
    if "enum" in node:
        yield "none-of-them"
    if "maxLength" in node:
        yield "a" * (node["maxLength"] + 1)
    if "pattern" in node and not is_quantity(node):
        yield "\x01 ..//"


def bad_values(node):
    """Values that this field must not have."""
    yield from wrong_types(node)
    if node.get("type") == "string":
        yield from bad_texts(node)
    if node.get("type") in ("integer", "number"):
        yield node["minimum"] - 1
        yield node["maximum"] + 1
    if is_quantity(node):
        yield from (-1, "-1", "x", "1Xi", "", "1e99", "9999999Ti", "1n")
    if node.get("type") == "array":
        item = {"string": "a", "integer": 80}.get(node["items"]["type"], {})
        yield [item] * (node["maxItems"] + 1)
    if "maxProperties" in node:
        yield {f"k{i}": "v" for i in range(node["maxProperties"] + 1)}
    if isinstance(node.get("additionalProperties"), dict):
        yield {"k": 5}
        yield {"k": "v" * (node["additionalProperties"]["maxLength"] + 1)}


def put(spec, schema, path, value):
    """The spec with that value at that path, and around it what must be there."""
    name, *rest = path
    node = schema["items"] if name == 0 else schema["properties"][name]
    if not rest:
        inner = value
    else:
        have = spec.get(name) if isinstance(spec, dict) else None
        inner = put(copy.deepcopy(have) if have else {}, node, rest, value)
    if name == 0:
        return [inner]
    required = {r: SAMPLES[r] for r in schema.get("required", []) if r not in spec and r in SAMPLES}
    return {**required, **spec, name: inner}


def path_text(area, path):
    text = "" if area == "sandboxes" else "spec"
    for part in path:
        text += f"[{part}]" if part == 0 else f".{part}"
    return text.lstrip(".")


def body(area, name, spec):
    return {"name": name, **spec} if area == "sandboxes" else {"metadata": {"name": name}, "spec": spec}


def cases():
    for area, (plural, base) in EVERY.items():
        schema = schema_of(plural)
        for path, node in fields(schema):
            yield pytest.param(area, schema, base, path, node, id=f"{area}-{path_text(area, path)}")


@pytest.mark.parametrize("area, schema, base, path, node", list(cases()))
def test_bad_values(api, area, schema, base, path, node):
    tried, field = 0, path_text(area, path)
    for value in bad_values(node):
        answer = api.request("POST", f"/api/v1/{area}", json=body(area, "bad", put(base, schema, path, value)))
        shown = json.dumps(value)[:80]
        assert answer.status_code in (400, 413), f"{field} = {shown}: {answer.status_code} {answer.text[:300]}"
        if answer.status_code == 413:
            continue  # it is too large before anybody looks at it
        error = answer.json()["error"]
        (detail,) = error["details"]
        where = detail["path"]
        # An element or member is named where it is, a list or map where that is not said.
        assert where == field or where.startswith(field + ("[", ".")[isinstance(value, dict)]) \
            or (path[-1] == 0 and where == path_text(area, path[:-1])), f"{field} = {shown}: {error}"
        assert error["message"].startswith(where) and len(error["message"]) > len(where) + 2, error
        tried += 1
    assert tried >= 3


def unknown_places():
    for area, (plural, base) in EVERY.items():
        schema = schema_of(plural)
        for path, node in [((), schema), *fields(schema)]:
            if node.get("type") == "object" and "properties" in node:
                yield pytest.param(area, schema, base, path, id=f"{area}-{path_text(area, path)}")


@pytest.mark.parametrize("area, schema, base, path", list(unknown_places()))
def test_unknown_fields_at_every_level(api, area, schema, base, path):
    inside = {"nobodyKnows": 1}
    node = schema
    for name in path:
        node = node["items"] if name == 0 else node["properties"][name]
    inside.update({r: SAMPLES[r] for r in node.get("required", []) if r in SAMPLES})
    spec = put(base, schema, path, inside) if path else {**base, **inside}
    sent, where = body(area, "unknown-field", spec), path_text(area, (*path, "nobodyKnows"))
    api.error("POST", f"/api/v1/{area}", 400, "invalid_request", where, json=sent)
    if area == "sandboxes":
        return  # never lenient
    created = api.post(f"/api/v1/{area}?lenient=true", sent, status=201).json()
    api.request("DELETE", f"/api/v1/{area}/unknown-field", 200)
    assert "nobodyKnows" not in json.dumps(created)


@pytest.mark.parametrize("area", sorted(EVERY))
def test_required_fields(api, area):
    plural, base = EVERY[area]
    for name in schema_of(plural).get("required", []):
        spec = {k: v for k, v in base.items() if k != name}
        api.error("POST", f"/api/v1/{area}", 400, "invalid_request", path_text(area, (name,)), json=body(area, "bad", spec))


@pytest.mark.parametrize("area", sorted(KINDS))
def test_a_spec_is_needed(api, area):
    without = {"metadata": {"name": "some"}}
    api.error("POST", f"/api/v1/{area}", 400, "invalid_request", "spec", json=without)
    api.error("POST", f"/api/v1/{area}", 400, "invalid_request", "spec", json={**without, "spec": []})
    api.error("PUT", f"/api/v1/{area}/some", 400, "invalid_request", "spec", json=without)


@pytest.mark.parametrize("member, value, where", [
    ("apiVersion", "v2", "apiVersion"), ("kind", "Pod", "kind"), ("kind", 5, "kind"), ("metadata", [], "metadata"),
    ("spec", "x", "spec"), ("extra", 1, "extra"),
    ("metadata", {"name": "Upper"}, "metadata.name"), ("metadata", {"name": "a" * 254}, "metadata.name"),
    ("metadata", {"name": 5}, "metadata.name"), ("metadata", {}, "metadata.name"),
    ("metadata", {"generateName": "-"}, "metadata.generateName"),
    ("metadata", {"name": "a", "labels": {"a b": "c"}}, "metadata.labels"),
    ("metadata", {"name": "a", "labels": {"a": "c d"}}, "metadata.labels"),
    ("metadata", {"name": "a", "labels": {"a": 1}}, "metadata.labels.a"),
    ("metadata", {"name": "a", "labels": []}, "metadata.labels"),
    ("metadata", {"name": "a", "annotations": {"a/b/c": "d"}}, "metadata.annotations"),
    ("metadata", {"name": "a", "finalizers": ["a b"]}, "metadata.finalizers"),
    ("metadata", {"name": "a", "ownerReferences": [{"kind": "x"}]}, "metadata.ownerReferences[0].apiVersion"),
    ("metadata", {"name": "a", "color": "red"}, "metadata.color"),
])
@pytest.mark.parametrize("area", sorted(KINDS))
def test_bad_manifests(api, area, member, value, where):
    sent = {"metadata": {"name": "bad"}, "spec": KINDS[area][1], member: value}
    error = api.error("POST", f"/api/v1/{area}", 400, "invalid_request", where, json=sent)
    assert error["message"].startswith(where + ":")


@pytest.mark.parametrize("text", ["", "x", "[]", "5", "{", '{"a":1,"a":2}', '{"metadata":{"name":"\ud800"}}', "{}x",
                                  '{"spec":' * 40 + "{}" + "}" * 40])
@pytest.mark.parametrize("area", sorted(KINDS))
def test_no_json(api, area, text):
    for method, target in (("POST", f"/api/v1/{area}"), ("PUT", f"/api/v1/{area}/some"), ("PATCH", f"/api/v1/{area}/some")):
        answer = api.request(method, target, 400, data=text.encode("utf-8", "surrogatepass"))
        assert answer.json()["error"]["code"] == "invalid_request"
