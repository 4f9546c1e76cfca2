"""For your own test suites: a WebSocket server inside the test's process, and what else tests of a client need.

    class ChatTests(wssync.testing.WebSocketTestCase):
        def test_a_greeting(self):
            self.serve(script([expect("hello"), "hello yourself", in_pieces(1), "and this comes byte by byte"]))
            task = self.connect()
            task.send("hello")
            self.assertReceives(task, "hello yourself")

One idea carries the server's side: everything is a function of the connection. A handler is one (`echo`, `script`,
`in_turn`), a step of a script is one (`expect`, every fault), and so is an opening, which comes before the regular
answer to the request (`refuse`, `redirect`, `basic`, `proxy`). So they go together in any order.

- `Server`: ws and wss on a free port; handlers in threads; requests, connections and errors on record.
- The openings and the faults: what a server may ask for, and everything that it can do wrong, each by one call.
- `WebSocketTestCase`: a server and tasks that end with the test, assertions, and a check that nothing was left behind.
- `FakeClock`: timeouts and keepalive without waiting for them.
- `Recorder`: what a delegate and handlers were told, in order, and that there was no more.
- `Cassette`: a conversation with a real server, recorded once and replayed without a network.
- For pytest, the fixtures `websocket_server` and `websocket_cassette`; see `wssync.testing.pytest_plugin`.

Nothing of `wssync` but its command line imports this package by itself, and a part of the kit is imported when its
first name is used: every run of pytest imports this package, with the plugin, and few of them have a WebSocket in them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .authentication import basic, digest, either
    from .case import WebSocketTestCase
    from .cassette import Cassette, CassetteError, CassetteMismatch
    from .clock import FakeClock
    from .connection import ServerConnection
    from .faults import (
        byte_by_byte,
        cut_after,
        delay_pongs,
        drop,
        garbage,
        half_a_head,
        hold_pongs,
        ignore_close,
        in_pieces,
        raw,
        reset,
        silent,
        split_at,
        stop_reading,
        wrong_accept_key,
    )
    from .handlers import Handler, Step, echo, expect, in_turn, script
    from .openings import at, inform, redirect, refuse, require_cookies, require_headers, set_cookies
    from .recorder import Event, Recorder
    from .server import Server
    from .tunnel import proxy
else:  # checkers would take every name for one that __getattr__ knows

    def __getattr__(name):
        for module, names in _HOMES.items():
            if name in names.split():
                globals()[name] = value = getattr(importlib.import_module(f".{module}", __name__), name)
                return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__():
        return sorted({*globals(), *__all__})


__all__ = [
    "Cassette",
    "CassetteError",
    "CassetteMismatch",
    "Event",
    "FakeClock",
    "Handler",
    "Recorder",
    "Server",
    "ServerConnection",
    "Step",
    "WebSocketTestCase",
    "at",
    "basic",
    "byte_by_byte",
    "cut_after",
    "delay_pongs",
    "digest",
    "drop",
    "echo",
    "either",
    "expect",
    "garbage",
    "half_a_head",
    "hold_pongs",
    "ignore_close",
    "in_pieces",
    "in_turn",
    "inform",
    "proxy",
    "raw",
    "redirect",
    "refuse",
    "require_cookies",
    "require_headers",
    "reset",
    "script",
    "set_cookies",
    "silent",
    "split_at",
    "stop_reading",
    "wrong_accept_key",
]

_HOMES = {
    "authentication": "basic digest either",
    "case": "WebSocketTestCase",
    "cassette": "Cassette CassetteError CassetteMismatch",
    "clock": "FakeClock",
    "connection": "ServerConnection",
    "faults": "byte_by_byte cut_after delay_pongs drop garbage half_a_head hold_pongs ignore_close in_pieces raw reset "
    "silent split_at stop_reading wrong_accept_key",
    "handlers": "Handler Step echo expect in_turn script",
    "openings": "at inform redirect refuse require_cookies require_headers set_cookies",
    "recorder": "Event Recorder",
    "server": "Server",
    "tunnel": "proxy",
}
"""Module -> the public names that it has; the same as above, for those who run and do not check."""
