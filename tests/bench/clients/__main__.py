"""One client as a process: `python -m tests.bench.clients NAME`, told by standard input what to do."""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from typing import Any, Dict

from tests.bench.clients.orders import Order, Skip
from tests.bench.rows import ACCELERATED, FLOOR, PURE, Case

MODULES = {
    "raw": "raw",
    FLOOR: "floor",
    PURE: "ours",
    ACCELERATED: "ours",
    "websocket-client": "websocket_client",
    "websocket-client-wsaccel": "websocket_client",
    "websockets": "websockets_sync",
    "picows": "picows_client",
    "aiohttp": "aiohttp_client",
    "websocket-rs": "websocket_rs",
}


def main(name: str) -> None:
    """Introduce the client, then answer every line."""
    try:
        module = _load(name)
    except (ImportError, Skip) as error:
        _say({"skipped": str(error)})
        return
    _say({"version": module.version()})
    client = module.Client()
    for line in sys.stdin:
        _say(_answer(client, json.loads(line)))


def _load(name: str) -> Any:
    if name == "websocket-client":
        sys.modules["wsaccel"] = None  # type: ignore[assignment]  # Python's own way to have an import fail
    elif name == "websocket-client-wsaccel":
        importlib.import_module("wsaccel")
    elif name == PURE:
        os.environ["WSSYNC_PURE_PYTHON"] = "1"
    elif name == ACCELERATED:
        os.environ.pop("WSSYNC_PURE_PYTHON", None)
        importlib.import_module("wssync._speedups")
    return importlib.import_module(f"tests.bench.clients.{MODULES[name]}")


def _answer(client: Any, order: Dict[str, Any]) -> Dict[str, Any]:
    case = Case(**order.pop("case"))
    try:
        return {"figures": client.run(Order(case, **order))}
    except Skip as reason:
        return {"skipped": str(reason)}
    except Exception as error:
        traceback.print_exc()
        return {"failed": f"{type(error).__name__}: {error}"}


def _say(answer: Dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
