import asyncio, http.server, select, selectors, socket, socketserver, ssl, threading, urllib.request
def serve(h): s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), h); threading.Thread(target=s.serve_forever, daemon=True).start(); return s
s = serve(http.server.SimpleHTTPRequestHandler); urllib.request.urlopen(f"http://127.0.0.1:{s.server_port}/").read(); s.shutdown()
a, b = socket.socketpair(); a.sendmsg([b"hi"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, b"\0\0\0\0")]); b.recvmsg(10, 100); a.shutdown(socket.SHUT_WR)
u = socket.socket(socket.AF_UNIX); u.bind("\0x"); u.listen(); c = socket.socket(socket.AF_UNIX); c.connect("\0x"); d, _ = u.accept(); d.getpeername(); c.getsockname()
x = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); x.bind(("127.0.0.1", 0)); x.sendto(b"1", x.getsockname()); x.recvfrom(9); x.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
try: socket.socket(socket.AF_INET6).connect(("::1", 9))
except OSError as e: print(e)
try: socket.getaddrinfo("example.com", 80)
except OSError as e: print(e)
print(socket.gethostname(), socket.if_nameindex()); ssl.create_default_context()
e = select.epoll(); e.register(b, select.EPOLLIN); e.poll(0.01); select.poll().poll(1); select.select([b], [], [], 0.01); selectors.DefaultSelector()
async def main():
    async def echo(r, w): w.write(await r.read(10)); await w.drain(); w.close()
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    r, w = await asyncio.open_connection(*server.sockets[0].getsockname()); w.write(b"x" * 10); await r.read(10); w.close()
    p = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1); await p.communicate(b"z")
    await asyncio.to_thread(sum, [1]); await asyncio.sleep(0.01); asyncio.get_running_loop().add_signal_handler(10, print)
    try: await asyncio.wait_for(asyncio.sleep(3), 0.05)
    except asyncio.TimeoutError: pass
asyncio.run(main())
