"""The interface description: api/openapi/*.yaml, an area to a file, put together. `base.yaml` holds
what all share; every other file adds paths and components, and may not repeat one."""
import pathlib

import yaml

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "api" / "openapi"


def _add(into: dict, more: dict, where: str) -> None:
    for name, value in more.items():
        if name in into:
            raise ValueError(f"{where}: {name} is described twice")
        into[name] = value


def load(folder: pathlib.Path = FOLDER) -> dict:
    document = yaml.safe_load((folder / "base.yaml").read_text(encoding="utf-8"))
    document["paths"] = {}
    for path in sorted(folder.glob("*.yaml")):
        if path.name == "base.yaml":
            continue
        area = yaml.safe_load(path.read_text(encoding="utf-8"))
        unknown = set(area) - {"paths", "components"}
        if unknown:
            raise ValueError(f"{path.name}: only base.yaml has {', '.join(sorted(unknown))}")
        _add(document["paths"], area.get("paths", {}), path.name)
        for kind, members in area.get("components", {}).items():
            _add(document["components"].setdefault(kind, {}), members, path.name)
    return document
