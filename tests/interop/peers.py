"""How each peer is started. A peer is a function of (stack, secure) that returns where it listens.

What it starts is put on the stack, an `ExitStack`, which stops it. A peer that cannot run here raises
`unittest.SkipTest` with the reason.
"""

from __future__ import annotations

import functools
import json
import shutil
import ssl
import sys
import unittest
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Callable, NamedTuple, Optional, Sequence

from tests.interop.starting import NGINX_HEAD, certificate, need_library, need_program, new_folder, run
from tests.processes import ProgramFailed, cache_folder, free_port, run_command

__all__ = [
    "APPS",
    "Address",
    "Start",
    "aiohttp",
    "chromium",
    "haproxy",
    "hypercorn",
    "nginx",
    "node_ws",
    "tornado",
    "uvicorn_websockets",
    "uvicorn_wsproto",
    "websocketd",
    "websockets",
]

APPS = Path(__file__).with_name("apps")
NPM_LIMIT = 180
"""Seconds for `npm install ws`, which takes about one."""


class Address(NamedTuple):
    """Where a peer listens, and the context that trusts it (`None` without TLS)."""

    url: str
    context: Optional[ssl.SSLContext] = None


Start = Callable[[ExitStack, bool], Address]


def _address(port: int, secure: bool) -> Address:
    if secure:
        return Address(f"wss://localhost:{port}/", certificate().context)
    return Address(f"ws://127.0.0.1:{port}/")


def _python(library: str, stack: ExitStack, secure: bool) -> Address:
    need_library(library)
    port = free_port()
    options = [certificate().file] if secure else []
    run(stack, port, [sys.executable, APPS / "python_echo.py", library, port, *options])
    return _address(port, secure)


def websockets(stack: ExitStack, secure: bool) -> Address:
    """The Python library websockets, its asyncio server."""
    return _python("websockets", stack, secure)


def aiohttp(stack: ExitStack, secure: bool) -> Address:
    """The Python library aiohttp, its web server."""
    return _python("aiohttp", stack, secure)


def tornado(stack: ExitStack, secure: bool) -> Address:
    """The Python library Tornado, its web server."""
    return _python("tornado", stack, secure)


def _uvicorn(implementation: str, stack: ExitStack, secure: bool) -> Address:
    need_library("uvicorn")
    need_library(implementation)
    port = free_port()
    file = certificate().file if secure else None
    tls = [f"--ssl-keyfile={file}", f"--ssl-certfile={file}"] if file else []
    options = ["--host=127.0.0.1", f"--port={port}", f"--app-dir={APPS}"]
    options += [f"--ws={implementation}", f"--ws-max-size={1 << 28}"]
    run(stack, port, [sys.executable, "-m", "uvicorn", *options, *tls, "asgi_echo:application"])
    return _address(port, secure)


def uvicorn_websockets(stack: ExitStack, secure: bool) -> Address:
    """The ASGI server uvicorn on the library websockets."""
    return _uvicorn("websockets", stack, secure)


def uvicorn_wsproto(stack: ExitStack, secure: bool) -> Address:
    """The ASGI server uvicorn on the library wsproto."""
    return _uvicorn("wsproto", stack, secure)


def hypercorn(stack: ExitStack, secure: bool) -> Address:
    """The ASGI server Hypercorn, which has wsproto below; it does not compress by itself."""
    need_library("hypercorn")
    port = free_port()
    file = certificate().file if secure else None
    tls = [f"--keyfile={file}", f"--certfile={file}"] if file else []
    command = [sys.executable, "-m", "hypercorn", f"--bind=127.0.0.1:{port}", *tls, "asgi_echo:application"]
    run(stack, port, command, environment={"PYTHONPATH": str(APPS)})
    return _address(port, secure)


