"""The CustomResourceDefinitions against the kinds that they are written from, through values that
are made from the schemas: what a schema takes or refuses, decoding takes or refuses; defaults are
the same; what is printed is what the schema takes. And the manifests of examples/ and docs/.

    check_crds.py PROGRAM      (kinds_check)
"""
import copy
import json
import pathlib
import re
import subprocess
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tools"))
import crds  # noqa: E402

GROUP = "secureagent.dev/v1"
TEXTS = ["a", "a-b", "-a", "a-", "A", "a.b", "a..b", ".a", "a.", "*", "*.a.b", "a.*", "/", "/a", "/a/b", "/a/", "//a",
         "/a/../b", "/..", "/...", "/.a", "/.", "a b", "a/b:1@c", ":a", "a+b", "+a", "_a.b1", "1a", "a.1", "a;b", "é",
         "/\n", "a\n", "/a b", "0", "a_b", "registry.example.com:5000/x"]
TIMES = {"2026-01-31T09:05:00Z": True, "2026-01-31T09:05:00.25+02:00": True, "soon": False, "2026-01-31": False}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
UNITS = {"": 1, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50}
STRICTER = ("spec.preloadPackages[",)  # decoding, than a schema can be
NUMBERS_AS_TEXT = '"observedGeneration": "1"'  # of conditions: decoding takes it, too
ABSENT_IN_SCHEMA = {"ephemeralStorage"}  # its default is computed: half of the memory
failures, counts = [], {"taken": 0, "refused": 0}


def fail(message):
    failures.append(message)


def quantity(value):
    number, unit = re.fullmatch(r"([0-9.]+)([a-zA-Z]*)", str(value)).groups()
    return float(number) * UNITS[unit]


# ---- what a schema takes ----

def _takes_quantity(schema, value):
    if isinstance(value, bool) or not isinstance(value, (int, str)) or not re.search(schema["pattern"], str(value)):
        return False
    for rule in schema.get("x-kubernetes-validations", []):
        low, high = re.fullmatch(r"expected a quantity from (\S+) to (\S+)", rule["message"]).groups()
        if not quantity(low) <= quantity(value) <= quantity(high):
            return False
    return True


def _takes_text(schema, value):
    if not isinstance(value, str) or not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        return False
    if schema.get("format") == "date-time" and not TIMES.get(value, TIME.fullmatch(value)):
        return False
    # Python's $ also stands before a last line feed; RE2's does not.
    pattern = schema.get("pattern", "").replace("$", r"\Z")
    return bool(re.search(pattern, value)) and value in schema.get("enum", [value])


def _takes_number(schema, value):
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    if schema["type"] == "integer" and value != int(value):
        return False
    return schema.get("minimum", value) <= value <= schema.get("maximum", value)


def _takes_object(schema, value):
    if not isinstance(value, dict) or len(value) > schema.get("maxProperties", len(value)):
        return False
    if any(name not in value for name in schema.get("required", [])):
        return False
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return True
    known, rest = schema.get("properties", {}), schema.get("additionalProperties")
    return all(takes(known[name], member) if name in known else rest is not None and takes(rest, member)
               for name, member in value.items())


def _takes_array(schema, value):
    if not isinstance(value, list) or len(value) > schema["maxItems"] or not all(takes(schema["items"], v) for v in value):
        return False
    keys = [tuple(item[key] for key in schema["x-kubernetes-list-map-keys"]) for item in value] \
        if schema["x-kubernetes-list-type"] == "map" else []
    return len(set(keys)) == len(keys)


def takes(schema, value):
    if schema.get("x-kubernetes-int-or-string"):
        return _takes_quantity(schema, value)
    kind = schema["type"]
    if kind == "array":
        return _takes_array(schema, value)
    if kind == "boolean":
        return isinstance(value, bool)
    check = {"object": _takes_object, "string": _takes_text, "integer": _takes_number, "number": _takes_number}[kind]
    return check(schema, value)


# ---- values to try ----

def least(schema):
    """The smallest value that it takes."""
    if schema.get("x-kubernetes-int-or-string"):
        return "1Gi"
    kind = schema["type"]
    if kind == "object":
        return {name: least(schema["properties"][name]) for name in schema.get("required", [])}
    if kind == "string":
        return schema["enum"][0] if "enum" in schema else next(t for t in TEXTS + list(TIMES) if takes(schema, t))
    return {"array": [], "boolean": False}.get(kind, schema.get("minimum", 0))


def _quantities(schema):
    yield from ("1", 1, 64, "0.1", "500m", "64Mi", "1Gi", "1.5Gi", "9Pi", "x", "", "-1", "1 Gi", True, [], {}, "1e", "Mi")
    for rule in schema.get("x-kubernetes-validations", []):
        yield from re.fullmatch(r"expected a quantity from (\S+) to (\S+)", rule["message"]).groups()


