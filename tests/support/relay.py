"""Runs a server that insists on listening on every address, so that only this machine's loopback reaches it.

Started inside a network namespace of its own (`unshare --net`), it brings up that namespace's loopback, starts the
server there, and carries connections to it from listening sockets inherited from outside: a socket stays in the
namespace it was made in. Arguments: FD=PORT ... -- COMMAND ...
"""

import contextlib
import ctypes
import signal
import socket
import subprocess
import sys
import threading


def main(arguments: list[str]) -> int:
    split = arguments.index("--")
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # die with the test
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    server = subprocess.Popen(arguments[split + 1 :])
    signal.signal(signal.SIGTERM, lambda *_: server.kill())
    for pair in arguments[:split]:
        descriptor, port = (int(part) for part in pair.split("="))
        threading.Thread(target=_accept, args=(socket.socket(fileno=descriptor), port), daemon=True).start()
    return server.wait()


def _accept(listener: socket.socket, port: int) -> None:
    while True:
        outside, _ = listener.accept()
        try:
            inside = socket.create_connection(("127.0.0.1", port), timeout=10)
        except OSError:
            outside.close()
            continue
        inside.settimeout(None)
        for source, target in ((outside, inside), (inside, outside)):
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=_carry, args=(source, target), daemon=True).start()


def _carry(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
