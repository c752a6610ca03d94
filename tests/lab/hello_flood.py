"""Keeps a TLS server busy with private-key operations at next to no cost to itself:

    hello_flood.py ADDRESS PORT CONNECTIONS

Every connection sends a ClientHello, waits for the server's signed answer, and is reset. SIGTERM ends it; the last line says how
many answers came. A client that completes its handshakes pays about as much as the server, and on the same processors the
server would never be saturated.
"""

import selectors
import signal
import socket
import ssl
import struct
import sys

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def client_hello():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    outgoing = ssl.MemoryBIO()
    try:
        context.wrap_bio(ssl.MemoryBIO(), outgoing).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def main(address, port, connections):
    running = True

    def stop(*_):
        nonlocal running
        running = False
    signal.signal(signal.SIGTERM, stop)
    hello = client_hello()
    chooser = selectors.DefaultSelector()
    answers = failures = 0

    def connect():
        one = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        one.setblocking(False)
        one.connect_ex((address, port))
        chooser.register(one, selectors.EVENT_WRITE)

    for _ in range(connections):
        connect()
    print("started", flush=True)
    while running:
        for key, events in chooser.select(0.1):
            try:
                if events & selectors.EVENT_WRITE:
                    key.fileobj.send(hello)
                    chooser.modify(key.fileobj, selectors.EVENT_READ)
                    continue
                received = key.fileobj.recv(16384)
                # A ServerHello, and not an alert.
                answers += received[:1] == b"\x16"
                failures += received[:1] != b"\x16"
            except OSError:
                failures += 1
            chooser.unregister(key.fileobj)
            key.fileobj.close()
            connect()
    print(answers, failures, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
