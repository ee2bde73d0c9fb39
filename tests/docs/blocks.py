"""The fenced code blocks of a Markdown page, and which of them can be run."""
import dataclasses
import re

# What runs, what is only checked, what is only shown. Another word is most likely a slip.
RUN = {"python": "python", "bash": "bash", "sh": "bash", "console": "bash"}
PARSED = {"json"}
SHOWN = {"", "text", "pycon", "yaml", "lua", "c", "http", "js", "javascript", "html", "diff", "toml", "ini",
         "dockerfile", "make", "sql", "mermaid", "ndjson"}

_FENCE = re.compile(r"^(?P<indent> {0,3})(?P<fence>`{3,}|~{3,})[ \t]*(?P<word>[\w+-]*)[^\n]*$")
_NO_RUN = re.compile(r"^\s*<!--\s*no-run:\s*(?P<reason>.*?)\s*-->\s*$")


@dataclasses.dataclass(frozen=True)
class Block:
    line: int       # of its first line of text, from 1
    word: str       # the language as written
    text: str
    no_run: object  # None, or the reason why it must not run

    @property
    def kind(self):
        """`python` or `bash` for what runs; None for what does not."""
        return RUN.get(self.word) if self.no_run is None else None

    @property
    def source(self):
        """What is run: of a console only what was typed."""
        if self.word != "console":
            return self.text
        lines = self.text.splitlines()
        typed = [line[2:] if line.startswith(("$ ", "# ")) else line for i, line in enumerate(lines)
                 if line.startswith(("$ ", "# ")) or (i and lines[i - 1].endswith("\\"))]
        return "\n".join(typed) + "\n"


def blocks(text):
    """All blocks of a page, in order."""
    found, lines = [], text.splitlines()
    reason, at = None, 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if match := _NO_RUN.match(line):
            reason = match["reason"]
            continue
        fence = _FENCE.match(line)
        if not fence:
            if line.strip():
                reason = None
            continue
        begin, closing = at, re.compile(rf"^ {{0,3}}{fence['fence'][0]}{{{len(fence['fence'])},}}\s*$")
        while at < len(lines) and not closing.match(lines[at]):
            at += 1
        indent = len(fence["indent"])
        body = "".join(one[min(indent, len(one) - len(one.lstrip())):] + "\n" for one in lines[begin:at])
        found.append(Block(begin + 1, fence["word"].lower(), body, reason))
        reason, at = None, at + 1
    return found
