"""An HTTP/2 server in clear text that answers each path with the steps that it was given for it, right or wrong, and prints
one line of JSON for everything that it sees.

Input: one line of JSON, {"scripts": {path: [steps of the first attempt, of the second, ...]}, "default": steps, "settings",
"acknowledges"}; the last attempt's steps are those of all later ones. First output: {"port"}."""

import json
import socket
import sys
import threading

from http2_peer import PREFACE, Peer, frame_bytes

printing = threading.Lock()


def tell(**event):
    with printing:
        print(json.dumps(event), flush=True)


class Server:
    def __init__(self, order):
        self.scripts = order["scripts"]
        self.default = order["default"]
        self.settings = order.get("settings", [])
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.connections = 0
        self.attempts = {}
        self.acknowledges = order.get("acknowledges", True)

    def run(self):
        tell(port=self.listener.getsockname()[1])
        while True:
            sock, _ = self.listener.accept()
            self.connections += 1
            threading.Thread(target=self.serve, args=(sock, self.connections), daemon=True).start()

    def serve(self, sock, number):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        preface = b""
        while len(preface) < len(PREFACE):
            try:
                chunk = sock.recv(len(PREFACE) - len(preface))
            except OSError:
                chunk = b""
            if not chunk:
                sock.close()
                return
            preface += chunk
        if preface != PREFACE:
            tell(event="not HTTP/2", connection=number, bytes=preface.decode("latin1"))
            sock.close()
            return
        tell(event="connection", connection=number)
        peer = Peer(
            sock,
            on_request=lambda peer, stream, head: self.request(peer, number, stream, head),
            acknowledges=self.acknowledges,
        )
        body = b"".join(key.to_bytes(2, "big") + value.to_bytes(4, "big") for key, value in self.settings)
        peer.write(frame_bytes(4, 0, 0, body))
        peer.start()
        peer.wait(lambda: False, 3600)
        resets = {stream: one.reset for stream, one in peer.streams.items() if one.reset is not None}
        tell(event="end", connection=number, how=peer.end, goaways=peer.goaways, resets=resets)
        sock.close()

    def request(self, peer, connection, stream, head):
        path = head.get(":path", "")
        tell(event="request", connection=connection, stream=stream, path=path, head=head)
        name = path.split("?")[0]
        attempts = self.scripts.get(name, [self.default])
        attempt = self.attempts[name] = self.attempts.get(name, 0) + 1
        script = attempts[min(attempt, len(attempts)) - 1]
        threading.Thread(target=self.answer, args=(peer, connection, stream, path, script), daemon=True).start()

    def answer(self, peer, connection, stream, path, script):
        one = peer.stream(stream)
        peer.last = max(peer.last, stream)
        peer.play(script, stream)
        peer.wait(lambda: one.reset is not None, 30)
        if one.reset is not None:
            tell(event="reset", connection=connection, stream=stream, path=path, code=one.reset)


Server(json.loads(sys.stdin.readline())).run()
