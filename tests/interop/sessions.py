"""Sessions of wssync with a server of ours at the end of the way, whose record says what came through."""

from __future__ import annotations

import base64
import hashlib
import ssl
import unittest
from contextlib import ExitStack
from typing import Any, Callable, List, Optional, Tuple
from urllib.parse import quote, urlsplit

import wssync
from wssync import AuthChallengeDisposition, AuthenticationChallenge
from wssync.testing import Server

__all__ = [
    "DEFAULT",
    "LIMIT",
    "PASSWORD",
    "USE",
    "USER",
    "Asked",
    "SessionTestCase",
    "pin_of",
    "pin_of_server",
    "port_of",
    "with_userinfo",
]

LIMIT = 30.0
"""Seconds for a step, which takes milliseconds."""

USER = "Al\N{LATIN SMALL LETTER A WITH DIAERESIS}din"
PASSWORD = "sesame, \N{LATIN SMALL LETTER O WITH DIAERESIS}ffne: dich!"
"""Both with what has to be UTF-8 on the way, and a colon, which only the password may have."""

USE = AuthChallengeDisposition.USE_CREDENTIAL
DEFAULT = AuthChallengeDisposition.PERFORM_DEFAULT_HANDLING, None

Decide = Callable[[AuthenticationChallenge], Any]


def port_of(url: str) -> int:
    """The port that is written in a URL."""
    port = urlsplit(url).port
    assert port is not None
    return port


def with_userinfo(url: str, user: str = USER, password: str = PASSWORD) -> str:
    """The URL with user and password in it."""
    return url.replace("//", f"//{quote(user, safe='')}:{quote(password, safe='')}@")


def pin_of_server(server: Server) -> str:
    """The pin of its key."""
    return pin_of(port_of(server.url))


def pin_of(port: int) -> str:
    """The pin of the key of the TLS server there, reckoned by another library."""
    from cryptography import x509  # comes with trustme
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    pem = ssl.get_server_certificate(("127.0.0.1", port))
    key = x509.load_pem_x509_certificate(pem.encode()).public_key()
    digest = hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    return f"sha256/{base64.b64encode(digest).decode()}"


class Asked(wssync.WebSocketDelegate):
    """A delegate that remembers each challenge and each redirect, and decides about challenges by a function.

    What TLS asks is remembered apart, and decided about as if nobody was asked.
    """

    def __init__(self, decide: Optional[Decide] = None) -> None:
        self.trusts: List[AuthenticationChallenge] = []
        self.challenges: List[AuthenticationChallenge] = []
        self.redirects: List[Tuple[int, str]] = []
        self._decide = decide

    def did_receive_challenge(self, session: Any, task: Any, challenge: AuthenticationChallenge) -> Any:
        by_tls = challenge.protection_space.server_trust is not None
        (self.trusts if by_tls else self.challenges).append(challenge)
        return DEFAULT if by_tls or self._decide is None else self._decide(challenge)

    def will_perform_http_redirection(self, session: Any, task: Any, response: Any, new_request: Any) -> Any:
        self.redirects.append((response.status_code, new_request.url))
        return new_request


class SessionTestCase(unittest.TestCase):
    """Has the server at the end of the way, and sessions that end with the test. It brings no tests."""

    stack: ExitStack
    server: Server

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.stack = ExitStack()
        cls.addClassCleanup(cls.stack.close)
        try:
            cls.server = cls.stack.enter_context(cls.make_server())
        except RuntimeError as error:
            raise unittest.SkipTest(str(error)) from error

    @classmethod
    def make_server(cls) -> Server:
        """The server at the end of the way."""
        return Server()

    def setUp(self) -> None:
        super().setUp()
        self._before = len(self.server.requests)

    @property
    def arrived(self) -> List[Any]:
        """The requests of this test that came to the server."""
        return self.server.requests[self._before :]

    def configure(self, **changes: Any) -> wssync.SessionConfiguration:
        """A configuration of its own."""
        return wssync.SessionConfiguration.ephemeral().replace(**changes)

    def session(self, delegate: Any = None, **changes: Any) -> wssync.Session:
        """A session that ends with the test."""
        return self.enter(wssync.Session(self.configure(**changes), delegate=delegate))

    def enter(self, session: wssync.Session) -> wssync.Session:
        """The session, which ends with the test."""
        session.__enter__()
        self.addCleanup(session.__exit__, None, None, None)
        return session

    def open(self, session: wssync.Session, url: Any) -> wssync.WebSocketTask:
        """An open task of the session; raises why there is none."""
        task = session.websocket_task(url)
        task.resume()
        task.wait_until_open(timeout=LIMIT)
        return task

    def assertOpens(self, session: wssync.Session, url: Any) -> wssync.WebSocketTask:
        """It opens, and a message comes back; the closed task."""
        task = self.open(session, url)
        task.send("hello", timeout=LIMIT)
        self.assertEqual(task.receive(timeout=LIMIT), "hello")
        task.close(timeout=LIMIT)
        return task

    def assertShowsNoPassword(self, *shown: Any) -> None:
        """Neither as it is nor as URLs have it."""
        for each in shown:
            for text in (str(each), repr(each)):
                self.assertNotIn(PASSWORD, text)
                self.assertNotIn(quote(PASSWORD, safe=""), text)
