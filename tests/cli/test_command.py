"""Tests of `wssync.cli.command`: the whole command line inside the process, with streams in memory."""

from __future__ import annotations

import errno
import io
import socket
from unittest import mock

from tests.cli.streams import CommandCase, FailingBytes, Terminal, reader, writer
from tests.support import cases, with_cases
from wssync.cli import command, main
from wssync.cli.console import Console
from wssync.cli.filtering import Filter
from wssync.protocol.urls import parse_url
from wssync.testing import drop, raw, refuse, set_cookies


class EchoTests(CommandCase):
    def test_without_a_url(self) -> None:
        """It talks to a server of its own: what goes in comes out, and nothing else."""
        self.assertEqual(self.command(data=b"hello\n"), (0, "hello\n", ""))

    def test_an_empty_input(self) -> None:
        """There is nothing to say, so the connection is opened and closed."""
        self.assertEqual(self.command(), (0, "", ""))

    def test_a_url(self) -> None:
        """The server gets the header fields, subprotocols and origin that were asked for, and a Close 1000."""
        server = self.serve(protocols=["b"])
        words = ["--header", "X:1", "--subprotocol", "a", "--subprotocol", "b", "--origin", "http://o", "--binary"]
        self.assertEqual(self.command(server.url, *words, data=b"a\nb\n"), (0, "ab", ""))
        headers = server.requests[0].headers
        self.assertEqual((headers["X"], headers["Origin"]), ("1", "http://o"))
        self.assertEqual(headers["Sec-WebSocket-Protocol"], "a, b")
        self.assertEqual(server.connections[0].close_code, 1000)

    def test_tls(self) -> None:
        """A certificate nobody vouches for is refused, unless its authority is given or nothing is to be checked."""
        server = self.serve(tls=True)
        self.assertFails(1, "certificate was not accepted", server.url)
        for words in (["--ca-file", server.ca_file or ""], ["--insecure"]):
            self.assertEqual(self.command(server.url, *words, data=b"hello\n"), (0, "hello\n", ""))


@with_cases
class FailureTests(CommandCase):
    @cases(
        not_a_url=("hello", "begins with ws://"),
        http=("http://127.0.0.1/", "ws or wss"),
        a_url_with_a_line_end=("ws://h/\n", "."),
        header=("ws://h/ --header A", "a header is 'Name: value'"),
        forbidden_header=("ws://h/ --header Host:h", "Host"),
        subprotocol=("ws://h/ --subprotocol a,b", "a,b"),
        origin=("ws://h/ --origin \x07", "."),
        ca_file=("wss://h/ --ca-file /nowhere", "--ca-file /nowhere: No such file"),
        option=("--nothing", "--nothing"),
    )
    def test_wrong_usage(self, line: str, pattern: str) -> None:
        """Status 2, and one line."""
        self.assertFails(2, pattern, *line.split(" "))

    def test_refused(self) -> None:
        """A port where nobody listens."""
        self.server.refuse_connections()
        self.assertFails(1, rf"127\.0\.0\.1.*{parse_url(self.server.url).port}", self.server.url)

    def test_host_not_found(self) -> None:
        """A name without an address."""
        with mock.patch("socket.getaddrinfo", side_effect=socket.gaierror(-2, "unknown")):
            self.assertFails(1, "nowhere.invalid could not be resolved", "ws://nowhere.invalid/")

    def test_no_tls(self) -> None:
        """A server that does not speak TLS."""
        with self.assertLogs("wssync.testing", "INFO"):
            self.assertFails(1, "TLS handshake failed", self.server.url.replace("ws:", "wss:"))
        self.server.take_errors()  # what TLS says first is no HTTP
        self.server.take_errors()

    def test_not_found(self) -> None:
        """Another status than 101 is told; with --verbose the response too, without secrets."""
        server = self.serve(opening=refuse(404, headers={"X-Why": "moved", "Set-Cookie": "secret"}))
        self.assertFails(1, "404 Not Found", server.url)
        status, _, errors = self.command("--verbose", server.url)
        self.assertEqual(status, 1)
        self.assertIn("* 404 Not Found\n", errors)
        self.assertIn("*     X-Why: moved\n*     Set-Cookie: ***\n", errors)
        self.assertNotIn("secret", errors)

    def test_not_http(self) -> None:
        """An answer that is no HTTP has no response to show."""
        server = self.serve(opening=raw(b"220 mail\r\n\r\n"))
        status, output, errors = self.command("--verbose", server.url)
        self.assertEqual((status, output, errors.count("\n")), (1, "", 1))

    def test_timeout(self) -> None:
        """A server that never answers."""
        self.server.ignore_connections()
        self.assertFails(1, "while waiting for the response", self.server.url, "--timeout", "0.01")

    def test_lost(self) -> None:
        """A connection that ends without a Close."""
        self.assertFails(1, "closed|lost|ended", self.serve(drop).url, "--wait", "10")

    def test_an_input_that_is_not_utf_8(self) -> None:
        """Status 2, and one line, after the answers to what came before."""
        status, output, errors = self.command(data=b"a\n\xff")
        self.assertEqual((status, output), (2, "a\n"))
        self.assertRegex(errors, r"\Awssync: line 2 of the input is not UTF-8 .*\n\Z")

    def test_a_port_that_is_taken(self) -> None:
        """`serve` says so in one line."""
        self.assertFails(1, "in use|permitted", "serve", "--port", str(parse_url(self.server.url).port))

    def test_an_output_that_fails(self) -> None:
        """A full disk is a failure; a reader that has gone away is none."""
        for number, status, pattern in (
            (errno.ENOSPC, 1, r"\Awssync: the output cannot be written: No space left.*\n\Z"),
            (errno.EPIPE, 0, r"\A\Z"),
        ):
            errors = io.StringIO()
            output = io.TextIOWrapper(FailingBytes(OSError(number, "No space left")))
            self.assertEqual(main([], reader(b"a\nb\n"), output, errors), status)
            self.assertRegex(errors.getvalue(), pattern)


