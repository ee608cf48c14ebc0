"""A WebSocket server of the library `websockets` that echoes, and closes where the path says so. Listens on $PORT."""

import asyncio
import os

from websockets.asyncio.server import serve


async def handle(connection):
    _, verb, argument = (connection.request.path + "//").split("/")[:3]
    if verb == "greet":
        await connection.send("hello")
        await connection.send("world")
    if verb == "close":
        await connection.close(int(argument), "as asked")
        return
    if verb == "fragments":
        await connection.send(["part %d;" % i for i in range(9)] + ["end"])
    async for message in connection:
        await connection.send(message)


async def main():
    async with serve(handle, "127.0.0.1", int(os.environ["PORT"]), max_size=8 << 20) as server:
        await server.serve_forever()


asyncio.run(main())
