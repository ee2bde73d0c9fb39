"""Where the configuration comes from, and where a key never goes."""

from __future__ import annotations

import json
import pathlib

import pytest

from secureagent import ConfigurationError
from secureagent._core import config, net, terminal


def load(environ: dict[str, str], **given: str | None) -> config.Config:
    return config.load(given.get("url"), given.get("api_key"), environ=environ)


@pytest.fixture
def local(tmp_path: pathlib.Path) -> dict[str, str]:
    found = {"url": "http://127.0.0.1:8080", "apiKey": "sa_local", "tlsCert": "/c.pem"}
    (tmp_path / "cli.json").write_text(json.dumps(found))
    return {"SECUREAGENT_DATA_DIR": str(tmp_path)}


def test_arguments_come_first(local: dict[str, str]) -> None:
    environ = {**local, "SECUREAGENT_URL": "http://env", "SECUREAGENT_API_KEY": "sa_env"}
    found = load(environ, url="https://given:1/", api_key="sa_given")
    assert (found.url, found.api_key) == ("https://given:1", "sa_given")


def test_then_the_environment(local: dict[str, str]) -> None:
    environ = {**local, "SECUREAGENT_URL": "http://env", "SECUREAGENT_API_KEY": "sa_env"}
    found = load(environ)
    assert (found.url, found.api_key, found.ca_file) == ("http://env", "sa_env", None)


def test_then_the_local_server(local: dict[str, str]) -> None:
    found = load(local)
    assert (found.url, found.api_key) == ("http://127.0.0.1:8080", "sa_local")
    assert found.ca_file == "/c.pem"


def test_the_local_key_is_for_the_local_server_alone(local: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="no API key"):
        load(local, url="http://elsewhere:8080")
    assert load(local, url="http://127.0.0.1:8080/").api_key == "sa_local"


def test_nothing_known(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ConfigurationError, match="secureagent up"):
        load({"SECUREAGENT_DATA_DIR": str(tmp_path)})


@pytest.mark.parametrize("url", ["ftp://x", "x:80", "http://", "http://h/?q=1", "http://h/#f"])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(ConfigurationError):
        load({}, url=url, api_key="k")


@pytest.mark.parametrize("key", ["a b", "a\nb", "ä"])
def test_what_is_no_key(key: str) -> None:
    with pytest.raises(ConfigurationError):
        load({}, url="http://h", api_key=key)


def test_keys_are_not_printed() -> None:
    assert "sa_secret" not in repr(load({}, url="http://h", api_key="sa_secret"))


@pytest.mark.parametrize("uid, environ, path", [
    (0, {}, "/var/lib/secureagent"), (1000, {"XDG_DATA_HOME": "/x"}, "/x/secureagent"),
    (1000, {"XDG_DATA_HOME": "relative", "HOME": "/h"}, None),
])  # fmt: skip
def test_data_directories(uid: int, environ: dict[str, str], path: str | None) -> None:
    expected = pathlib.Path(path) if path else pathlib.Path.home() / ".local/share/secureagent"
    assert config.data_dir(environ, uid) == expected


def test_proxies_are_for_other_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    for url in ("http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1", "http://a.localhost"):
        assert load({}, url=url, api_key="k").is_direct, url
    assert not load({}, url="http://example.com", api_key="k").is_direct
    monkeypatch.delenv("http_proxy")


def test_certificates_are_checked() -> None:
    assert net.tls(load({}, url="https://h", api_key="k")) is True
    assert net.tls(load({}, url="http://h", api_key="k")) is False


def test_terminal_addresses() -> None:
    found = terminal.address(load({}, url="https://h:1/base", api_key="k"), "sb-1", rows=2, cols=3,
                             command="a b&c", env={"X": "1"}, cwd=None)  # fmt: skip
    assert found == (
        "wss://h:1/base/api/v1/sandboxes/sb-1/terminal?rows=2&cols=3&command=a+b%26c&env=X%3D1"
    )
