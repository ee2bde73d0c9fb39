"""What every sandbox has of ours in /etc/secureagent."""
import hashlib

from tests.helpers.server import ROOT

KERNELS = "/etc/secureagent/kernels"


def test_the_kernels_are_there_unchanged(api, shared):
    """Built into sandbox-node; read-only, and nobody's inside."""
    expected = {f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}"
                for path in (ROOT / "runtime" / "kernels").iterdir() if path.suffix in (".py", ".js", ".sh")}
    sums = f"cd {KERNELS} && for f in *; do [ ! -f $f ] || sha256sum $f; done"
    assert set(api.sh(shared, sums).splitlines()) == expected
    assert api.sh(shared, f"find {KERNELS} -type f ! -perm 644 -o -user user -o -writable") == ""
    assert api.execute(shared, command=f"touch {KERNELS}/new")["exitCode"] == 1


def test_so_are_the_programs_that_install_packages(api, shared):
    for name in ("pip.py", "npm.js"):
        expected = hashlib.sha256((ROOT / "runtime" / "packages" / name).read_bytes()).hexdigest()
        assert api.sh(shared, f"sha256sum </etc/secureagent/packages/{name}").split()[0] == expected
