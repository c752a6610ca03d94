"""HTTP over a raw socket, for what no well-behaved client sends."""

import socket
import time


class Response:
    def __init__(self, status, fields, body):
        self.status = status
        self.fields = fields
        self.body = body


def receive_all(connection, timeout=10):
    """What comes until the peer closes: (bytes, how it ended: "closed", "reset" or "open")."""
    data = b""
    deadline = time.monotonic() + timeout
    while (left := deadline - time.monotonic()) > 0:
        connection.settimeout(left)
        try:
            piece = connection.recv(65536)
        except ConnectionResetError:
            return data, "reset"
        except socket.timeout:
            break
        if not piece:
            return data, "closed"
        data += piece
    return data, "open"


def split_responses(data):
    """The complete responses in `data` (bodies by Content-Length), and what is left."""
    responses = []
    while True:
        head, found, rest = data.partition(b"\r\n\r\n")
        if not found:
            return responses, data
        lines = head.decode("latin-1").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        length = int(fields.get("content-length", "0"))
        if len(rest) < length:
            return responses, data
        responses.append(Response(int(lines[0].split(" ")[1]), fields, rest[:length]))
        data = rest[length:]


def exchange(host, address, port, data, timeout=10):
    """Sends `data` over a new connection: (the responses, how the connection ended)."""
    with host.connect(address, port, timeout) as connection:
        try:
            connection.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass
        received, end = receive_all(connection, timeout)
    responses, rest = split_responses(received)
    assert rest == b"", f"half a response: {rest[:200]!r}"
    return responses, end
