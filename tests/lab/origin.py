"""An origin that behaves and misbehaves by path, and keeps what reached it.

    origin.py PORT JOURNAL

JOURNAL gets one JSON line per request head: {"line", "fields", "body_bytes", "sha256"}; a connection that sent no request
leaves none. Paths:

    /healthz            200
    /upload             reads the body (Content-Length or chunked), answers its length and SHA-256
    /headers            answers the request head as it arrived
    /websocket          accepts the upgrade and echoes every byte
    /trailers           chunked, with a trailer
    /slow-body          100 bytes now, 100 after a second
    /die-length         half of what Content-Length promised, then FIN
    /die-chunked        one chunk, then FIN
    /reset-mid          half of the body, then RST
    /die-at-once        FIN instead of an answer
    /hang               never answers
    /hang-mid           half of the body, then silence
    /garbage            bytes that are not HTTP
    /bad-chunk          a chunk size that is no number
    /two-lengths        two Content-Length fields that differ
    /huge-head          a head of a megabyte
"""

import base64
import hashlib
import json
import socket
import socketserver
import struct
import sys
import threading
import time

journal_lock = threading.Lock()


class Origin(socketserver.StreamRequestHandler):
    def handle(self):
        try:
            while self.one_request():
                pass
        except (ConnectionError, BrokenPipeError, TimeoutError, ValueError):
            pass

    def one_request(self):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self.rfile.readline(65536)
            if not line:
                return False
            head += line
        lines = head.decode("latin-1").split("\r\n")
        fields = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines[1:] if line)]
        self.fields = {name.lower(): value for name, value in fields}
        if self.fields.get("expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        method, self.path, _ = lines[0].split(" ", 2)
        size, digest = self.read_body()
        with journal_lock, open(sys.argv[2], "a") as journal:
            journal.write(json.dumps({"line": lines[0], "fields": fields, "body_bytes": size, "sha256": digest}) + "\n")
        self.head_text = head
        self.only_head = method == "HEAD"
        name = self.path.split("?")[0].strip("/").replace("-", "_")
        return getattr(self, "do_" + name, self.do_default)() is not False

    def read_body(self):
        digest = hashlib.sha256()
        total = 0
        if self.fields.get("transfer-encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                digest.update(self.rfile.read(size))
                total += size
                self.rfile.readline()
            while self.rfile.readline() not in (b"\r\n", b""):
                pass
        else:
            left = int(self.fields.get("content-length", "0"))
            while left:
                piece = self.rfile.read(min(left, 1 << 16))
                if not piece:
                    raise ConnectionError("body cut short")
                digest.update(piece)
                total += len(piece)
                left -= len(piece)
        return total, digest.hexdigest()

    def answer(self, body, *fields, status="200 OK"):
        body = body if isinstance(body, bytes) else body.encode()
        head = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields, ""))
        self.wfile.write(head.encode() + (b"" if self.only_head else body))

    def do_default(self):
        self.answer(f"origin {self.path}\n")

    def do_upload(self):
        with open(sys.argv[2]) as journal:
            last = json.loads(journal.read().splitlines()[-1])
        self.answer(f"{last['body_bytes']} {last['sha256']}\n")

    def do_headers(self):
        self.answer(self.head_text)

    def do_websocket(self):
        accept = base64.b64encode(hashlib.sha1((self.fields["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
        self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept +
                         b"\r\n\r\n")
        while data := self.connection.recv(65536):
            self.wfile.write(data)
        return False

    def do_trailers(self):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Digest\r\n\r\n5\r\nhello\r\n0\r\nX-Digest: abc\r\n\r\n")

    def do_slow_body(self):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n" + b"a" * 100)
        time.sleep(1)
        self.wfile.write(b"b" * 100)

    def do_die_length(self):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b"x" * 1000)
        return False

    def do_die_chunked(self):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n" + b"x" * 1000 + b"\r\n")
        return False

    def do_reset_mid(self):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b"x" * 1000)
        time.sleep(0.2)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    def do_die_at_once(self):
        return False

    def do_hang(self):
        time.sleep(60)
        return False

    def do_hang_mid(self):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b"x" * 1000)
        time.sleep(60)
        return False

    def do_garbage(self):
        self.wfile.write(b"\x00\xff\x13 this is not HTTP\r\n\r\nat all\r\n\r\n")
        time.sleep(0.2)
        return False

    def do_bad_chunk(self):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\nworld\r\n0\r\n\r\n")
        time.sleep(0.2)
        return False

    def do_two_lengths(self):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!")
        time.sleep(0.2)
        return False

    def do_huge_head(self):
        self.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"X-Filler: " + b"a" * (1 << 20) + b"\r\nContent-Length: 0\r\n\r\n")
        return False


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256


if __name__ == "__main__":
    Server(("0.0.0.0", int(sys.argv[1])), Origin).serve_forever()
