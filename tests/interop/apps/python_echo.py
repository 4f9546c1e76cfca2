"""Echo servers of Python libraries: `python python_echo.py LIBRARY PORT [CERTIFICATE]`."""

from __future__ import annotations

import asyncio
import ssl
import sys
from typing import Any, Optional

HOST = "127.0.0.1"
FRAGMENTS = ["one ", "two ", "three"]


def choose(offered: Any) -> Optional[str]:
    """The subprotocol to speak with a client that offers these."""
    return "chat" if "chat" in offered else None


async def serve_websockets(port: int, context: Optional[ssl.SSLContext]) -> None:
    """websockets, its asyncio server."""
    from websockets.asyncio.server import serve

    async def echo(connection: Any) -> None:
        async for message in connection:
            if message == "close me":
                await connection.close(4001, "bye")
            elif message == "fragment me":
                await connection.send(FRAGMENTS)
            else:
                await connection.send(message)

    def select(connection: Any, offered: Any) -> Any:
        return choose(offered)

    async with serve(echo, HOST, port, ssl=context, select_subprotocol=select, max_size=None) as server:
        await server.serve_forever()


async def serve_aiohttp(port: int, context: Optional[ssl.SSLContext]) -> None:
    """aiohttp's web server."""
    from aiohttp import WSMsgType, web

    async def echo(request: Any) -> Any:
        response = web.WebSocketResponse(protocols=("chat",), max_msg_size=0)
        await response.prepare(request)
        async for message in response:
            if message.type == WSMsgType.BINARY:
                await response.send_bytes(message.data)
            elif message.type == WSMsgType.TEXT and message.data == "close me":
                await response.close(code=4001, message=b"bye")
            elif message.type == WSMsgType.TEXT:
                await response.send_str(message.data)
        return response

    application = web.Application()
    application.add_routes([web.get("/", echo)])
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, HOST, port, ssl_context=context).start()
    await asyncio.Event().wait()


async def serve_tornado(port: int, context: Optional[ssl.SSLContext]) -> None:
    """Tornado's web server."""
    import tornado.httpserver
    import tornado.web
    import tornado.websocket

    class Echo(tornado.websocket.WebSocketHandler):
        def check_origin(self, origin: str) -> bool:
            return True

        def get_compression_options(self) -> Any:
            return {}

        def select_subprotocol(self, subprotocols: Any) -> Optional[str]:
            return choose(subprotocols)

        def on_message(self, message: Any) -> None:
            if message == "close me":
                self.close(4001, "bye")
            else:
                self.write_message(message, binary=isinstance(message, bytes))

    application = tornado.web.Application([("/", Echo)], websocket_max_message_size=1 << 28)
    tornado.httpserver.HTTPServer(application, ssl_options=context).listen(port, HOST)
    await asyncio.Event().wait()


SERVERS = {"websockets": serve_websockets, "aiohttp": serve_aiohttp, "tornado": serve_tornado}


def main() -> None:
    """Serve until the process is stopped."""
    context = None
    if len(sys.argv) > 3:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[3])
    asyncio.run(SERVERS[sys.argv[1]](int(sys.argv[2]), context))


if __name__ == "__main__":
    main()
