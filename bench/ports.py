"""The proxy of ports beside nginx's, in one run: the same nginx serves the same files, once inside a
sandbox and reached through agent-api, once outside and reached through another nginx.

    bench/ports.py [SECONDS]
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

SMALL, LARGE = 1024, 8 << 20


def config(root: str, body: str) -> str:
    return f"""worker_processes 1; daemon off; pid {root}/pid; error_log stderr;
events {{ worker_connections 512; }}
http {{ access_log off; keepalive_requests 100000000; sendfile on; default_type text/plain;
  client_body_temp_path {root}/a; proxy_temp_path {root}/b; fastcgi_temp_path {root}/c;
  uwsgi_temp_path {root}/d; scgi_temp_path {root}/e;
  {body} }}
"""


FILES = "server {{ listen 127.0.0.1:{port}; root {root}; }}"
PROXY = """upstream files {{ server 127.0.0.1:{to}; keepalive 32; }}
  server {{ listen 127.0.0.1:{port};
    location / {{ proxy_pass http://files; proxy_http_version 1.1; proxy_set_header Connection "";
                 proxy_max_temp_file_size 0; }} }}"""


def wrk(url: str, key: str, seconds: int, size: int) -> dict:
    out = subprocess.run(["wrk", "-t1", "-c16", f"-d{seconds}s", "--latency", "-H", f"X-API-Key: {key}", url],
                         capture_output=True, text=True, timeout=seconds + 60, check=True).stdout
    if "Non-2xx" in out:
        sys.exit("bench: wrk got errors:\n" + out)
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])
    return {"perSecond": round(rate), "p99": re.search(r"99%\s+(\S+)", out)[1],
            "megabytesPerSecond": round(rate * size / 1e6)}


def start_nginx(folder: pathlib.Path, name: str, body: str) -> subprocess.Popen:
    conf = folder / f"{name}.conf"
    conf.write_text(config(str(folder), body).replace("/pid;", f"/{name}.pid;"))
    return subprocess.Popen(["nginx", "-c", str(conf), "-p", str(folder)], stderr=subprocess.DEVNULL)


def outside(folder: pathlib.Path, seconds: int) -> dict:
    folder.mkdir()
    folder.chmod(0o755)
    for name, size in (("small", SMALL), ("large", LARGE)):
        (folder / name).write_bytes(b"x" * size)
    both = [start_nginx(folder, "files", FILES.format(port=18098, root=folder)),
            start_nginx(folder, "proxy", PROXY.format(port=18097, to=18098))]
    try:
        time.sleep(0.5)
        return {name: wrk(f"http://127.0.0.1:18097/{name}", "none", seconds, size)
                for name, size in (("small", SMALL), ("large", LARGE))}
    finally:
        for one in both:
            one.terminate()
            one.wait(10)


def inside(server, seconds: int) -> dict:
    made = json.loads(server.request("POST", "/api/v1/sandboxes", {
        "runtime": "bash", "timeout": 3600, "resources": {"cpu": "4", "memory": "512Mi"}}))
    base = f"/api/v1/sandboxes/{made['id']}"
    conf = config("/tmp", FILES.format(port=3000, root="/tmp"))
    script = (f"head -c {SMALL} /dev/zero > /tmp/small; head -c {LARGE} /dev/zero > /tmp/large\n"
              f"cat > /tmp/nginx.conf <<'END'\n{conf}END\n"
              "setsid /usr/sbin/nginx -c /tmp/nginx.conf -p /tmp > /tmp/log 2>&1 &\nsleep 1; cat /tmp/log")
    told = json.loads(server.request("POST", base + "/execute", {"command": script}))
    try:
        return {name: wrk(f"http://{server.host}{base}/ports/3000/{name}", server.key, seconds, size)
                for name, size in (("small", SMALL), ("large", LARGE))}
    except SystemExit:
        print(told, file=sys.stderr)
        raise
    finally:
        server.request("DELETE", base)


def measure(server, folder: pathlib.Path, seconds: int) -> dict:
    return {"secureagent": inside(server, seconds), "nginx": outside(folder / "proxied", seconds)}


def main() -> None:
    from bench import Server  # which imports this file for its own run
    folder = pathlib.Path(tempfile.mkdtemp(prefix="secureagent-bench-"))
    folder.chmod(0o755)
    server = Server(folder)
    try:
        print(json.dumps(measure(server, folder, int(sys.argv[1]) if len(sys.argv) > 1 else 5), indent=2))
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
