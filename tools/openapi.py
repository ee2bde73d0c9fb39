"""The interface description: api/openapi/*.yaml, an area to a file, put together. `base.yaml` holds
what all share; every other file adds paths and components, and may not repeat one.

An area may say things once for several kinds (`each`, `template`, `written`: resources.yaml). A
schema `{x-crd: warmpools.spec}` stands for that part of crds/warmpools.yaml, which is made from the
tables that decode it."""
import pathlib
import re

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[1]
FOLDER = ROOT / "api" / "openapi"


def _add(into: dict, more: dict, where: str) -> None:
    for name, value in more.items():
        if name in into:
            raise ValueError(f"{where}: {name} is described twice")
        into[name] = value


def _plain(schema: dict) -> dict:
    """A structural schema as JSON Schema, without what only Kubernetes understands."""
    schema = dict(schema)
    if schema.pop("x-kubernetes-int-or-string", False):
        del schema["anyOf"]
        schema["type"] = ["number", "string"]
    free = schema.pop("x-kubernetes-preserve-unknown-fields", False)
    schema = {k: v for k, v in schema.items() if not k.startswith("x-kubernetes-")}
    if "properties" in schema:
        schema["properties"] = {k: _plain(v) for k, v in schema["properties"].items()}
    if "items" in schema:
        schema["items"] = _plain(schema["items"])
    if schema.get("type") == "object":
        schema.setdefault("additionalProperties", bool(free))
    return schema


def _of_crd(where: str) -> dict:
    plural, part = where.split(".")
    if not plural:
        return {"type": "object", "description": "As in Kubernetes."}
    crd = yaml.safe_load((ROOT / "crds" / f"{plural}.yaml").read_text(encoding="utf-8"))
    (version,) = crd["spec"]["versions"]
    return _plain(version["schema"]["openAPIV3Schema"]["properties"][part])


def _filled(node, words: dict):
    """The template with its <words>."""
    if isinstance(node, dict):
        return {_filled(k, words): _filled(v, words) for k, v in node.items()}
    if isinstance(node, list):
        return [_filled(v, words) for v in node]
    if isinstance(node, str):
        return re.sub(r"<(\w+)>", lambda m: str(words.get(m[1], "")), node)
    return node


def _parts(area: dict) -> list[dict]:
    """An area as it stands, and what it says of each."""
    parts = [area]
    for words in area.pop("each", []):
        for part in ("template", "written")[: 2 if words["written"] else 1]:
            parts.append(_filled(area[part], words))
    area.pop("template", None)
    area.pop("written", None)
    return parts


def load(folder: pathlib.Path = FOLDER) -> dict:
    document = yaml.safe_load((folder / "base.yaml").read_text(encoding="utf-8"))
    document["paths"] = {}
    for path in sorted(folder.glob("*.yaml")):
        if path.name == "base.yaml":
            continue
        for area in _parts(yaml.safe_load(path.read_text(encoding="utf-8"))):
            unknown = set(area) - {"paths", "components"}
            if unknown:
                raise ValueError(f"{path.name}: only base.yaml has {', '.join(sorted(unknown))}")
            for name, entry in area.get("paths", {}).items():
                _add(document["paths"].setdefault(name, {}), entry, f"{path.name}: {name}")
            for kind, members in area.get("components", {}).items():
                members = {k: _of_crd(v["x-crd"]) if "x-crd" in v else v for k, v in members.items()}
                _add(document["components"].setdefault(kind, {}), members, path.name)
    return document
