"""Run by test_failures.py in a mount namespace of its own: a server whose data lies on a tiny
file system that fills up."""
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

import requests  # noqa: E402

from tests.helpers import server as servers  # noqa: E402
from tests.helpers.client import Api, wait_until  # noqa: E402

with tempfile.TemporaryDirectory(prefix="secureagent-test-") as folder:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=0711", "tmpfs", folder], check=True)
    data = pathlib.Path(folder) / "data"
    server = servers.start_server(data_dir=data)
    try:
        api = Api(server.url, server.key)
        sandbox = api.create("bash")["id"]
        filler = pathlib.Path(folder) / "filler"
        with open(filler, "wb", buffering=0) as f:
            try:
                while True:
                    f.write(b"x" * 4096)
            except OSError:
                pass

        def unready():
            api.execute(sandbox, command="echo works")
            return requests.get(server.url + "/readyz", timeout=60).status_code == 503
        wait_until("/readyz to notice", unready)
        assert requests.get(server.url + "/readyz", timeout=60).json()["store"] != "ok"
        assert api.sh(sandbox, "echo still") == "still\n"
        assert api.describe(sandbox)["phase"] == "Running"
        refusal = api.request("POST", "/api/v1/user/apikeys", json={"name": "x"})
        assert refusal.status_code >= 500, refusal.text  # a key that is not on disk is none
        filler.unlink()

        def ready():
            api.execute(sandbox, command="true")
            return requests.get(server.url + "/readyz", timeout=60).status_code == 200
        wait_until("it to recover", ready)
        api.delete(sandbox)
        assert api.describe(sandbox)["phase"] == "Terminated"
        assert server.stop() == 0
    finally:
        server.discard()
        subprocess.run(["umount", folder], check=False)
