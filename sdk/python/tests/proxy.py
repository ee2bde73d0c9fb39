"""A bad network: a TCP proxy that cuts connections in the middle of what they carry."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import urllib.parse


class FlakyProxy:
    """Forwards connections to a server, and cuts each after a random number of its bytes.

    Each cut lets later connections get a little further, so that whoever resumes comes to an end,
    however long the line is that has to arrive whole.

    Attributes:
        url: Where to connect to.
        cuts: How many connections were cut.
    """

    def __init__(self, url: str, *, seed: int, most: int) -> None:
        parts = urllib.parse.urlsplit(url)
        self._target = (parts.hostname or "", parts.port or 80)
        self._chance, self._most = random.Random(seed), most
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.cuts = 0
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
            except OSError:
                return
            with self._lock:
                # Mostly within the body; sometimes within the head, or before anything came.
                budget = self._chance.randrange(200, self._most + 2000 * self.cuts)
                if self._chance.random() < 0.1:
                    budget = self._chance.randrange(0, 200)
                self._open |= {client, server}
            threading.Thread(target=self._pump, args=(client, server, None), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, budget), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, budget: int | None) -> None:
        with contextlib.suppress(OSError):
            while True:
                data = source.recv(65536 if budget is None else max(1, min(budget, 65536)))
                if not data:
                    break
                if budget is not None:
                    sink.sendall(data[:budget])
                    budget -= len(data)
                    if budget <= 0:
                        with self._lock:
                            self.cuts += 1
                        break
                else:
                    sink.sendall(data)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def close(self) -> None:
        self._listener.close()
        for one in self._open:
            one.close()
