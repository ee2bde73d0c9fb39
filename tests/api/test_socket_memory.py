"""What a program leaves unread in sockets is memory of its sandbox, not of the host."""
FILL = r'''
import resource, socket, time
resource.setrlimit(resource.RLIMIT_NOFILE, (900, 4096))
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(4096)
kept, total, most, end = [], 0, 400 << 20, time.time() + 5
try:
    while total < most and time.time() < end:
        client = socket.socket()
        client.settimeout(1)
        client.connect(listener.getsockname())
        kept += [listener.accept()[0], client]
        for one in kept[-2:]:
            one.setblocking(False)
            try:
                while total < most:
                    total += one.send(b"x" * 65536)
            except BlockingIOError:
                pass
except OSError:
    pass
print(total >> 20)
'''


def test_unread_bytes_over_loopback(api):
    with api.sandbox(resources={"memory": "128Mi"}) as sandbox:
        result = api.execute(sandbox, language="python", code=FILL, timeoutMs=90000)
        assert result["status"] in ("exited", "oom"), result
        assert result["status"] == "oom" or int(result["stdout"]) < 200, result
