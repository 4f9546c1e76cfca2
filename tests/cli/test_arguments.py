"""Tests of `wssync.cli.arguments`."""

from __future__ import annotations

import contextlib
import io
import ssl
import tempfile
import unittest
from typing import Tuple

import wssync
from tests.support import cases, with_cases
from wssync.cli.arguments import Options, UsageError, parse
from wssync.testing import Server


class ConfigurationTests(unittest.TestCase):
    def test_nothing_said(self) -> None:
        """The library's defaults, but for the buffer; no URL."""
        options = parse([])
        configuration = options.configuration()
        default = wssync.SessionConfiguration.ephemeral()
        self.assertFalse(options.serve)
        self.assertIsNone(options.url)
        self.assertIsNone(configuration.ssl_context)
        self.assertEqual(configuration.ping_interval, default.ping_interval)
        self.assertEqual(configuration.timeout_interval_for_request, default.timeout_interval_for_request)
        self.assertEqual(options.request("ws://h/").headers, wssync.Headers())

    def test_everything_said(self) -> None:
        """Each option arrives where it belongs."""
        words = "ws://h/ --subprotocol x --subprotocol y --origin http://o --ping-interval 0 --timeout 2.5 --wait 1"
        options = parse([*words.split(), "--header", "A:1", "--header", "B:  2: 3", "--binary", "--verbose"])
        configuration = options.configuration()
        self.assertEqual(options.request("ws://h/").headers.fields, (("A", "1"), ("B", "2: 3")))
        self.assertEqual((options.url, options.subprotocol), ("ws://h/", ["x", "y"]))
        self.assertEqual((configuration.origin, configuration.ping_interval), ("http://o", None))
        self.assertEqual((configuration.timeout_interval_for_request, options.wait), (2.5, 1.0))
        self.assertTrue(options.binary and options.verbose)

    def test_serve(self) -> None:
        """It has a port of its own choice unless told, and none of the client's options."""
        self.assertEqual((parse(["serve"]).serve, parse(["serve"]).port), (True, 0))
        self.assertEqual(parse(["serve", "--port", "65535"]).port, 65535)


class TLSTests(unittest.TestCase):
    def context(self, *arguments: str) -> ssl.SSLContext:
        context = parse(arguments).configuration().ssl_context
        assert context is not None
        return context

    def test_insecure(self) -> None:
        """Neither certificate nor name are checked; TLS is no older for that."""
        context = self.context("--insecure")
        self.assertEqual((context.verify_mode, context.check_hostname), (ssl.CERT_NONE, False))
        self.assertEqual(context.minimum_version, ssl.TLSVersion.TLSv1_2)

    def test_ca_file(self) -> None:
        """Only these roots are trusted, and everything is checked."""
        with Server(tls=True) as server:
            context = self.context("--ca-file", server.ca_file or "")
        self.assertEqual((context.verify_mode, context.check_hostname), (ssl.CERT_REQUIRED, True))
        self.assertEqual(len(context.get_ca_certs()), 1)

    def test_a_bad_ca_file(self) -> None:
        """A file that is not there, and one without certificates, are named in the error."""
        with self.assertRaisesRegex(UsageError, "--ca-file /nowhere: No such file"):
            self.context("--ca-file", "/nowhere")
        with tempfile.NamedTemporaryFile() as empty, self.assertRaisesRegex(UsageError, "--ca-file .*: "):
            self.context("--ca-file", empty.name)


@with_cases
class UsageTests(unittest.TestCase):
    def run_parser(self, *arguments: str) -> Tuple[object, str, str]:
        """The status the parser exits with, and what it prints."""
        output, errors = io.StringIO(), io.StringIO()
        redirected = contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors)
        with redirected[0], redirected[1], self.assertRaises(SystemExit) as stopped:
            parse(arguments)
        return stopped.exception.code, output.getvalue(), errors.getvalue()

    @cases(
        unknown=("--nothing", "unrecognized arguments: --nothing"),
        an_abbreviation=("--verb", "unrecognized"),
        two_urls=("ws://a ws://b", "unrecognized arguments: ws://b"),
        no_value=("--header", "expected one argument"),
        no_number=("--wait soon", "'soon' is no number of seconds"),
        negative=("--wait=-1", "'-1' is no number of seconds"),
        endless=("--wait inf", "'inf' is no number of seconds"),
        not_a_number=("--ping-interval nan", "'nan' is no number of seconds"),
        no_time_at_all=("--timeout 0", "it must be more than 0"),
        port_too_high=("serve --port 65536", "'65536' is no port"),
        port_no_number=("serve --port=-1", "'-1' is no port"),
        port_of_letters=("serve --port http", "'http' is no port"),
        serve_with_a_url=("serve ws://a", "unrecognized"),
    )
    def test_wrong_usage_is_one_line(self, line: str, pattern: str) -> None:
        """Status 2, nothing on standard output, and one line that says what is wrong."""
        status, output, errors = self.run_parser(*line.split())
        self.assertEqual((status, output), (2, ""))
        self.assertRegex(errors, rf"\Awssync( serve)?: .*({pattern}).*\n\Z")

    def test_help_and_version(self) -> None:
        """They go to standard output, with status 0; the help has all options and the exit statuses."""
        status, output, errors = self.run_parser("--version")
        self.assertEqual((status, output, errors), (0, f"wssync {wssync.__version__}\n", ""))
        status, output, errors = self.run_parser("--help")
        self.assertEqual((status, errors), (0, ""))
        for word in ("--header", "--insecure", "--wait", "serve", "Exit status"):
            self.assertIn(word, output)

    @cases(no_colon="A", empty=":b", injected="A: b\r\nC: d", ours="Host: h")
    def test_a_bad_header(self, line: str) -> None:
        """It is a ValueError before anything is sent, at the latest when the task is made."""
        with self.assertRaises(ValueError):
            wssync.Session().websocket_task(parse(["--header", line]).request("ws://h/"))

    def test_options_are_typed(self) -> None:
        """Both parsers return the same class."""
        self.assertIsInstance(parse([]), Options)
        self.assertIsInstance(parse(["serve"]), Options)
