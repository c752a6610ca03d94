"""Bodies of any size that nobody keeps: made while they are sent, digested while they are received.

    bulk.py serve PORT                 GET /SIZE sends SIZE bytes; PUT answers the SHA-256 of what arrived
    bulk.py get ADDRESS PORT SIZE      prints the SHA-256 of what arrived
    bulk.py put ADDRESS PORT SIZE      prints the SHA-256 that the server saw

Every mebibyte begins with its number, so that a digest notices when two of them change places.
"""

import hashlib
import http.client
import random
import socketserver
import sys

PIECE = 1 << 20
NOISE = random.Random(1).randbytes(PIECE - 8)


def pieces(size):
    for number in range(size // PIECE):
        yield number.to_bytes(8, "big") + NOISE


def digest(size):
    total = hashlib.sha256()
    for piece in pieces(size):
        total.update(piece)
    return total.hexdigest()


def digest_of_body(stream, size):
    total = hashlib.sha256()
    buffer = bytearray(1 << 18)
    view = memoryview(buffer)
    while size:
        count = stream.readinto(view[:min(size, len(buffer))])
        if not count:
            raise ConnectionError(f"{size} bytes are missing")
        total.update(view[:count])
        size -= count
    return total.hexdigest()


class Server(socketserver.StreamRequestHandler):
    def handle(self):
        while line := self.rfile.readline(65536):
            method, path, _ = line.decode().split(" ", 2)
            fields = http.client.parse_headers(self.rfile)
            if method == "GET":
                size = int(path.strip("/"))
                self.wfile.write(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
                for piece in pieces(size):
                    self.wfile.write(piece)
            else:
                answer = digest_of_body(self.rfile, int(fields["Content-Length"]))
                self.wfile.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(answer)}\r\n\r\n{answer}".encode())


def transfer(method, address, port, size):
    connection = http.client.HTTPConnection(address, int(port), timeout=60)
    if method == "get":
        connection.request("GET", f"/{size}")
    else:
        connection.request("PUT", "/", body=pieces(size), headers={"Content-Length": str(size)}, encode_chunked=False)
    answer = connection.getresponse()
    if answer.status != 200:
        raise ConnectionError(f"{answer.status} {answer.reason}")
    return digest_of_body(answer, size) if method == "get" else answer.read().decode()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        socketserver.ThreadingTCPServer.allow_reuse_address = True
        socketserver.ThreadingTCPServer(("0.0.0.0", int(sys.argv[2])), Server).serve_forever()
    else:
        print(transfer(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
