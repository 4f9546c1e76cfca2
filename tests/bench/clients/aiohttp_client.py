"""aiohttp: `ClientSession.ws_connect`."""

from __future__ import annotations

import importlib
from typing import Any

from tests.bench.clients import orders
from tests.bench.clients.orders import Line, Order
from tests.bench.clients.waiting import Waiting

__all__ = ["Client", "version"]

aiohttp: Any = importlib.import_module("aiohttp")


def version() -> str:
    """The version of the package."""
    return str(aiohttp.__version__)


class Client(Waiting):
    """One session for all connections of a case."""

    async def begin(self, case: Any) -> Any:
        async with aiohttp.ClientSession() as self._session:
            return await case

    async def open(self, order: Order, url: str) -> Line:
        connection = await self._session.ws_connect(
            url, ssl=orders.context(order) or True, compress=15 if order.case.deflate else 0
        )

        async def receive() -> Any:
            return (await connection.receive()).data

        send = connection.send_str if order.case.text else connection.send_bytes
        return Line(send, receive, connection.close)
