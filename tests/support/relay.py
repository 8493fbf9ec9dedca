"""Runs a server that insists on listening on every address, so that only this machine's loopback reaches it.

Started inside a network namespace of its own (`unshare --net`), it brings up that namespace's loopback, starts the
server there, and carries connections to it from listening sockets inherited from outside: a socket stays in the
namespace it was made in. A path leads out again, for files know no such walls: what connects to a port inside comes
out at a Unix socket. Arguments: FD=PORT ... PORT:PATH ... -- COMMAND ...
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
    for way in arguments[:split]:
        descriptor, is_in, port = way.partition("=")
        if is_in:
            start(socket.socket(fileno=int(descriptor)), ("127.0.0.1", int(port)))
        else:
            port, _, path = way.partition(":")
            start(socket.create_server(("127.0.0.1", int(port))), path)
    return server.wait()


def start(listener: socket.socket, to: tuple[str, int] | str) -> None:
    """Carry every connection that comes to an address or to the path of a Unix socket, in threads."""
    threading.Thread(target=_accept, args=(listener, to), daemon=True).start()


def _accept(listener: socket.socket, to: tuple[str, int] | str) -> None:
    with contextlib.suppress(OSError):  # until it is closed
        while True:
            near, _ = listener.accept()
            far = socket.socket(socket.AF_UNIX if isinstance(to, str) else socket.AF_INET)
            try:
                far.connect(to)
            except OSError:
                near.close()
                far.close()
                continue
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=_carry, args=(source, target), daemon=True).start()


def _carry(source: socket.socket, target: socket.socket) -> None:
    tcp = source.family == socket.AF_INET
    if tcp:
        source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            if tcp:
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
