"""An ASGI application, for the servers that run such."""

from __future__ import annotations

from typing import Any


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Echo over a WebSocket; nothing else is served."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["type"] == "websocket":
        await echo(scope, receive, send)


async def lifespan(receive: Any, send: Any) -> None:
    """Nothing to set up, nothing to take down."""
    while True:
        event = await receive()
        await send({"type": f"{event['type']}.complete"})
        if event["type"] == "lifespan.shutdown":
            return


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """The echo."""
    await receive()
    chosen = "chat" if "chat" in scope.get("subprotocols", ()) else None
    await send({"type": "websocket.accept", "subprotocol": chosen})
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            return
        text = event.get("text")
        if text == "close me":
            await send({"type": "websocket.close", "code": 4001, "reason": "bye"})
            return
        if text is None:
            await send({"type": "websocket.send", "bytes": event["bytes"]})
        else:
            await send({"type": "websocket.send", "text": text})
