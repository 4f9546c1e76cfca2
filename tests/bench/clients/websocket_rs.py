"""websocket-rs: its synchronous client, a binding to Rust."""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import Any

from tests.bench.clients.blocking import Blocking
from tests.bench.clients.orders import Line, Order, Skip

__all__ = ["Client", "version"]

client: Any = importlib.import_module("websocket_rs.sync.client")


def version() -> str:
    """The version of the package."""
    return importlib.metadata.version("websocket-rs")


class Client(Blocking):
    """`connect`."""

    def open(self, order: Order, url: str) -> Line:
        if order.case.deflate:
            raise Skip("it does not compress")
        if order.case.tls:
            raise Skip("it cannot be given an authority to trust")
        connection = client.connect(url)
        return Line(connection.send, connection.recv, connection.close)
