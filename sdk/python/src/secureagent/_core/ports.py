"""Operations on ports, packages and API keys."""

from __future__ import annotations

from typing import Any, Sequence

from ..models import ApiKey, InstalledPackage, Port, SignedUrl
from ..results import Execution
from .answers import Fields, decode
from .effects import Operation
from .executions import GRACE
from .output import execution_of
from .retry import send
from .wire import API, Wire, quote, sandbox_path, without_none

INSTALL_TIMEOUT = 300.0  # of the server, in seconds


def url(wire: Wire, sandbox: str, port: int, path: str) -> str:
    """Where a server inside is reached, with the key as for every other request."""
    return f"{wire.config.url}{sandbox_path(sandbox, 'ports', str(port))}/{path.lstrip('/')}"


def headers(wire: Wire) -> dict[str, str]:
    """What a request to `url` carries."""
    return {"Authorization": wire.config.headers["Authorization"]}


def list_all(wire: Wire, sandbox: str) -> Operation[list[Port]]:
    found = yield from wire.pages("ports", sandbox_path(sandbox, "ports"), {})
    return [Port._of(one) for one in found]


def signed_url(wire: Wire, sandbox: str, port: int, expires_in: int) -> Operation[SignedUrl]:
    path = sandbox_path(sandbox, "ports", str(port), "signed-url")
    body = {"expiresIn": expires_in}
    return SignedUrl._of((yield from wire.ask("url", "POST", path, json_body=body, safe=True)))


def install(
    wire: Wire, sandbox: str, packages: Sequence[str], manager: str, timeout: float | None
) -> Operation[tuple[Execution, tuple[InstalledPackage, ...]]]:
    request = wire.request(
        "POST",
        sandbox_path(sandbox, "packages"),
        json_body=without_none(
            {
                "manager": manager,
                "packages": list(packages),
                "timeoutMs": None if timeout is None else max(1, round(timeout * 1000)),
            }
        ),
        timeout=(timeout or INSTALL_TIMEOUT) + GRACE,
        safe=True,  # what is installed already is not installed again
    )
    f = decode((yield from send(request, wire.config.retry)), "packages")
    installed = [Fields(one, "installed") for one in f.items("installed")]
    there = tuple(InstalledPackage(one.text("name"), one.opt_text("version")) for one in installed)
    return execution_of(f), there


# ---- API keys ----


def list_keys(wire: Wire) -> Operation[list[ApiKey]]:
    return [ApiKey._of(one) for one in (yield from wire.pages("keys", f"{API}/user/apikeys", {}))]


def create_key(
    wire: Wire, name: str, role: str | None, expires_in: int | None
) -> Operation[ApiKey]:
    body: dict[str, Any] = {"name": name, "role": role, "expiresIn": expires_in}
    path = f"{API}/user/apikeys"
    return ApiKey._of((yield from wire.ask("key", "POST", path, json_body=without_none(body))))


def revoke_key(wire: Wire, key_id: str) -> Operation[None]:
    yield from wire.tell("DELETE", f"{API}/user/apikeys/{quote(key_id)}")
