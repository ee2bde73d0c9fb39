#!/usr/bin/env python3
"""A web server in a sandbox, looked at through a port.

Shows: a process in the background, the ports on which something listens, requests to it with the
API key, and a URL for a browser that needs none and expires.

    python3 examples/web_preview.py
"""

import time

import httpx

from secureagent import Sandbox

PAGE = "<!doctype html><title>Preview</title><h1>Made in a sandbox</h1>\n"

with Sandbox.create(runtime="python", labels={"example": "web-preview"}) as sb:
    sb.files.write("site/index.html", PAGE)
    server = sb.run_command(
        "python3 -m http.server 8000 --directory site", background=True, timeout=300
    )
    deadline = time.monotonic() + 60
    while 8000 not in [port.port for port in sb.ports.list()]:
        if time.monotonic() > deadline or not server.info().running:
            raise SystemExit("the server did not come up")
        time.sleep(0.05)
    print("listening:", [port.port for port in sb.ports.list()])

    # With the key, as every other request.
    page = httpx.get(sb.ports.url(8000, "index.html"), headers=sb.ports.headers(), trust_env=False)
    print(page.status_code, page.text.strip())

    # Without: whoever has this URL sees the page until it expires.
    link = sb.ports.signed_url(8000, expires_in=600)
    print(f"for a browser, until {link.expires_at:%H:%M:%S} UTC: {link}")
    server.cancel()
