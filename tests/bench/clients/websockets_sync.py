"""websockets.sync."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from typing import Any

from tests.bench.clients import orders
from tests.bench.clients.blocking import Blocking
from tests.bench.clients.orders import Line, Order

__all__ = ["Client", "version"]

websockets: Any = importlib.import_module("websockets.sync.client")


def version() -> str:
    """The version of the package, and whether its C part is there."""
    c_part = importlib.util.find_spec("websockets.speedups") is not None
    return importlib.metadata.version("websockets") + ("" if c_part else " without its C part")


class Client(Blocking):
    """`connect`, with no compression but where it is measured, and no search for proxies, which wssync does not do."""

    def open(self, order: Order, url: str) -> Line:
        compression = "deflate" if order.case.deflate else None
        connection = websockets.connect(url, ssl=orders.context(order), compression=compression, proxy=None)
        return Line(connection.send, connection.recv, connection.close)
