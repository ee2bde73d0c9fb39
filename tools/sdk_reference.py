"""docs/sdk-python.md from the docstrings of sdk/python. Without arguments it writes the file; with
`--check` it says whether the file is current. Reads the sources; nothing is imported or run."""
import ast
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "sdk" / "python" / "src" / "secureagent"
TARGET = ROOT / "docs" / "sdk-python.md"

HEAD = """# Python SDK: reference

Made from the docstrings of `sdk/python` by `tools/sdk_reference.py`; how to begin is in the
[README](../sdk/python/README.md) of the package. Each class `X` of the blocking client has a
namesake `AsyncX` for asyncio with the same methods, to be awaited. Timeouts are in seconds, sizes
in bytes.
"""

# What is shown in which order: (title, module, classes; none are all public ones).
PARTS = [
    ("Sandboxes", "_sync/sandbox.py", ["Sandbox"]),
    ("Running things", "_sync/executions.py", ["Process", "ExecutionStream", "Executions"]),
    ("Contexts", "_sync/contexts.py", ["Contexts"]),
    ("Files", "_sync/files.py", ["Files", "Watcher"]),
    ("Ports", "_sync/ports.py", ["Ports"]),
    ("Terminals", "_sync/terminal.py", ["Terminal"]),
    ("Connections and keys", "_sync/client.py", ["Client", "Keys"]),
    ("Pools, runtimes, profiles", "_sync/resources.py", ["WarmPools", "PoolWatcher", "Runtimes", "Profiles"]),
    ("Retries", "_core/retry.py", ["RetryPolicy"]),
    ("Results", "results.py", None),
    ("Resources", "resources.py", None),
    ("Other data", "models.py", None),
    ("Errors", "errors.py", None),
]
# Classes whose methods are those of another, in files of their own.
CATALOGUE = [("_sync/resources.py", "Catalogue")]
BASES = {"Sandbox": [("_sync/running.py", "SandboxRuns"), ("_sync/life.py", "SandboxLife")],
         "WarmPools": CATALOGUE, "Runtimes": CATALOGUE, "Profiles": CATALOGUE}
SECTIONS = ("Args", "Attributes", "Returns", "Raises", "Example")


def dedented(text: str) -> list[str]:
    lines = text.strip("\n").splitlines()
    margin = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return [line[margin:] for line in lines]


def split(docstring: str) -> tuple[str, dict[str, list[str]]]:
    """The text before the sections, and the sections, of a docstring in Google's style."""
    parts = re.split(rf"^({'|'.join(SECTIONS)}):\n", docstring + "\n", flags=re.M)
    sections = {name: dedented(body) for name, body in zip(parts[1::2], parts[2::2])}
    return parts[0].strip(), sections


def entries(lines: list[str]) -> list[str]:
    """A list of `name: text` entries, as Markdown."""
    text = re.sub(r"\n[ \t]+", " ", "\n".join(lines)).strip()
    return [re.sub(r"^(\*{0,2}\w+): ", lambda m: f"- `{m.group(1)}`: ", line)
            for line in text.splitlines() if line]


def document(docstring: str) -> list[str]:
    text, sections = split(docstring)
    out = [text, ""]
    for name, lines in sections.items():
        if name == "Example":
            out += ["```pycon", *lines, "```", ""]
        elif name == "Returns":
            out += ["Returns: " + " ".join(line.strip() for line in lines), ""]
        else:
            out += [f"{name}:", "", *entries(lines), ""]
    return out


def is_overload(function: ast.FunctionDef) -> bool:
    return any(isinstance(d, ast.Name) and d.id == "overload" for d in function.decorator_list)


def has_decorator(function: ast.FunctionDef, name: str) -> bool:
    return any(isinstance(d, ast.Name) and d.id == name for d in function.decorator_list)