class EndTests(CommandCase):
    def test_an_unusual_code(self) -> None:
        """It was a clean close, but the code is worth a line."""
        server = self.serve(lambda connection: connection.close(4000, "why not"))
        status, _, errors = self.command(server.url, "--wait", "10")
        self.assertEqual((status, errors), (0, "wssync: the server closed the connection with 4000: why not\n"))

    def test_verbose(self) -> None:
        """What was negotiated, and how it ended, on standard error."""
        url = self.serve(protocols=["chat"], opening=set_cookies("secret")).url
        status, output, errors = self.command("--verbose", "--subprotocol", "chat", url, data=b"a\n")
        self.assertEqual((status, output), (0, "a\n"))
        lines = errors.splitlines()
        connected = f"* connected to 127.0.0.1 port {parse_url(url).port}"
        self.assertEqual(lines[:2], [connected, "* 101 Switching Protocols"])
        self.assertIn("*     Set-Cookie: ***", lines)
        self.assertEqual(
            lines[-3:],
            ["* subprotocol: chat", "* extensions: permessage-deflate", "* closed with 1000 NORMAL_CLOSURE"],
        )

    def test_verbose_without_anything(self) -> None:
        """What was not negotiated is told as well."""
        _, _, errors = self.command("--verbose", self.serve(compression=None).url)
        self.assertIn("* subprotocol: none\n* extensions: none\n", errors)

    def test_an_interrupt(self) -> None:
        """Ctrl-C is status 130, without a word."""
        with mock.patch.object(command, "serve", side_effect=KeyboardInterrupt):
            self.assertEqual(self.command("serve"), (130, "", ""))

    def test_an_interrupt_while_talking(self) -> None:
        """It closes with 1001, and --verbose tells how it ended."""
        with mock.patch.object(Filter, "converse", side_effect=KeyboardInterrupt):
            status, _, errors = self.command("--verbose", self.server.url)
        self.assertEqual((status, self.server.connections[0].close_code), (130, 1001))
        self.assertIn("* closed with 1001 GOING_AWAY\n", errors)

    def test_the_end_of_serving(self) -> None:
        """Should it ever end by itself, that is no failure."""
        with mock.patch.object(command, "serve") as serve:
            self.assertEqual(self.command("serve", "--port", "1"), (0, "", ""))
        self.assertEqual(serve.call_args[0][1], 1)

    def test_the_form_depends_on_the_streams(self) -> None:
        """Two terminals make it interactive."""
        terminals = Terminal(io.BytesIO()), Terminal(io.BytesIO())
        with mock.patch.object(command, "Interactive", side_effect=Filter) as interactive:
            self.assertEqual(main([], *terminals, writer()), 0)
        self.assertIsInstance(interactive.call_args[0][1], Console)
