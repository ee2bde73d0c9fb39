"""Which server to talk to, and with which key."""

from __future__ import annotations

import ipaddress
import json
import os
import pathlib
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from typing import Mapping

from .._version import __version__
from ..errors import ConfigurationError
from .retry import RetryPolicy


@dataclass(frozen=True)
class Config:
    """Where the server is and how to talk to it.

    Attributes:
        url: Without a slash at its end.
        timeout: Seconds of silence after which a request has failed.
        ca_file: Certificates to trust instead of the system's, or None.
    """

    url: str
    api_key: str = field(repr=False)
    timeout: float = 30.0
    ca_file: str | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return {
            "Authorization": f"Bearer {self.api_key}",
            "User-Agent": f"secureagent-python/{__version__}",
        }

    @property
    def is_direct(self) -> bool:
        """Is the server reached without a proxy?"""
        parts = urllib.parse.urlsplit(self.url)
        host = parts.hostname or ""
        return _is_loopback(host) or not (
            urllib.request.getproxies() and not urllib.request.proxy_bypass(host)
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def data_dir(environ: Mapping[str, str], uid: int) -> pathlib.Path:
    """Where `secureagent up` keeps its data when it is not told otherwise."""
    if environ.get("SECUREAGENT_DATA_DIR"):
        return pathlib.Path(environ["SECUREAGENT_DATA_DIR"])
    if uid == 0:
        return pathlib.Path("/var/lib/secureagent")
    xdg = environ.get("XDG_DATA_HOME", "")
    base = pathlib.Path(xdg) if xdg.startswith("/") else pathlib.Path.home() / ".local/share"
    return base / "secureagent"


def _local_server(environ: Mapping[str, str]) -> dict[str, str]:
    getuid = getattr(os, "geteuid", None)
    if getuid is None:
        return {}
    path = data_dir(environ, getuid()) / "cli.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        return {}
    except ValueError:
        raise ConfigurationError(f"{path} is not JSON", hint="restart `secureagent up`") from None
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}


def _checked(url: str, source: str) -> str:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ConfigurationError(
            f"{source}: {url!r} is not the address of a server",
            hint="it looks like http://127.0.0.1:8080",
        )
    return url.rstrip("/")


def load(
    url: str | None,
    api_key: str | None,
    *,
    timeout: float = 30.0,
    ca_file: str | None = None,
    retry: RetryPolicy | None = None,
    environ: Mapping[str, str] | None = None,
) -> Config:
    """Put the configuration together: arguments, then the environment, then the local server.

    The local server's key is only ever sent to the local server: not to a URL that came from
    elsewhere.
    """
    env = os.environ if environ is None else environ
    source = "url" if url else "SECUREAGENT_URL"
    url, api_key = url or env.get("SECUREAGENT_URL"), api_key or env.get("SECUREAGENT_API_KEY")
    if not url or not api_key:
        local = _local_server(env)
        if not url and local.get("url"):
            url, source = local["url"], "cli.json"
        if local.get("url") == (url or "").rstrip("/"):
            api_key = api_key or local.get("apiKey")
            ca_file = ca_file or local.get("tlsCert")
    if not url:
        raise ConfigurationError(
            "no server is named, and none runs on this machine for this user",
            hint="start one with `secureagent up`, or set SECUREAGENT_URL and SECUREAGENT_API_KEY",
        )
    if not api_key:
        raise ConfigurationError(
            f"there is no API key for {url}",
            hint="set SECUREAGENT_API_KEY; `secureagent up` prints a key",
        )
    if not api_key.isascii() or not api_key.isprintable() or " " in api_key:
        raise ConfigurationError("the API key holds characters that no key has")
    return Config(_checked(url, source), api_key, timeout, ca_file, retry or RetryPolicy())
