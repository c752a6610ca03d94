"""The application at the far end of every raw-frame test: it makes a byte stream of an HTTP connection, so that the same program
can stand behind a proxy and directly on the kernel's TCP.

    raw_server.py ADDRESS...

Port 80 has ordinary buffers, port 81 small ones. After a WebSocket upgrade of

    /echo       every byte comes back; behind `!` we end our side, and go on reading until the client ends its own
    /hold/NAME  nothing is read until somebody asks for /go/NAME; then the same

and without upgrade

    /bytes/N    N bytes that `pattern` (below) makes
    /go/NAME    lets /hold/NAME go on

Everything stays open until the client closes it.
"""

import socket
import sys
import threading

held = {}
held_lock = threading.Lock()


def pattern(size):
    """Bytes of which every four say where they are."""
    return b"".join(b"%04x" % (at & 0xFFFF) for at in range(size // 4 + 1))[:size]


def gate(name):
    with held_lock:
        return held.setdefault(name, threading.Event())


def read_head(connection):
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(4096)
        if not piece:
            return None, b""
        head += piece
    return head.split(b"\r\n\r\n", 1)


def echo(connection, data):
    writing = True
    while True:
        if writing and data:
            connection.sendall(data)
            if data.endswith(b"!"):
                connection.shutdown(socket.SHUT_WR)
                writing = False
        data = connection.recv(65536)
        if not data:
            return


def answer(connection, body):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def serve(connection):
    try:
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
            while True:
                head, rest = read_head(connection)
                if head is None:
                    return
                _, path, _ = head.split(b"\r\n")[0].decode().split(" ")
                _, kind, *more = path.split("/")
                if b"\r\nupgrade:" in head.lower():
                    connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                       b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
                    if kind == "hold":
                        gate(more[0]).wait()
                    echo(connection, rest)
                    return
                if kind == "go":
                    gate(more[0]).set()
                answer(connection, pattern(int(more[0])) if kind == "bytes" else b"")
    except (ConnectionError, TimeoutError):
        pass


def listen(address, port, buffer=None):
    listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if ":" in address:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if buffer:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    listener.bind((address, port))
    listener.listen(128)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    threads = [threading.Thread(target=listen, args=(address, *place)) for address in sys.argv[1:] for place in ((80,), (81, 16384))]
    for thread in threads:
        thread.start()
