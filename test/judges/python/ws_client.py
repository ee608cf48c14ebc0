"""A WebSocket client of the library `websockets`: says the facts about one server, each on a line of its own as
`ok NAME` or `not ok NAME: why`. Arguments: the URL without path, the host to name."""

import asyncio
import os
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

url, port = sys.argv[1], int(sys.argv[2])


def open_at(path, **options):
    return connect(url + path, host="127.0.0.1", port=port, max_size=8 << 20, proxy=None, **options)


async def text():
    async with open_at("/echo") as connection:
        for message in ["", "hello", "grüße 😀", "x" * 125, "x" * 126, "x" * 65535, "x" * 65536]:
            await connection.send(message)
            assert await connection.recv() == message, len(message)


async def binary():
    async with open_at("/echo") as connection:
        for size in [0, 1, 125, 126, 65535, 65536, 1 << 20]:
            message = os.urandom(size)
            await connection.send(message)
            assert await connection.recv() == message, size


async def fragmented_both_ways():
    async with open_at("/fragments") as connection:
        assert await connection.recv() == "".join("part %d;" % i for i in range(9)) + "end"
        await connection.send(["a", "b" * 70000, "c"])
        assert await connection.recv() == "a" + "b" * 70000 + "c"


async def ping_and_pong():
    async with open_at("/echo") as connection:
        waiter = await connection.ping(b"payload")
        assert await asyncio.wait_for(waiter, 10) < 10


async def close_codes():
    for code in [1000, 1001, 1008, 3000, 4999]:
        async with open_at("/close/%d" % code) as connection:
            try:
                await connection.recv()
                raise AssertionError("still open")
            except ConnectionClosed as closed:
                assert closed.rcvd.code == code and closed.rcvd.reason == "as asked", closed


async def our_close():
    connection = await open_at("/echo")
    await connection.close(4000, "ours")
    assert connection.close_code == 4000, connection.close_code


async def server_first():
    async with open_at("/greet") as connection:
        assert [await connection.recv(), await connection.recv()] == ["hello", "world"]


async def deflated():
    async with open_at("/echo", compression="deflate") as connection:
        assert any(type(one).__name__ == "PerMessageDeflate" for one in connection.protocol.extensions)
        await connection.send("y" * 500_000)
        assert await connection.recv() == "y" * 500_000
    async with open_at("/echo", compression=None) as connection:
        assert connection.protocol.extensions == []
        await connection.send("y" * 1000)
        assert await connection.recv() == "y" * 1000


async def fifty_at_once():
    async def one(i):
        async with open_at("/echo") as connection:
            for j in range(20):
                await connection.send("%d-%d" % (i, j))
                assert await connection.recv() == "%d-%d" % (i, j)

    await asyncio.gather(*(one(i) for i in range(50)))


async def main():
    facts = [
        text,
        binary,
        fragmented_both_ways,
        ping_and_pong,
        close_codes,
        our_close,
        server_first,
        deflated,
        fifty_at_once,
    ]
    for fact in facts:
        name = fact.__name__.replace("_", " ")
        try:
            await asyncio.wait_for(fact(), 30)
            print("ok " + name)
        except Exception as error:
            print("not ok %s: %r" % (name, error))


asyncio.run(main())
