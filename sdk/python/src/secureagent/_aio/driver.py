"""Carries out what operations ask for, on asyncio."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, AsyncIterator, Generic, Iterator, TypeVar

import httpx

from .._core import net
from .._core.config import Config
from .._core.effects import (
    Body,
    Call,
    Close,
    Effect,
    Emit,
    Open,
    Operation,
    Read,
    Reply,
    Request,
    Sleep,
    TransportError,
)

T = TypeVar("T")


class Driver:
    """One pool of connections to one server, of one event loop."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._http = httpx.AsyncClient(**net.client_options(config, httpx.AsyncHTTPTransport))

    async def close(self) -> None:
        await self._http.aclose()

    async def run(self, operation: Operation[T]) -> T:
        """Run an operation that emits nothing to its end."""
        running = Running(self, operation)
        async for _ in running:
            pass
        return running.value

    async def _send(self, request: Request) -> httpx.Response:
        built = self._http.build_request(
            content=_body(request.body), **net.request_options(request)
        )
        return await self._http.send(built, stream=True)

    async def call(self, request: Request) -> Reply:
        response = await self._send(request)
        try:
            return net.head(response, await response.aread(), None)
        finally:
            await response.aclose()

    async def open(self, request: Request) -> Reply:
        response = await self._send(request)
        return net.head(response, b"", Handle(response))


def _body(body: Body) -> bytes | AsyncIterator[bytes] | None:
    found = net.pieces(body)
    return found if found is None or isinstance(found, bytes) else _in_threads(found)


async def _in_threads(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Files block: each piece is read in a thread."""
    while True:
        data = await asyncio.to_thread(next, pieces, b"")
        if not data:
            return
        yield data


class Handle:
    """The body of an answer that is still being read."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self._pieces = response.aiter_raw()

    async def read(self) -> bytes | None:
        try:
            return await self._pieces.__anext__()
        except StopAsyncIteration:
            return None

    async def close(self) -> None:
        with suppress(httpx.HTTPError):
            await self._response.aclose()


class Running(Generic[T], AsyncIterator[Any]):
    """An operation under way: iterates over what it emits; `value` is what it returned."""

    value: T

    def __init__(self, driver: Driver, operation: Operation[T]) -> None:
        self._driver, self._operation = driver, operation
        self._handles: list[Handle] = []
        self.done = False

    async def __anext__(self) -> Any:
        if self.done:
            raise StopAsyncIteration
        try:
            return await self._advance()
        except StopAsyncIteration:
            raise
        except BaseException:
            await self.close()
            raise

    async def _advance(self) -> Any:
        reply: Any = None
        failure: TransportError | None = None
        while True:
            try:
                if failure is not None:
                    effect = self._operation.throw(failure)
                else:
                    effect = self._operation.send(reply)
            except StopIteration as stop:
                self.value = stop.value
                await self.close()
                raise StopAsyncIteration from None
            if isinstance(effect, Emit):
                return effect.value
            reply = failure = None
            try:
                reply = await self._perform(effect)
            except httpx.HTTPError as error:
                failure = net.failure(error)

    async def _perform(self, effect: Effect) -> Any:
        if isinstance(effect, Read):
            return await effect.handle.read()
        if isinstance(effect, Call):
            return await self._driver.call(effect.request)
        if isinstance(effect, Sleep):
            return await asyncio.sleep(effect.seconds)
        await self._close_handles()
        if isinstance(effect, Open):
            reply = await self._driver.open(effect.request)
            self._handles.append(reply.handle)
            return reply
        assert isinstance(effect, Close)
        return None

    async def _close_handles(self) -> None:
        """An operation reads one answer at a time: a new one ends the one before."""
        while self._handles:
            await self._handles.pop().close()

    async def close(self) -> None:
        """Stop, wherever it is."""
        self.done = True
        self._operation.close()
        await self._close_handles()
