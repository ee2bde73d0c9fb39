"""Carries out what operations ask for, blocking."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any, Generic, Iterator, TypeVar

import httpx

from .._core import net
from .._core.config import Config
from .._core.effects import (
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
    """One pool of connections to one server. Threads may share it."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._http = httpx.Client(**net.client_options(config, httpx.HTTPTransport))

    def close(self) -> None:
        self._http.close()

    def run(self, operation: Operation[T]) -> T:
        """Run an operation that emits nothing to its end."""
        running = Running(self, operation)
        for _ in running:
            pass
        return running.value

    def _send(self, request: Request) -> httpx.Response:
        built = self._http.build_request(
            content=net.pieces(request.body), **net.request_options(request)
        )
        return self._http.send(built, stream=True)

    def call(self, request: Request) -> Reply:
        response = self._send(request)
        try:
            return net.head(response, response.read(), None)
        finally:
            response.close()

    def open(self, request: Request) -> Reply:
        response = self._send(request)
        return net.head(response, b"", Handle(response))


class Handle:
    """The body of an answer that is still being read."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self._pieces = response.iter_raw()

    def read(self) -> bytes | None:
        return next(self._pieces, None)

    def close(self) -> None:
        with suppress(httpx.HTTPError):
            self._response.close()


class Running(Generic[T], Iterator[Any]):
    """An operation under way: iterates over what it emits; `value` is what it returned."""

    value: T

    def __init__(self, driver: Driver, operation: Operation[T]) -> None:
        self._driver, self._operation = driver, operation
        self._handles: list[Handle] = []
        self.done = False

    def __next__(self) -> Any:
        if self.done:
            raise StopIteration
        try:
            return self._advance()
        except StopIteration:
            raise
        except BaseException:
            self.close()
            raise

    def _advance(self) -> Any:
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
                self.close()
                raise StopIteration from None
            if isinstance(effect, Emit):
                return effect.value
            reply = failure = None
            try:
                reply = self._perform(effect)
            except httpx.HTTPError as error:
                failure = net.failure(error)

    def _perform(self, effect: Effect) -> Any:
        if isinstance(effect, Read):
            return effect.handle.read()
        if isinstance(effect, Call):
            return self._driver.call(effect.request)
        if isinstance(effect, Sleep):
            return time.sleep(effect.seconds)
        self._close_handles()
        if isinstance(effect, Open):
            reply = self._driver.open(effect.request)
            self._handles.append(reply.handle)
            return reply
        assert isinstance(effect, Close)
        return None

    def _close_handles(self) -> None:
        """An operation reads one answer at a time: a new one ends the one before."""
        while self._handles:
            self._handles.pop().close()

    def close(self) -> None:
        """Stop, wherever it is."""
        self.done = True
        self._operation.close()
        self._close_handles()

    def __del__(self) -> None:
        # Who leaves an iteration in its middle gives the connection back.
        self._close_handles()
