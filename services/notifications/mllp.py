"""MLLP (HL7 v2 Minimal Lower Layer Protocol): one message out, one acknowledgement in, within one time limit."""

import socket
import time

from services.errors import Retry

START, END = b"\x0b", b"\x1c\x0d"
LONGEST_ANSWER = 64 * 1024


def exchange(message: bytes, host: str, port: int, timeout_s: float) -> bytes:
    """Send a message and wait for its acknowledgement, over a connection of its own.

    Raises:
        Retry: no whole acknowledgement came in time.
    """
    deadline = time.monotonic() + timeout_s
    try:
        with socket.create_connection((host, port), timeout=timeout_s) as connection:
            connection.sendall(START + message + END)
            return _read(connection, deadline)
    except TimeoutError as error:
        raise Retry(f"it did not answer within {timeout_s:g} s") from error
    except OSError as error:
        raise Retry(f"nothing answers there ({type(error).__name__})") from error


def _read(connection: socket.socket, deadline: float) -> bytes:
    """One framed message; whoever drips bytes does not move the deadline."""
    received = b""
    while True:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        connection.settimeout(left_s)
        part = connection.recv(4096)
        if not part:
            raise Retry("it closed the connection without an acknowledgement")
        received += part
        begin, end = received.find(START), received.find(END)
        if begin >= 0 and end > begin:
            return received[begin + 1 : end]
        if len(received) > LONGEST_ANSWER:
            raise Retry("its answer is no acknowledgement")