def signature(name: str, function: ast.FunctionDef) -> str:
    """As it is called: without self and cls."""
    arguments = function.args
    if arguments.args and arguments.args[0].arg in ("self", "cls"):
        arguments.args = arguments.args[1:]
    returns = f" -> {ast.unparse(function.returns)}" if function.returns else ""
    pieces = re.split(r", (?=[*\w]+(?::|,|$)|\*)", ast.unparse(arguments))
    pieces = [re.sub(r"^([*\w]+: [^=]+)=(.*)$", r"\1 = \2", piece) for piece in pieces]
    line = f"{name}({', '.join(pieces)}){returns}"
    if len(line) <= 96:
        return line
    return f"{name}(\n" + "".join(f"    {piece},\n" for piece in pieces) + f"){returns}"


def methods(node: ast.ClassDef) -> list[str]:
    out = []
    for member in node.body:
        if not isinstance(member, ast.FunctionDef) or member.name.startswith("_") or is_overload(member):
            continue
        docstring = ast.get_docstring(member)
        if docstring is None:
            raise SystemExit(f"{node.name}.{member.name} has no docstring")
        if has_decorator(member, "property"):
            kind = ast.unparse(member.returns) if member.returns else "Any"
            out += [f"- `{member.name}: {kind}`: {' '.join(docstring.split())}"]
            continue
        owner = node.name if has_decorator(member, "classmethod") else node.name[0].lower() + node.name[1:]
        out += ["", f"#### {node.name}.{member.name}", "", "```text",
                signature(f"{owner}.{member.name}", member), "```", "", *document(docstring)]
    return out


def fields(node: ast.ClassDef) -> list[str]:
    """The members of a dataclass."""
    return [f"- `{ast.unparse(m.target)}: {ast.unparse(m.annotation)}`" for m in node.body
            if isinstance(m, ast.AnnAssign) and not ast.unparse(m.target).startswith("_")]


def described(node: ast.ClassDef) -> list[str]:
    docstring = ast.get_docstring(node) or ""
    made = next((m for m in node.body if isinstance(m, ast.FunctionDef) and m.name == "__init__"), None)
    out = [f"### {node.name}", ""]
    bases = [ast.unparse(base) for base in node.bases]
    if any(base.endswith("Error") for base in bases):
        out += [f"A `{bases[0]}`.", ""]
    if "\nArgs:\n" in docstring and made is not None:
        out += ["```text", signature(node.name, made).replace(" -> None", ""), "```", ""]
    out += document(docstring)
    if any("dataclass" in ast.unparse(d) for d in node.decorator_list):
        out += ["Members:", "", *fields(node)]
    return [*out, *methods(node), ""]


def classes_of(name: str) -> dict[str, ast.ClassDef]:
    tree = ast.parse((PACKAGE / name).read_text(encoding="utf-8"))
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


class Typed(ast.NodeTransformer):
    """What T stands for in a class that is made of a generic one."""

    def __init__(self, kind: ast.expr) -> None:
        self.kind = kind

    def visit_Name(self, node: ast.Name) -> ast.expr:  # noqa: N802
        return self.kind if node.id == "T" else node


def with_bases(node: ast.ClassDef) -> ast.ClassDef:
    for module, base in BASES.get(node.name, []):
        body = classes_of(module)[base].body
        kinds = [b.slice for b in node.bases if isinstance(b, ast.Subscript) and ast.unparse(b.value) == base]
        node.body += [Typed(kind).visit(member) for kind in kinds for member in body] or body
    return node


def reference() -> str:
    out = [HEAD]
    for title, name, classes in PARTS:
        found = classes_of(name)
        shown = classes or [name for name in found if not name.startswith("_")]
        out += [f"## {title}", "", *(line for name in shown for line in described(with_bases(found[name])))]
    text = "\n".join(out)
    return re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n"


def main() -> int:
    text = reference()
    if "--check" in sys.argv[1:]:
        if TARGET.exists() and TARGET.read_text(encoding="utf-8") == text:
            return 0
        print(f"{TARGET.relative_to(ROOT)} is not current: run python3 tools/sdk_reference.py", file=sys.stderr)
        return 1
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
