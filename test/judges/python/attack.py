"""An HTTP/2 client that plays the steps it reads from its input, a line of JSON for each attack, and prints as JSON what came
back.

A line: {"port", "steps", "within": seconds, "until": "answers" | "end", "connections": one after another, "acknowledges",
"givesCredit", "settings", "preface": hex}. What is printed is of the last connection; "tally" counts how each ended."""

import json
import os
import socket
import sys

from http2_peer import PREFACE, Peer, frame_bytes


def attack(order):
    sock = socket.create_connection(("127.0.0.1", order["port"]), timeout=60)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    peer = Peer(sock, acknowledges=order.get("acknowledges", True), gives_credit=order.get("givesCredit", True))
    settings = b"".join(key.to_bytes(2, "big") + value.to_bytes(4, "big") for key, value in order.get("settings", []))
    peer.write(bytes.fromhex(order["preface"]) if "preface" in order else PREFACE + frame_bytes(4, 0, 0, settings))
    peer.start()
    within = order.get("within", 10)
    played = peer.play(order["steps"])
    peer.reading.set()
    if order.get("until", "answers") == "end":
        peer.wait(lambda: False, within)
    else:
        peer.wait(lambda: all(peer.stream(one).done for one in peer.opened), within)
    report = peer.report()
    report["played"] = played
    sock.close()
    return report


def attack_all(order):
    tally = {}
    for _ in range(order.get("connections", 1)):
        report = attack(order)
        name = report["goaways"][-1][0] if report["goaways"] else report["end"]
        tally[name] = tally.get(name, 0) + 1
    return {**report, "tally": tally}


for line in sys.stdin:
    print(json.dumps(attack_all(json.loads(line))), flush=True)
# Threads that still read end with the process.
os._exit(0)
