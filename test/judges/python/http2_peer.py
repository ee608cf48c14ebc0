"""One end of an HTTP/2 connection that does exactly what it is told, right or wrong: frames by `hyperframe`, header blocks by
`hpack`, nothing checked. The client and the server of the judges are made of it."""

import socket
import threading
import time

from hpack import Decoder, Encoder
from hpack.exceptions import HPACKError
from hyperframe.exceptions import HyperframeError
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
ERRORS = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
]


def error_name(code):
    return ERRORS[code] if code < len(ERRORS) else str(code)


class Stream:
    def __init__(self):
        self.blocks = []  # header blocks, each a list of [name, value]
        self.body = bytearray()
        self.bytes = 0
        self.ended = False
        self.reset = None

    @property
    def done(self):
        return self.ended or self.reset is not None

    def report(self):
        first = next((block for block in self.blocks if dict(block).get(":status", "200")[0] != "1"), [])
        return {
            "status": dict(first).get(":status"),
            "blocks": self.blocks,
            "body": self.body.decode("latin1"),
            "bytes": self.bytes,
            "ended": self.ended,
            "reset": self.reset,
        }


class Peer:
    """Reads on a thread of its own; `play` sends."""

    def __init__(self, sock, on_request=None, acknowledges=True, gives_credit=True):
        self.sock = sock
        self.on_request = on_request
        self.acknowledges = acknowledges
        self.gives_credit = gives_credit
        self.reading = threading.Event()
        self.reading.set()
        self.encoder = Encoder()
        self.decoder = Decoder(max_header_list_size=1 << 24)
        self.streams = {}
        self.opened = []
        self.goaways = []
        self.settings = {}
        self.counts = {}
        self.end = "open"
        self.last = -1
        self.changed = threading.Condition()
        self.writing = threading.RLock()
        self.block = None
        self.reader = threading.Thread(target=self._read_all, daemon=True)

    # --- what arrives

    def start(self):
        self.reader.start()

    def _read_all(self):
        buffer = bytearray()
        try:
            while True:
                self.reading.wait()
                chunk = self.sock.recv(65536)
                if not chunk:
                    self._ended("fin")
                    return
                buffer += chunk
                while len(buffer) >= 9:
                    length = int.from_bytes(buffer[:3], "big")
                    if len(buffer) < 9 + length:
                        break
                    whole = bytes(buffer[: 9 + length])
                    del buffer[: 9 + length]
                    self._receive(whole)
        except (OSError, ValueError):
            self._ended("reset")
        except (HyperframeError, HPACKError) as error:
            self._ended("not HTTP/2: %r" % error)

    def _ended(self, how):
        with self.changed:
            if self.end == "open":
                self.end = how
            self.changed.notify_all()

    def _receive(self, whole):
        frame, length = Frame.parse_frame_header(memoryview(whole[:9]))
        frame.parse_body(memoryview(whole[9:]))
        kind = type(frame).__name__
        with self.changed:
            self.counts[kind] = self.counts.get(kind, 0) + 1
            self._take(frame, length)
            self.changed.notify_all()

    def _take(self, frame, length):
        if isinstance(frame, SettingsFrame):
            if "ACK" not in frame.flags:
                self.settings.update({str(key): value for key, value in frame.settings.items()})
                if 1 in frame.settings:
                    self.encoder.header_table_size = min(frame.settings[1], 4096)
                if self.acknowledges:
                    self.write(SettingsFrame(0, flags=["ACK"]).serialize())
        elif isinstance(frame, PingFrame):
            if "ACK" not in frame.flags and self.acknowledges:
                self.write(PingFrame(0, frame.opaque_data, flags=["ACK"]).serialize())
        elif isinstance(frame, GoAwayFrame):
            debug = bytes(frame.additional_data).decode("latin1")
            self.goaways.append([error_name(frame.error_code), frame.last_stream_id, debug])
        elif isinstance(frame, RstStreamFrame):
            self.stream(frame.stream_id).reset = error_name(frame.error_code)
        elif isinstance(frame, DataFrame):
            stream = self.stream(frame.stream_id)
            stream.bytes += len(frame.data)
            if len(stream.body) < 65536:
                stream.body += frame.data
            if self.gives_credit and length > 0:
                credit = WindowUpdateFrame(0, window_increment=length).serialize()
                self.write(credit + WindowUpdateFrame(frame.stream_id, window_increment=length).serialize())
            self._maybe_end(frame)
        elif isinstance(frame, (HeadersFrame, ContinuationFrame, PushPromiseFrame)):
            if not isinstance(frame, ContinuationFrame):
                self.block = (frame, bytearray())
            first, block = self.block
            block += frame.data
            if "END_HEADERS" in frame.flags:
                fields = [[text(name), text(value)] for name, value in self.decoder.decode(bytes(block), raw=True)]
                self.stream(frame.stream_id).blocks.append(fields)
                self._maybe_end(first)
                if self.on_request is not None and len(self.stream(frame.stream_id).blocks) == 1:
                    self.on_request(self, frame.stream_id, dict(fields))

    def _maybe_end(self, frame):
        if "END_STREAM" in frame.flags:
            self.stream(frame.stream_id).ended = True

    def stream(self, number):
        return self.streams.setdefault(number, Stream())

    # --- what is sent

    def write(self, data):
        with self.writing:
            try:
                self.sock.sendall(data)
            except OSError:
                self._ended("reset")

    def play(self, steps, stream=None):
        """Plays the steps in order until the connection has ended; true when all were played."""
        for step in steps:
            if self.end != "open":
                return False
            self._play_one(step, stream)
        return True

    def _play_one(self, step, stream):
        kind = step["do"]
        number = step.get("stream", stream)
        if number is None:
            number = self.last + 2 if kind == "headers" else self.last
            if kind == "headers":
                self.opened.append(number)
        if stream is None and kind == "headers" and number > self.last:
            self.last = number
        getattr(self, "_do_" + kind)(step, number)

    def _do_headers(self, step, number):
        block = bytes.fromhex(step["block"]) if "block" in step else self._encode(step["fields"])
        pieces = [block]
        if "pieces" in step:
            size = step["pieces"]
            pieces = [block[i : i + size] for i in range(0, len(block), size)] or [b""]
        flags = ["END_STREAM"] if step.get("end") else []
        if len(pieces) == 1 and step.get("whole", True):
            flags.append("END_HEADERS")
        frames = [HeadersFrame(number, pieces[0], flags=flags).serialize()]
        for i, piece in enumerate(pieces[1:]):
            is_last = i == len(pieces) - 2 and step.get("whole", True)
            frames.append(ContinuationFrame(number, piece, flags=["END_HEADERS"] if is_last else []).serialize())
        self.write(b"".join(frames))

    def _encode(self, fields):
        pairs = [(name.encode("latin1"), value.encode("latin1")) for name, value in fields]
        return self.encoder.encode(pairs, huffman=True)

    def _do_data(self, step, number):
        data = step["text"].encode("latin1") if "text" in step else b"x" * step.get("bytes", 0)
        flags = ["END_STREAM"] if step.get("end") else []
        self.write(DataFrame(number, data, flags=flags).serialize())

    def _do_body(self, step, number):
        """Bytes within the windows that the other side gives; it needs those of a new connection only."""
        left = step["bytes"]
        while left > 0:
            size = min(left, 16384)
            left -= size
            flags = ["END_STREAM"] if left == 0 and step.get("end") else []
            self.write(DataFrame(number, b"x" * size, flags=flags).serialize())

    def _do_reset(self, step, number):
        self.write(RstStreamFrame(number, error_code=step.get("code", 8)).serialize())

    def _do_window(self, step, number):
        body = step["increment"].to_bytes(4, "big")
        self.write(frame_bytes(8, 0, number, body))

    def _do_settings(self, step, number):
        body = b"".join(key.to_bytes(2, "big") + value.to_bytes(4, "big") for key, value in step["values"])
        self.write(frame_bytes(4, 0, 0, body))

    def _do_ping(self, step, number):
        self.write(PingFrame(0, b"12345678", flags=[]).serialize())

    def _do_priority(self, step, number):
        self.write(PriorityFrame(number, depends_on=step.get("on", 0), stream_weight=1).serialize())

    def _do_goaway(self, step, number):
        last = number if step.get("last") is None else step["last"]
        self.write(GoAwayFrame(0, last_stream_id=last, error_code=step.get("code", 0)).serialize())

    def _do_push(self, step, number):
        block = self._encode(step["fields"])
        self.write(PushPromiseFrame(number, step["promised"], block, flags=["END_HEADERS"]).serialize())

    def _do_frame(self, step, number):
        """Any frame at all."""
        self.write(frame_bytes(step["type"], step.get("flags", 0), number, bytes.fromhex(step.get("payload", ""))))

    def _do_raw(self, step, number):
        self.write(bytes.fromhex(step["hex"]))

    def _do_repeat(self, step, number):
        for _ in range(step["times"]):
            if not self.play(step["steps"]):
                return

    def _do_flood(self, step, number):
        """The same bytes again and again, many in one write."""
        unit = bytes.fromhex(step["hex"])
        left = step["times"]
        while left > 0 and self.end == "open":
            count = min(left, max(1, 16384 // len(unit)))
            left -= count
            self.write(unit * count)

    def _do_pause(self, step, number):
        self.wait(lambda: False, step["ms"] / 1000)

    def _do_stop_reading(self, step, number):
        self.reading.clear()

    def _do_go_on_reading(self, step, number):
        self.reading.set()

    def _do_await(self, step, number):
        """Until the stream has what is named: `head` or `end`."""
        stream = self.stream(number)
        self.wait(lambda: stream.done or (step["what"] == "head" and stream.blocks), step.get("ms", 10000) / 1000)

    def _do_await_all(self, step, number):
        self.wait(lambda: all(self.stream(one).done for one in self.opened), step.get("ms", 10000) / 1000)

    def _do_await_reset(self, step, number):
        stream = self.stream(number)
        self.wait(lambda: stream.reset is not None, step.get("ms", 10000) / 1000)

    def _do_finish(self, step, number):
        """Our FIN."""
        with self.writing:
            self.sock.shutdown(socket.SHUT_WR)

    def _do_break(self, step, number):
        # In this order: a socket that is closed while another thread reads from it stays open.
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._ended("ours")

    # --- waiting and the outcome

    def wait(self, holds, seconds):
        """Until `holds` does or the connection has ended."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while self.end == "open" and not holds():
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self.changed.wait(left)
        return True

    def report(self):
        with self.changed:
            return {
                "goaways": self.goaways,
                "end": self.end,
                "settings": self.settings,
                "counts": self.counts,
                "opened": self.opened,
                "streams": {str(number): stream.report() for number, stream in self.streams.items()},
            }


def frame_bytes(kind, flags, stream, body):
    return len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body


def text(value):
    return value.decode("latin1") if isinstance(value, bytes) else value