def _texts(schema):
    yield from (1, True, [], {})
    if schema.get("format") == "date-time":
        yield from TIMES
        return
    yield from schema.get("enum", [])
    yield from TEXTS + [""]
    if schema.get("maxLength", 1 << 20) <= 1 << 16:
        yield from ("a" * schema["maxLength"], "a" * (schema["maxLength"] + 1))


def _arrays(schema):
    yield from ([], "a", {}, 1, [least(schema["items"])] * schema["maxItems"],
                [least(schema["items"])] * (schema["maxItems"] + 1))
    for value in values(schema["items"]):
        yield [value]


def _objects(schema):
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        yield from ({}, {"a": {"b": [1, None]}}, [], "a", 1)
        return
    if "additionalProperties" in schema:
        most = schema["maxProperties"]
        yield from ({}, {"a": "b"}, {"a": 1}, {"a": []}, [], "a", {f"a{i}": "" for i in range(most)},
                    {f"a{i}": "" for i in range(most + 1)})
        return
    base = least(schema)
    yield from (base, {**base, "noSuchField": 1}, [], "a", 1)
    for name in base:
        yield {key: value for key, value in base.items() if key != name}
    for name, member in schema["properties"].items():
        for value in values(member):
            yield {**base, name: value}


def values(schema):
    if schema.get("x-kubernetes-int-or-string"):
        return _quantities(schema)
    if schema["type"] in ("integer", "number"):
        low, high = schema.get("minimum", 0), schema.get("maximum", 1 << 31)
        return [low, high, low - 1, schema.get("maximum", 1 << 60) + 1, low + 0.5, "1", True, [], {}]
    if schema["type"] == "boolean":
        return [True, False, "true", 0, 1, [], {}]
    return {"string": _texts, "array": _arrays, "object": _objects}[schema["type"]](schema)


def obey_rules(spec):
    """What lies between members is tried one by one in the unit tests."""
    if spec.get("securityContext"):
        spec["securityLevel"] = "custom"
    if "minSize" in spec:
        spec["maxSize"] = 10000
    if "maxSize" in spec and "minSize" not in spec:
        spec["minSize"] = 0
    resources = spec.get("resources")
    if isinstance(resources, dict) and resources.get("cpuPinning") is True:
        resources["cpu"] = "2"


# ---- both ways ----

class Kinds:
    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8")

    def ask(self, **question):
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def set_defaults(schema, value):
    for name, member in schema.get("properties", {}).items():
        if name not in value and "default" in member:
            value[name] = copy.deepcopy(member["default"])
        if isinstance(value.get(name), dict):
            set_defaults(member, value[name])
        if isinstance(value.get(name), list) and member["type"] == "array":
            for item in value[name]:
                if isinstance(item, dict):
                    set_defaults(member["items"], item)
    return value


def without_computed(value):
    if isinstance(value, dict):
        return {k: without_computed(v) for k, v in value.items() if k not in ABSENT_IN_SCHEMA and v != {}}
    return [without_computed(v) for v in value] if isinstance(value, list) else value


def check_value(kinds, kind, schema, spec, status):
    wanted = takes(schema, {"spec": spec, "status": status})
    told = {"apiVersion": GROUP, "kind": kind, "metadata": {"name": "x"}, "spec": spec, "status": status}
    answer = kinds.ask(object=told)
    if wanted and answer.get("path", "").startswith(STRICTER):
        return
    if not wanted and '"conditions"' in json.dumps(status) and NUMBERS_AS_TEXT in json.dumps(status):
        return
    if ("object" in answer) != wanted:
        fail(f"{kind} {json.dumps(spec)[:300]} {json.dumps(status)[:300]}: the schema {'takes' if wanted else 'refuses'} "
             f"it, decoding says {answer.get('message', 'yes')}")
        return
    counts["taken" if wanted else "refused"] += 1
    if not wanted:
        if not answer["message"].startswith(answer["path"]) or not answer["path"].startswith(("spec", "status")):
            fail(f"{kind} {json.dumps(spec)[:200]}: no path in {answer['message']!r}")
        return
    printed = {"spec": answer["object"]["spec"], "status": answer["object"]["status"]}
    if not takes(schema, printed):
        fail(f"{kind} {json.dumps(printed)[:300]}: printed, and refused by the schema")


def check_defaults(kinds, kind, schema):
    spec = least(schema["properties"]["spec"])
    answer = kinds.ask(object={"apiVersion": GROUP, "kind": kind, "metadata": {"name": "x"}, "spec": spec})
    wanted = without_computed(set_defaults(schema["properties"]["spec"], copy.deepcopy(spec)))
    got = without_computed(answer["object"]["spec"])
    if wanted != got:
        fail(f"{kind}: the schema's defaults give {wanted}, decoding {got}")