@functools.cache
def _node_modules() -> Path:
    """The folder that has `ws`, installed now if it was not."""
    folder = cache_folder("wssync-interop", "WSSYNC_INTEROP") / "node"
    modules = folder / "node_modules"
    if not (modules / "ws").is_dir():
        folder.mkdir(exist_ok=True)
        command = [need_program("npm"), "install", "--no-audit", "--no-fund", f"--prefix={folder}", "ws@8"]
        try:
            run_command(command, seconds=NPM_LIMIT, folder=folder)
        except ProgramFailed as error:
            raise unittest.SkipTest(f"ws could not be installed: {error}") from error
    return modules


def node_ws(stack: ExitStack, secure: bool) -> Address:
    """Node's ws, which compresses every message here."""
    node = need_program("node")
    port = free_port()
    options = [certificate().file] if secure else []
    settings = {"NODE_PATH": str(_node_modules())}
    run(stack, port, [node, APPS / "node_echo.js", port, *options], environment=settings)
    return _address(port, secure)


NGINX = (
    NGINX_HEAD
    + """\
    server {{
        listen 127.0.0.1:{port} {tls};
        location / {{
            proxy_pass http://127.0.0.1:{backend}/;
            proxy_http_version 1.1;
            proxy_set_header Host $host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_read_timeout 60s;
        }}
    }}
}}
"""
)


def nginx(stack: ExitStack, secure: bool) -> Address:
    """nginx as reverse proxy in front of websockets; it ends TLS."""
    program = need_program("nginx")
    folder = new_folder(stack)
    port = free_port()
    file = certificate().file if secure else None
    tls = f"ssl; ssl_certificate {file}; ssl_certificate_key {file}" if file else ""
    configuration = folder / "nginx.conf"
    configuration.write_text(NGINX.format(port=port, tls=tls, backend=_port(websockets(stack, False))))
    run(stack, port, [program, "-p", folder, "-c", configuration, "-e", "stderr"], folder=folder)
    return _address(port, secure)


HAPROXY = """\
global
    maxconn 100
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout tunnel 60s
frontend front
    bind 127.0.0.1:{port} {tls}
    default_backend back
backend back
    server echo 127.0.0.1:{backend}
"""


def haproxy(stack: ExitStack, secure: bool) -> Address:
    """HAProxy as reverse proxy in front of websockets; it ends TLS."""
    program = need_program("haproxy")
    folder = new_folder(stack)
    port = free_port()
    tls = f"ssl crt {certificate().file}" if secure else ""
    configuration = folder / "haproxy.cfg"
    configuration.write_text(HAPROXY.format(port=port, tls=tls, backend=_port(websockets(stack, False))))
    run(stack, port, [program, "-db", "-f", configuration], folder=folder)
    return _address(port, secure)


def _port(address: Address) -> int:
    return int(address.url.rstrip("/").rpartition(":")[2])


def websocketd(stack: ExitStack, secure: bool) -> Address:
    """websocketd around `cat`: each text message is a line; no binary, no compression, no subprotocol."""
    program = need_program("websocketd")
    port = free_port()
    file = certificate().file if secure else None
    tls = ["--ssl", f"--sslcert={file}", f"--sslkey={file}"] if file else []
    run(stack, port, [program, "--address=127.0.0.1", f"--port={port}", *tls, "cat"])
    return _address(port, secure)


CHROMIUM_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--remote-debugging-address=127.0.0.1",
)


def chromium(stack: ExitStack, secure: bool, more_options: Sequence[str] = ()) -> Address:
    """The DevTools socket of a page of Chromium without a window; it has no TLS."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or need_program("google-chrome")
    folder = new_folder(stack)
    port = free_port()
    options = [f"--user-data-dir={folder / 'profile'}", f"--remote-debugging-port={port}"]
    run(stack, port, [program, *CHROMIUM_OPTIONS, *options, *more_options, "about:blank"], folder=folder)
    directly = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with directly.open(f"http://127.0.0.1:{port}/json/list", timeout=30) as answer:
        pages = json.load(answer)
    url: str = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
    return Address(url)
