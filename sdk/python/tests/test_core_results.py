"""How results are read, and how notebooks show them."""

from __future__ import annotations

import base64
import inspect

import pytest

import secureagent as sa
from secureagent import Execution, ExecutionError, Result

PNG = b"\x89PNG\r\n"
RICH = Result({"text/plain": "t", "text/html": "<b>h</b>", "application/json": {"a": 1},
               "image/png": base64.b64encode(PNG).decode(),
               "image/svg+xml": "<svg/>", "text/latex": "$x$",
               "text/markdown": "*m*"}, is_main=True)  # fmt: skip


def test_formats() -> None:
    assert (RICH.text, RICH.html, RICH.svg, RICH.latex, RICH.markdown) == (
        "t", "<b>h</b>", "<svg/>", "$x$", "*m*")  # fmt: skip
    assert (RICH.png, RICH.jpeg, RICH.json) == (PNG, None, {"a": 1})
    assert str(RICH) == "t"
    assert str(Result({"image/png": ""})) == "<image/png>"
    assert Result({"image/png": "%%%"}).png in (None, b"")


def test_notebooks() -> None:
    assert RICH._repr_png_() == PNG
    assert RICH._repr_html_() == "<b>h</b>"
    assert RICH._repr_mimebundle_() == dict(RICH.data)
    assert set(RICH._repr_mimebundle_(include=["text/plain"])) == {"text/plain"}
    assert "text/plain" not in RICH._repr_mimebundle_(exclude=["text/plain"])


def test_output_is_no_html() -> None:
    """Whatever was printed, a notebook shows it as text; HTML results run nothing."""
    execution = Execution("ex-1", "exited", 1, stdout_bytes=b"<script>1</script>",
                          results=(Result({"text/html": '"><script>2</script>'}),),
                          error=ExecutionError("E", "<script>3</script>"))  # fmt: skip
    shown = execution._repr_html_()
    assert "<script>" not in shown
    assert "iframe sandbox srcdoc" in shown


@pytest.mark.parametrize("execution, ok", [
    (Execution("e", "exited", 0), True), (Execution("e", "exited", 1), False),
    (Execution("e", "timeout"), False), (Execution("e", "exited"), True),
    (Execution("e", "exited", 0, error=ExecutionError("E", "v")), False),
])  # fmt: skip
def test_ok(execution: Execution, ok: bool) -> None:
    assert execution.ok is ok


def test_text_is_the_main_result() -> None:
    both = (Result({"text/plain": "shown"}), RICH)
    assert Execution("e", "exited", 0, results=both).text == "t"
    assert Execution("e", "exited", 0, results=both[:1]).text is None


def test_reprs_are_short() -> None:
    assert len(repr(Execution("e", "exited", 0, stdout_bytes=b"x" * 100000))) < 400


PAIRS = [(getattr(sa, name), getattr(sa, "Async" + name)) for name in sa.__all__
         if "Async" + name in sa.__all__]  # fmt: skip


@pytest.mark.parametrize("blocking, waiting", PAIRS, ids=lambda c: c.__name__)
def test_both_clients_have_the_same_methods(blocking: type, waiting: type) -> None:
    def public(cls: type) -> dict[str, str]:
        found = {}
        for name, member in inspect.getmembers(cls):
            if name.startswith("_"):
                continue
            is_function = callable(member)
            signature = str(inspect.signature(member)) if is_function else ""
            found[name] = signature.replace("Async", "")
        return found

    assert public(blocking) == public(waiting)


@pytest.mark.parametrize("name", sa.__all__)
def test_everything_public_is_documented(name: str) -> None:
    thing = getattr(sa, name)
    if not inspect.isclass(thing):
        return
    assert thing.__doc__, name
    for member, value in inspect.getmembers(thing):
        if not member.startswith("_") and (callable(value) or isinstance(value, property)):
            assert inspect.getdoc(value), f"{name}.{member}"
