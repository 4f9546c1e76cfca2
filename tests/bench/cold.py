"""What is measured without a connection: the time of an import, the size of what is installed."""

from __future__ import annotations

import importlib.metadata
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

from tests.bench.rows import ACCELERATED, PURE

__all__ = ["Cold", "takes_part"]

ROOT = Path(__file__).resolve().parents[2]

DOORS = {
    PURE: ("wssync", "wssync.connect"),
    ACCELERATED: ("wssync", "wssync.connect"),
    "websocket-client": ("websocket", "websocket.create_connection"),
    "websocket-client-wsaccel": ("websocket", "websocket.create_connection"),
    "websockets": ("websockets.sync.client", "websockets.sync.client.connect"),
    "picows": ("picows", "picows.ws_connect"),
    "aiohttp": ("aiohttp", "aiohttp.ClientSession"),
    "websocket-rs": ("websocket_rs.sync.client", "websocket_rs.sync.client.connect"),
}
"""Client -> its module and the name that opens a connection, which a package may load only when it is asked for."""

PACKAGES = {
    "websocket-client": "websocket-client",
    "websockets": "websockets",
    "picows": "picows",
    "aiohttp": "aiohttp",
    "websocket-rs": "websocket-rs",
}
"""Client -> what is installed for it, besides what that depends on."""

TIMES = 3
"""Interpreters that are started for one figure."""


def takes_part(kind: str, client: str) -> bool:
    """Whether there is anything to import, or to install, for the client."""
    return client in DOORS if kind == "import" else client == PURE or client in PACKAGES


class Cold:
    """Answers the cases that need no process to talk to. Byte code is kept in `folder`, so that all of it is there."""

    def __init__(self, folder: Path) -> None:
        self._environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder), "PYTHONPATH": str(ROOT)}
        self._environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self._warm: Dict[str, bool] = {}

    def answer(self, kind: str, client: str) -> Dict[str, Any]:
        """The answer of a client to the case of that kind, "import" or "size"."""
        return self._import(client) if kind == "import" else _size(client)

    def _import(self, client: str) -> Dict[str, Any]:
        if client not in self._warm:
            self._warm[client] = True
            self._time(client)
        try:
            return {"figures": {"import": statistics.median(self._time(client) for _ in range(TIMES))}}
        except subprocess.CalledProcessError as error:
            return {"failed": f"the import ended with status {error.returncode}"}

    def _time(self, client: str) -> float:
        """CPU milliseconds from before the import until the name is there, in an interpreter of its own."""
        module, door = DOORS[client]
        blocked = "sys.modules['wsaccel'] = None; " if client == "websocket-client" else ""
        script = (
            f"import sys, time; {blocked}begun = time.process_time(); import {module}; {door}; "
            "print((time.process_time() - begun) * 1e3)"
        )
        environment = {**self._environment, "WSSYNC_PURE_PYTHON": "" if client == ACCELERATED else "1"}
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
        return float(done.stdout)


def _size(client: str) -> Dict[str, Any]:
    if client == PURE:
        files = [path for path in (ROOT / "wssync").rglob("*") if path.suffix in (".py", ".typed")]
        return {"figures": {"size": sum(path.stat().st_size for path in files) / 1024}}
    installed = importlib.metadata.files(PACKAGES[client]) or []
    paths = [Path(str(file.locate())) for file in installed if file.suffix != ".pyc"]
    return {"figures": {"size": sum(path.stat().st_size for path in paths if path.exists()) / 1024}}
