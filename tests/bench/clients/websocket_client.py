"""websocket-client, as its documentation shows it."""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import Any

from tests.bench.clients import orders
from tests.bench.clients.blocking import Blocking
from tests.bench.clients.orders import Line, Order, Skip

__all__ = ["Client", "version"]

websocket: Any = importlib.import_module("websocket")


def version() -> str:
    """The version of the package."""
    return importlib.metadata.version("websocket-client")


class Client(Blocking):
    """`create_connection` with nothing but what TLS needs."""

    def open(self, order: Order, url: str) -> Line:
        if order.case.deflate:
            raise Skip("it does not compress")
        context = orders.context(order)
        connection = websocket.create_connection(url, sslopt={"context": context} if context else None)
        return Line(connection.send if order.case.text else connection.send_binary, connection.recv, connection.close)
