"""The tree of errors: what derives from what, what each carries, and that all of it survives pickling."""

from __future__ import annotations

import copy
import pickle
import unittest

import wssync
from wssync import errors

NUMBERS = {
    "WebSocketError": -1,
    "InvalidURL": -1000,
    "Cancelled": -999,
    "SessionInvalidated": -999,
    "TimedOut": -1001,
    "ConnectionFailed": -1004,
    "HostNotFound": -1003,
    "ConnectionRefused": -1004,
    "ProxyError": -1004,
    "TLSError": -1200,
    "CertificateError": -1202,
    "HandshakeError": -1011,
    "AuthenticationFailed": -1013,
    "InsecureRedirect": -1022,
    "TooManyRedirects": -1007,
    "ConnectionClosed": -1005,
    "ProtocolError": -1005,
    "MessageTooBig": -1103,
    "SendQueueFull": -1,
}


class TreeTests(unittest.TestCase):
    def test_everything_is_a_websocket_error(self) -> None:
        """And all of them are public."""
        self.assertEqual(set(errors.__all__), set(NUMBERS))
        for name in errors.__all__:
            self.assertTrue(issubclass(getattr(errors, name), errors.WebSocketError))

    def test_what_they_are_besides(self) -> None:
        """An InvalidURL is a ValueError, a TimedOut a TimeoutError; nothing else is either."""
        for name in errors.__all__:
            kind = getattr(errors, name)
            self.assertEqual(issubclass(kind, ValueError), name == "InvalidURL")
            self.assertEqual(issubclass(kind, (TimeoutError, OSError)), name == "TimedOut")

    def test_the_branches(self) -> None:
        """The tree of the documentation."""
        for child, parent in (
            (errors.HostNotFound, errors.ConnectionFailed),
            (errors.ConnectionRefused, errors.ConnectionFailed),
            (errors.ProxyError, errors.ConnectionFailed),
            (errors.TLSError, errors.ConnectionFailed),
            (errors.CertificateError, errors.TLSError),
            (errors.AuthenticationFailed, errors.HandshakeError),
            (errors.InsecureRedirect, errors.HandshakeError),
            (errors.TooManyRedirects, errors.HandshakeError),
            (errors.ProtocolError, errors.ConnectionClosed),
            (errors.MessageTooBig, errors.ConnectionClosed),
        ):
            self.assertIs(child.__base__, parent)


class ValueTests(unittest.TestCase):
    def test_numbers(self) -> None:
        """Each has Foundation's number by default, and takes another."""
        for name, number in NUMBERS.items():
            kind = getattr(errors, name)
            self.assertEqual(kind().url_error_code, number)
            self.assertEqual(kind("x", url_error_code=-5).url_error_code, -5)
            self.assertEqual(kind("x", url_error_code=0).url_error_code, 0)

    def test_message_and_url(self) -> None:
        """`str` is the message; the URL is None unless given."""
        for name in NUMBERS:
            kind = getattr(errors, name)
            self.assertEqual((str(kind("what happened")), kind().url), ("what happened", None))
            self.assertEqual(kind("x", url="ws://h/").url, "ws://h/")

    def test_a_closed_connection(self) -> None:
        """1006 and not clean, unless told otherwise."""
        error = errors.ConnectionClosed()
        self.assertEqual(
            (error.code, error.reason, error.clean, error.received_close, error.sent_close),
            (1006, None, False, None, None),
        )
        error = errors.ConnectionClosed(
            "x", code=1000, reason="bye", clean=True, received_close=(1000, "bye"), sent_close=(1000, None)
        )
        self.assertEqual(
            (error.code, error.reason, error.clean, error.received_close, error.sent_close),
            (1000, "bye", True, (1000, "bye"), (1000, None)),
        )

    def test_its_kinds(self) -> None:
        """1002 and 1009 by default; sizes in bytes."""
        self.assertEqual((errors.ProtocolError().code, errors.ProtocolError(code=1007).code), (1002, 1007))
        error = errors.MessageTooBig("x", size=6, limit=5, reason="r")
        self.assertEqual((error.code, error.size, error.limit, error.reason), (1009, 6, 5, "r"))

    def test_those_with_a_response(self) -> None:
        """What a server or a proxy refused with has the response, or None."""
        response = wssync.Response("ws://h/", 404, "Not Found", wssync.Headers())
        for kind in (errors.HandshakeError, errors.ProxyError):
            self.assertIs(kind("x", response=response).response, response)
            self.assertIsNone(kind("x").response)


class PickleTests(unittest.TestCase):
    def test_every_error_survives(self) -> None:
        """With everything it carries, and its cause."""
        response = wssync.Response("ws://h/", 404, "Not Found", wssync.Headers({"A": "b"}), b"body")
        samples = [getattr(errors, name)("message", url="ws://h/", url_error_code=-7) for name in NUMBERS]
        samples.append(errors.ConnectionClosed("x", code=1000, reason="r", clean=True, sent_close=(1000, None)))
        samples.append(errors.MessageTooBig("x", size=3, limit=2))
        samples.append(errors.HandshakeError("x", response=response))
        samples.append(errors.ProxyError("x", response=response))
        for error in samples:
            error.__cause__ = OSError(5, "lower")
            for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
                with self.subTest(type(error).__name__):
                    self.assertIs(type(again), type(error))
                    self.assertEqual((again.args, vars(again)), (error.args, vars(error)))
                    self.assertEqual((type(again.__cause__), again.__cause__.args), (OSError, (5, "lower")))
