#!/usr/bin/python3
"""Writes crds/*.yaml from the tables of the kinds (core/model/kinds), or says what differs.

    tools/crds.py [--check] [build/tests/kinds_check]
"""
import json
import pathlib
import subprocess
import sys

import yaml

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "crds"
HEAD = "# Written by tools/crds.py from core/model/kinds: change it there.\n"


class _Dumper(yaml.SafeDumper):
    """Lists stand further in than their key."""

    def increase_indent(self, flow=False, indentless=False):
        return super().increase_indent(flow, False)


def definitions(program: str) -> dict:
    """Of each kind: name of the file, the definition."""
    answer = subprocess.run([program, "crds"], check=True, capture_output=True, text=True)
    return {f"{crd['spec']['names']['plural']}.yaml": crd for crd in json.loads(answer.stdout)}


def text_of(crd: dict) -> str:
    return HEAD + yaml.dump(crd, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)


def differences(program: str) -> list:
    wanted = {name: text_of(crd) for name, crd in definitions(program).items()}
    there = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.yaml")}
    return sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))


def main() -> int:
    arguments = [a for a in sys.argv[1:] if a != "--check"]
    program = arguments[0] if arguments else str(FOLDER.parent / "build/tests/kinds_check")
    if "--check" in sys.argv:
        for name in differences(program):
            print(f"crds/{name} is not what core/model/kinds says: run tools/crds.py", file=sys.stderr)
        return 1 if differences(program) else 0
    FOLDER.mkdir(exist_ok=True)
    for name, crd in definitions(program).items():
        (FOLDER / name).write_text(text_of(crd), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
