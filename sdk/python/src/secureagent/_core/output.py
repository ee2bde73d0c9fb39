"""The output of an execution: decoding of its lines, exactness across reconnections, collecting."""

from __future__ import annotations

import base64
import binascii
import codecs
import json
from dataclasses import replace
from typing import Any, Iterator

from ..errors import ProtocolError
from ..results import Chunk, Execution, ExecutionError, Result, Usage
from .answers import Fields

LINE_MAX = 64 << 20  # the largest result that a server sends is far below
KEEP_MAX = 4 << 20  # of each output, as the server does for whole answers


class LineDecoder:
    """Cuts a stream of bytes into the JSON objects that its lines hold."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._length = 0

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """The objects that are complete with `data`."""
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._parts.append(line)
            whole = b"".join(self._parts)
            self._parts, self._length = [], 0
            if whole.strip():
                yield self._object(whole)
        if rest:
            self._parts.append(rest)
            self._length += len(rest)
        if self._length > LINE_MAX:
            raise ProtocolError(f"a line of the stream is longer than {LINE_MAX} bytes")

    @staticmethod
    def _object(line: bytes) -> dict[str, Any]:
        try:
            value = json.loads(line)
        except ValueError:
            raise ProtocolError("a line of the stream is not JSON") from None
        return Fields(value, "a line of the stream").all


def output_bytes(f: Fields, name: str = "data") -> bytes:
    """The bytes of a member that is text, or base64 if `encoding` says so."""
    text = f.opt_text(name)
    if not f.opt_text("encoding"):
        return text.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ProtocolError(f"{name}: base64 was expected") from None


class OutputTracker:
    """Turns the items of a stream into chunks, from one offset on, whatever is sent twice.

    One sequence counts everything: a byte of output 1, a result, an error or an input 1. After a
    reconnection the stream may begin before the offset that was asked for; what is known already
    is cut off.

    Attributes:
        offset: Where to go on.
        id: The execution, once it is known.
        pid: Its process id inside the sandbox, or None.
        ended: The last item, once it came.
    """

    def __init__(self, offset: int = 0) -> None:
        self.offset = offset
        self.id: str | None = None
        self.pid: int | None = None
        self.ended: Fields | None = None
        self._decoders = {
            name: codecs.getincrementaldecoder("utf-8")("replace") for name in ("stdout", "stderr")
        }

    def accept(self, item: dict[str, Any]) -> list[Chunk]:
        """What is new in an item."""
        f = Fields(item, "stream")
        kind = f.text("type")
        if kind == "started":
            self.id, self.pid = f.text("id"), f.opt_integer("pid")
        elif kind in self._decoders:
            return self._output(kind, f)
        elif kind == "result":
            return self._counted(f, Chunk("result", result=_result(f)))
        elif kind == "error":
            return self._counted(f, Chunk("error", error=ExecutionError._of(f)))
        elif kind == "input":
            return self._counted(f, Chunk("input", prompt=f.opt_text("prompt")))
        elif kind == "overflow":
            return self._lost(f.integer("droppedBytes"))
        elif kind == "exited":
            self.ended = f
            return self._rest()
        return []  # what a newer server may add

    def _lost(self, count: int) -> list[Chunk]:
        self.offset += count
        return [Chunk("overflow", dropped=count, offset=self.offset)] if count > 0 else []

    def _gap(self, offset: int) -> list[Chunk]:
        return self._lost(offset - self.offset) if offset > self.offset else []

    def _output(self, kind: str, f: Fields) -> list[Chunk]:
        data, offset = output_bytes(f), f.integer("offset", self.offset)
        chunks = self._gap(offset)
        new = data[self.offset - offset :]
        if new:
            self.offset += len(new)
            text = self._decoders[kind].decode(new)
            chunks.append(Chunk(kind, data=text, raw=new, offset=self.offset))
        return chunks

    def _counted(self, f: Fields, chunk: Chunk) -> list[Chunk]:
        offset = f.opt_integer("offset")
        if offset is None:  # an error before anything ran has no place in the output
            return [replace(chunk, offset=self.offset)]
        if offset < self.offset:
            return []
        chunks = self._gap(offset)
        self.offset = offset + 1
        return [*chunks, replace(chunk, offset=self.offset)]

    def _rest(self) -> list[Chunk]:
        """Bytes of a character that was never completed."""
        found = ((kind, decoder.decode(b"", True)) for kind, decoder in self._decoders.items())
        return [Chunk(kind, data=text, offset=self.offset) for kind, text in found if text]


def _result(f: Fields) -> Result:
    return Result(f.part("data").all, is_main=f.flag("main"))


class Collector:
    """Puts chunks together to what a whole answer would have said."""

    def __init__(self) -> None:
        self._output = {"stdout": bytearray(), "stderr": bytearray()}
        self._cut = {"stdout": False, "stderr": False}
        self._results: list[Result] = []
        self._error: ExecutionError | None = None

    def add(self, chunk: Chunk) -> None:
        if chunk.type in self._output:
            kept = self._output[chunk.type]
            room = KEEP_MAX - len(kept)
            kept += chunk.raw[:room]
            self._cut[chunk.type] |= len(chunk.raw) > room
        elif chunk.type == "overflow":
            self._cut = {"stdout": True, "stderr": True}
        elif chunk.result is not None:
            self._results.append(chunk.result)
        elif chunk.error is not None:
            self._error = chunk.error

    def finish(self, execution_id: str, ended: Fields) -> Execution:
        """The whole, with what the last item of the stream says."""
        truncated = ended.part("truncated")
        error = ended.part("error")
        return Execution(
            id=execution_id,
            status=ended.text("status"),
            exit_code=ended.opt_integer("exitCode"),
            signal=ended.opt_text("signal") or None,
            stdout_bytes=bytes(self._output["stdout"]),
            stderr_bytes=bytes(self._output["stderr"]),
            results=tuple(self._results),
            error=self._error or (ExecutionError._of(error) if error.all else None),
            duration=ended.number("durationMs") / 1000,
            usage=Usage._of(ended.part("usage")),
            stdout_truncated=truncated.flag("stdout") or self._cut["stdout"],
            stderr_truncated=truncated.flag("stderr") or self._cut["stderr"],
        )


def execution_of(f: Fields) -> Execution:
    """A whole answer."""
    truncated, error = f.part("truncated"), f.part("error")
    main = f.opt_integer("mainResult")
    return Execution(
        id=f.text("id"),
        status=f.text("status"),
        exit_code=f.opt_integer("exitCode"),
        signal=f.opt_text("signal") or None,
        stdout_bytes=output_bytes(f, "stdout"),
        stderr_bytes=output_bytes(f, "stderr"),
        results=tuple(
            Result(Fields(bundle, "results").all, is_main=index == main)
            for index, bundle in enumerate(f.items("results"))
        ),
        error=ExecutionError._of(error) if error.all else None,
        duration=f.number("durationMs") / 1000,
        usage=Usage._of(f.part("usage")),
        stdout_truncated=truncated.flag("stdout"),
        stderr_truncated=truncated.flag("stderr"),
    )
