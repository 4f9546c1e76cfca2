"""What can be said on the command line, and what it means for the library."""

from __future__ import annotations

import argparse
import math
import ssl
from typing import List, NoReturn, Optional, Sequence, Tuple

import wssync

__all__ = ["Options", "UsageError", "parse"]

BUFFER = 64 * 1_048_576
"""Bytes of one message, and of messages not yet written. A filter must not lose what it cannot write at once, and once
our Close is on its way the library keeps no more than its buffer holds; this is more than two kernels hold between
them, and little for a process of its own.
"""

MESSAGES = 65_536
"""How many messages that buffer holds at most: each read looks at all that wait."""

TALK_EPILOG = """\
On a terminal it is interactive, Ctrl-D ends it; from a pipe each line is one message. Without a URL it talks to an echo
server of its own; "wssync serve" runs that server alone. Exit status: 0 closed cleanly, 1 not opened or lost, 2 wrong
usage, 130 interrupted.
"""


class UsageError(Exception):
    """What was asked for cannot be done by anybody: status 2."""


class Options(argparse.Namespace):
    """The command line, parsed."""

    serve: bool
    port: int
    url: Optional[str]
    header: List[str]
    subprotocol: List[str]
    origin: Optional[str]
    insecure: bool
    ca_file: Optional[str]
    ping_interval: float
    timeout: float
    wait: float
    binary: bool
    verbose: bool

    def request(self, url: str) -> wssync.Request:
        """The opening request; ValueError or `InvalidURL` for what cannot be one."""
        return wssync.Request(url, headers=[_header(line) for line in self.header])

    def configuration(self) -> wssync.SessionConfiguration:
        """What differs from the library's defaults; ValueError for a bad origin, UsageError for a bad file."""
        return wssync.SessionConfiguration.ephemeral().replace(
            timeout_interval_for_request=self.timeout,
            ping_interval=self.ping_interval or None,
            origin=self.origin,
            ssl_context=self._tls(),
            maximum_message_size=BUFFER,
            max_queue=(MESSAGES, BUFFER),
        )

    def _tls(self) -> Optional[ssl.SSLContext]:
        """A context that differs from the library's own only in whom it trusts; `None` where that is the same."""
        if not (self.insecure or self.ca_file):
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:  # ssl.SSLError is one
            raise UsageError(f"--ca-file {self.ca_file}: {error.strerror or error}") from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def parse(argv: Sequence[str]) -> Options:
    """Read the arguments. `SystemExit` (2) with one line on standard error if they are wrong, (0) after `--help`."""
    if list(argv[:1]) == ["serve"]:
        return _serve_parser().parse_args(argv[1:], Options(serve=True, url=None))
    return _talk_parser().parse_args(argv, Options(serve=False))


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, where argparse would print the usage as well."""
        self.exit(2, f"{self.prog}: {message} (--help says more)\n")


def _talk_parser() -> argparse.ArgumentParser:
    defaults = wssync.SessionConfiguration.ephemeral()
    parser = _Parser(prog="wssync", description="A WebSocket client.", epilog=TALK_EPILOG, allow_abbrev=False)
    add = parser.add_argument
    add("url", nargs="?", metavar="URL", help="ws://... or wss://...; default: an echo server of its own")
    add("--header", action="append", default=[], metavar="'NAME: VALUE'", help="send this header field (repeatable)")
    add("--subprotocol", action="append", default=[], metavar="NAME", help="offer it, best first (repeatable)")
    add("--origin", metavar="ORIGIN", help="send this Origin")
    add("--ca-file", metavar="FILE", help="trust these roots (PEM) instead of the usual ones")
    add("--insecure", action="store_true", help="do not check the server's certificate at all")
    add(
        "--ping-interval",
        type=_seconds,
        default=defaults.ping_interval,
        metavar="SECONDS",
        help="ping after this much silence, 0: never (default: %(default)g)",
    )
    add(
        "--timeout",
        type=_positive_seconds,
        default=defaults.timeout_interval_for_request,
        metavar="SECONDS",
        help="for opening the connection as a whole (default: %(default)g)",
    )
    add("--wait", type=_seconds, default=0.0, metavar="SECONDS", help="listen this long before closing")
    add("--binary", action="store_true", help="send the lines as binary messages")
    add("--verbose", action="store_true", help="tell what was negotiated, on standard error")
    add("--version", action="version", version=f"%(prog)s {wssync.__version__}")
    return parser


def _serve_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="wssync serve", description="An echo server on 127.0.0.1; prints its URL.", allow_abbrev=False
    )
    parser.add_argument("--port", type=_port, default=0, metavar="N", help="default: a free one")
    return parser


def _header(line: str) -> Tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon:
        raise ValueError(f"a header is 'Name: value', not {name!r}")
    return name, value


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return seconds


def _positive_seconds(text: str) -> float:
    seconds = _seconds(text)
    if not seconds:
        raise argparse.ArgumentTypeError("it must be more than 0")
    return seconds


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65_535):
        raise argparse.ArgumentTypeError(f"{text!r} is no port")
    return int(text)