def check_kind(kinds, crd):
    kind, schema = crd["spec"]["names"]["kind"], crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    parts = schema["properties"]
    check_defaults(kinds, kind, schema)
    for spec in values(parts["spec"]):
        spec = copy.deepcopy(spec)
        if isinstance(spec, dict):
            obey_rules(spec)
        check_value(kinds, kind, schema, spec, {})
    for status in values(parts["status"]):
        check_value(kinds, kind, schema, least(parts["spec"]), status)


def check_structure(schema, where):
    """What apiextensions.k8s.io/v1 asks of a structural schema."""
    if schema.get("x-kubernetes-int-or-string"):
        if "type" in schema:
            fail(f"{where}: int-or-string has no type")
    elif schema.get("type") not in ("object", "array", "string", "integer", "number", "boolean"):
        fail(f"{where}: no type")
    if "properties" in schema and "additionalProperties" in schema:
        fail(f"{where}: properties and additionalProperties exclude each other")
    if "default" in schema and not takes(schema, set_defaults(schema, copy.deepcopy(schema["default"]))
                                         if isinstance(schema["default"], dict) else schema["default"]):
        fail(f"{where}: its default is not valid")
    for rule in schema.get("x-kubernetes-validations", []):
        if not rule["message"] or "\n" in rule["message"] or rule["rule"].count("(") != rule["rule"].count(")"):
            fail(f"{where}: the rule {rule}")
    for name, member in schema.get("properties", {}).items():
        check_structure(member, f"{where}.{name}")
        if not member.get("description") and not where.endswith("conditions") and name not in ("apiVersion", "kind", "metadata", "spec", "status"):
            fail(f"{where}.{name}: no description")
    if "items" in schema:
        check_structure(schema["items"], where)


def check_definition(name, crd):
    spec, version = crd["spec"], crd["spec"]["versions"][0]
    if crd["metadata"]["name"] != f"{spec['names']['plural']}.{spec['group']}" or version["subresources"] != {"status": {}}:
        fail(f"{name}: name or subresources")
    schema = version["schema"]["openAPIV3Schema"]
    check_structure(schema, name)
    paths = [c["jsonPath"] for c in version["additionalPrinterColumns"]] + [f["jsonPath"] for f in version["selectableFields"]]
    if len(version["selectableFields"]) > 8:
        fail(f"{name}: more than 8 selectable fields")
    for path in paths:
        here = schema
        for part in path.split(".")[1:]:
            here = here.get("properties", {}).get(part)
            if here is None and path == ".metadata.creationTimestamp":
                break
            if here is None:
                fail(f"{name}: there is no {path}")
                break


# ---- manifests ----

def manifests():
    for path in sorted((ROOT / "examples").glob("*.yaml")):
        yield from ((path.name, document) for document in yaml.safe_load_all(path.read_text(encoding="utf-8")))
    for path in sorted((ROOT / "docs").glob("*.md")):
        for block in re.findall(r"^```yaml\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S):
            if "apiVersion: secureagent.dev" in block:
                yield from ((path.name, document) for document in yaml.safe_load_all(block))


def check_manifests(kinds, definitions):
    schemas = {c["spec"]["names"]["kind"]: c["spec"]["versions"][0]["schema"]["openAPIV3Schema"] for c in definitions.values()}
    seen = set()
    for name, document in manifests():
        answer = kinds.ask(object=document)
        seen.add(document["kind"])
        if "object" not in answer:
            fail(f"{name}: {document['kind']}: {answer['message']}")
        if not takes(schemas[document["kind"]]["properties"]["spec"], document.get("spec", {})):
            fail(f"{name}: {document['kind']}: refused by its schema")
    if missing := {"Sandbox", "SandboxProfile", "WarmPool", "RuntimeEnvironment"} - seen:
        fail(f"no example of {', '.join(sorted(missing))}")


def main():
    program = sys.argv[1]
    for name in crds.differences(program):
        fail(f"crds/{name} is not what core/model/kinds says: run tools/crds.py")
    definitions = crds.definitions(program)
    kinds = Kinds(program)
    for name, crd in definitions.items():
        check_definition(name, crd)
        check_kind(kinds, crd)
    check_manifests(kinds, definitions)
    kinds.process.stdin.close()
    kinds.process.wait()
    if min(counts.values()) < 500:
        fail(f"too few values were tried: {counts}")
    print(f"{counts['taken']} values taken by both, {counts['refused']} refused by both")
    for message in failures[:40]:
        print(message, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
