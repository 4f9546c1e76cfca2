"""A task of wssync in a program of asyncio, which awaits messages: `python asyncio_bridge.py [URL]`.

Handlers run in the loop by `AsyncioExecutor`; a queue and futures of asyncio make them something to await.
"""

import asyncio
import sys

import wssync
from wssync.executors import AsyncioExecutor
from wssync.testing import Server


class Bridge:
    """A task whose calls can be awaited."""

    def __init__(self, url):
        self.loop = asyncio.get_running_loop()
        self.results = asyncio.Queue()
        self.session = wssync.Session(executor=AsyncioExecutor())
        self.task = self.session.websocket_task(url)
        self.task.receive_each(self.results.put_nowait)
        self.task.resume()

    async def send(self, message):
        sent = self.loop.create_future()
        self.task.send(message, sent.set_result)
        error = await sent
        if error is not None:
            raise error

    async def receive(self):
        return (await self.results.get()).get()  # the message, or it raises what ended the task

    async def close(self):
        await self.loop.run_in_executor(None, self.task.close)  # a closing handshake blocks: not in the loop


async def main(url):
    bridge = Bridge(url)
    for number in range(3):
        await bridge.send(f"message {number}")
        print(await bridge.receive())
    await bridge.close()


with Server() as server:  # it sends everything back
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else server.url))
