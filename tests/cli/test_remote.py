"""Commands against servers elsewhere: --url, --api-key, https with a certificate of one's own."""
import subprocess

import pytest

from tests.helpers import server as servers
from tests.helpers.cli import environment, run_cli
from tests.helpers.client import wait_until
from tests.helpers.terminal import Terminal


@pytest.fixture
def tls(new_server, tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)
    one = new_server(args=["--tls-cert", str(cert), "--tls-key", str(key)])
    one.cert = cert
    return one


def test_every_way_over_tls(tls, tmp_path):
    assert tls.url.startswith("https://")
    named = ["--url", tls.url, "--api-key", tls.key, "--cacert", tls.cert]
    (tmp_path / "a.sh").write_text("echo ran")
    kept = run_cli("run", tmp_path / "a.sh", "--keep", *named)
    assert (kept.returncode, kept.stdout) == (0, b"ran\n"), kept.stderr
    [sandbox] = [line.split()[0].decode() for line in run_cli("ps", *named).stdout.splitlines()[1:]]
    data = bytes(range(256)) * 3000
    for where, local in (([], tls), (named, None)):
        result = run_cli("exec", "-i", *where, sandbox, "cat", server=local, stdin=data)
        assert (result.returncode, result.stdout) == (0, data), result.stderr
        assert run_cli("cp", "-", f"{sandbox}:f", *where, server=local, stdin=data).returncode == 0
        assert run_cli("cp", f"{sandbox}:f", "-", *where, server=local).stdout == data
        assert run_cli("logs", "-f", sandbox, *where, server=local).returncode == 0
    with Terminal([servers.BIN / "secureagent", "shell", sandbox, *named], environment()) as tty:
        tty.type("echo $((40 + 2))\n")
        tty.until("42")
        tty.type("exit\n")
        assert tty.wait() == 0


@pytest.mark.parametrize("command", [["exec", "sb-" + "a" * 20, "true"], ["ps"], ["logs", "-f", "sb-" + "a" * 20]])
def test_who_is_not_trusted(tls, command):
    wrong = [command[0], "--url", tls.url, "--api-key", tls.key, *command[1:]]
    result = run_cli(*wrong)
    assert result.returncode == 69 and b"certificate" in result.stderr, result
    wrong_key = [command[0], "--url", tls.url, "--cacert", tls.cert, "--api-key", "sa_aaaaaaaa_" + "a" * 32,
                 *command[1:]]
    result = run_cli(*wrong_key)
    assert result.returncode == 77 and b"--api-key" in result.stderr, result


def test_a_stream_is_not_opened_with_who_is_not_trusted(tls, tmp_path):
    """The WebSocket checks the certificate, too, not only the requests before it."""
    kept = run_cli("run", "-", "-r", "bash", "--keep", server=tls, stdin=b"true")
    sandbox = kept.stderr.split(b"kept ")[1].split()[0].decode()
    other = tmp_path / "other.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", tmp_path / "k", "-out", other, "-days", "2", "-subj", "/CN=localhost"],
                   check=True, capture_output=True)
    result = run_cli("exec", "--url", tls.url, "--api-key", tls.key, "--cacert", other, sandbox, "echo", "ran")
    assert result.returncode == 69 and result.stdout == b""
    wait_until("it to be listed", lambda: run_cli("logs", sandbox, server=tls).returncode == 0)


@pytest.mark.parametrize("command", [["exec", "sb-" + "a" * 20, "true"], ["ps"], ["forward", "sb-" + "a" * 20, "1"]])
def test_nobody_answers(command):
    result = run_cli(command[0], "--url", "http://127.0.0.1:1", "--api-key", "sa_x", *command[1:])
    assert result.returncode == 69 and b"127.0.0.1:1" in result.stderr and b"up" in result.stderr
