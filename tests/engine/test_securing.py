"""TLS where a delegate has a say. The handshakes have their own tests (`transport.trust`): they are scripted here."""

from __future__ import annotations

import ssl
import unittest
from collections import deque
from typing import Any, Callable, Deque, List, Optional, Tuple
from unittest import mock

from wssync.auth import AuthChallengeDisposition, AuthenticationChallenge, AuthenticationMethod, Credential, ServerTrust
from wssync.configuration import SessionConfiguration
from wssync.engine import securing
from wssync.engine.context import Context
from wssync.engine.gate import Gate
from wssync.engine.plan import Plan
from wssync.engine.securing import Securing
from wssync.errors import Cancelled, CertificateError, TLSError
from wssync.protocol.http1 import Request
from wssync.protocol.urls import parse_url

from .support import Questions

URL = "wss://example.test/"
USE = AuthChallengeDisposition.USE_CREDENTIAL
DEFAULT = AuthChallengeDisposition.PERFORM_DEFAULT_HANDLING
CANCEL = AuthChallengeDisposition.CANCEL_AUTHENTICATION_CHALLENGE
REJECT = AuthChallengeDisposition.REJECT_PROTECTION_SPACE
SESSION, TASK = "session_did_receive_challenge", "did_receive_challenge"


class FakeStream:
    """A connection after its handshake; `leaf` is the certificate that the server showed."""

    def __init__(self, leaf: bytes) -> None:
        self.leaf = leaf
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


class FakeHandshakes:
    """In the place of `Handshakes`: what each handshake does is the test's script."""

    case: SecuringTestCase

    def __init__(self, terms: Any, *, identity: Any = None, url: Optional[str] = None, trace: Any = None) -> None:
        self.identity = identity
        self.case.made.append((terms, identity, url))

    def for_proxy(self) -> FakeHandshakes:
        self.case.did.append("for_proxy")
        return self

    def _run(self, kind: str, *details: Any) -> Any:
        self.case.did.append(kind)
        self.case.details.append(details)
        outcome = self.case.script.popleft()
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def secure(self, stream: Any, attempt: Any, name: str) -> Any:
        return self._run("secure", stream, name)

    def look(self, stream: Any, attempt: Any, name: str) -> Any:
        return self._run("look", stream, name)

    def accept(self, stream: Any, attempt: Any, trust: ServerTrust) -> Any:
        return self._run("accept", stream, trust)

    def may_look(self, error: CertificateError) -> bool:
        return isinstance(error.__cause__, ssl.SSLCertVerificationError)


def refused() -> CertificateError:
    error = CertificateError("self-signed")
    error.__cause__ = ssl.SSLCertVerificationError("self-signed")
    return error


class SecuringTestCase(unittest.TestCase):
    def setUp(self) -> None:
        self.script: Deque[Any] = deque()
        self.did: List[str] = []
        self.details: List[Tuple[Any, ...]] = []
        self.made: List[Tuple[Any, ...]] = []
        self.asked: List[AuthenticationChallenge] = []
        self.traced: List[str] = []
        self.connections = 0
        self.configuration = SessionConfiguration()
        self.delegate = Questions()
        FakeHandshakes.case = self

        def trust_of(tls: FakeStream, host: str, port: int, error: Optional[CertificateError]) -> ServerTrust:
            return ServerTrust(host, port, (tls.leaf,), error)

        for name, fake in (("Handshakes", FakeHandshakes), ("trust_of", trust_of)):
            patched = mock.patch.object(securing, name, fake)
            patched.start()
            self.addCleanup(patched.stop)
        self.good, self.other = FakeStream(b"leaf"), FakeStream(b"other")

    def decides(self, *answers: Any, name: str = TASK) -> None:
        """A delegate that gives these answers; a function is called with the challenge."""
        left = list(answers)

        def answer(challenge: AuthenticationChallenge) -> Any:
            self.asked.append(challenge)
            reply = left.pop(0)
            return reply(challenge) if callable(reply) else reply

        self.delegate = Questions(**{name: answer})

    def securing(self) -> Securing:
        terms: Any = lambda: "terms"  # noqa: E731
        plan = Plan(Request(URL), (), self.configuration, terms, Gate(6))
        attempts: Any = mock.Mock()
        asks: Any = self.delegate
        trace: Any = lambda event, **fields: self.traced.append(event)  # noqa: E731
        return Securing(Context(plan, attempts, asks, trace, self.step_aside, self.fail, self.fail))

    def step_aside(self) -> None:
        self.traced.append("aside")

    def connect(self) -> Any:
        self.connections += 1
        return f"connection {self.connections}"

    def secure(self, *script: Any, using: Optional[Securing] = None) -> Any:
        self.script.extend(script)
        return (using or self.securing()).secure(parse_url(URL), self.connect)


def accept(challenge: AuthenticationChallenge) -> Any:
    trust = challenge.protection_space.server_trust
    assert trust is not None
    return USE, Credential.for_trust(trust)


class AloneTests(SecuringTestCase):
    """Without a delegate."""

    def test_a_good_certificate(self) -> None:
        """Rule 97: one connection, verified for the name of the URL, and nobody is asked."""
        self.assertIs(self.secure(self.good), self.good)
        self.assertEqual((self.did, self.details), (["secure"], [("connection 1", "example.test")]))
        self.assertEqual(self.made, [("terms", None, URL)])

    def test_a_bad_one(self) -> None:
        """Rule 99: it is refused, and there is no second connection."""
        error = refused()
        with self.assertRaises(CertificateError) as caught:
            self.secure(error)
        self.assertIs(caught.exception, error)
        self.assertEqual(self.connections, 1)

    def test_to_a_proxy(self) -> None:
        """It is verified, whoever the delegate is."""
        self.decides()
        stream: Any = "stream"
        self.script.append(self.good)
        self.assertIs(self.securing().secure_proxy(stream, "proxy.test"), self.good)
        self.assertEqual((self.did, self.details), (["for_proxy", "secure"], [("stream", "proxy.test")]))


class TrustTests(SecuringTestCase):
    def test_a_good_one(self) -> None:
        """Rule 98: the delegate is asked about it too; the place in the row is given back before."""
        for answer in ((DEFAULT, None), (USE, None), accept):
            self.setUp()
            self.decides(answer)
            self.assertIs(self.secure(self.good), self.good)
            self.assertEqual(self.did, ["secure"])
            self.assertEqual(self.traced, ["aside", "challenge", "waiting"])
            (challenge,) = self.asked
            space = challenge.protection_space
            self.assertEqual((space.host, space.port, space.protocol), ("example.test", 443, "https"))
            self.assertEqual(space.authentication_method, AuthenticationMethod.SERVER_TRUST)
            self.assertIsNone(challenge.error)

    def test_a_bad_one_that_is_accepted(self) -> None:
        """Rule 99: it is looked at on a second connection, which is used if the delegate accepts what it showed."""
        error = refused()
        self.decides(accept)
        self.assertIs(self.secure(error, self.good), self.good)
        self.assertEqual((self.did, self.connections), (["secure", "look"], 2))
        self.assertIs(self.asked[0].error, error)
        self.assertEqual(self.good.closed, 0)

    def test_a_bad_one_that_is_not(self) -> None:
        """Rule 99: by default its verdict stands, and the second connection is closed."""
        for answer in ((DEFAULT, None), (USE, None)):
            self.setUp()
            error = refused()
            self.decides(answer)
            with self.assertRaises(CertificateError) as caught:
                self.secure(error, self.good)
            self.assertIs(caught.exception, error)
            self.assertEqual(self.good.closed, 1)

    def test_another_certificate_is_accepted(self) -> None:
        """What is accepted must be what was shown; anything else is logged and opens nothing."""
        foreign = ServerTrust("example.test", 443, (b"other",))
        for credential in (Credential.for_trust(foreign), Credential("user", "password")):
            self.setUp()
            self.decides((USE, credential))
            with self.assertLogs("wssync", "ERROR"), self.assertRaises(CertificateError):
                self.secure(refused(), self.good)
            self.assertEqual(self.good.closed, 1)

    def test_a_rejection(self) -> None:
        """Rule 99: of the -1200 family, also for a good one."""
        self.decides((REJECT, None))
        with self.assertRaisesRegex(CertificateError, "delegate rejected") as caught:
            self.secure(self.good)
        self.assertEqual((caught.exception.url_error_code, self.good.closed), (-1202, 1))

    def test_a_cancel(self) -> None:
        """Rule 99: -999."""
        self.decides((CANCEL, None))
        with self.assertRaises(Cancelled):
            self.secure(self.good)
        self.assertEqual(self.good.closed, 1)

    def test_a_bad_one_that_cannot_be_looked_at(self) -> None:
        """The second handshake fails: then the verdict of the first stands. What it finds in its own right goes on."""
        error, other = refused(), CertificateError("no pin fits")
        for failure, expected in ((TLSError("handshake failure"), error), (other, other)):
            self.setUp()
            self.decides()
            with self.assertRaises(CertificateError) as caught:
                self.secure(error, failure)
            self.assertIs(caught.exception, expected)
            self.assertEqual((self.did, self.asked), (["secure", "look"], []))
        self.assertIsInstance(error.__cause__, ssl.SSLCertVerificationError)

    def test_what_nobody_may_accept(self) -> None:
        """Pins, and a context of the user's own: the delegate is not asked."""
        error = CertificateError("no pin fits")
        self.decides()
        with self.assertRaises(CertificateError) as caught:
            self.secure(error)
        self.assertIs(caught.exception, error)
        self.assertEqual((self.asked, self.connections), ([], 1))

    def test_the_session_s_method_goes_first(self) -> None:
        """Rule 98: else the task's."""
        answered: List[str] = []

        def method(name: str) -> Callable[..., Any]:
            def answer(challenge: AuthenticationChallenge) -> Any:
                answered.append(name)
                return DEFAULT, None

            return answer

        self.delegate = Questions(**{SESSION: method(SESSION), TASK: method(TASK)})
        self.configuration = SessionConfiguration(ssl_context=ssl.create_default_context())
        self.secure(self.good)
        self.assertEqual(answered, [SESSION])

    def test_again(self) -> None:
        """The next connection of the opening is not asked about again, and passes with that certificate alone."""
        self.decides(accept)
        using = self.securing()
        self.secure(refused(), self.good, using=using)
        self.assertIs(self.secure(self.other, using=using), self.other)
        self.assertEqual((self.did, len(self.asked)), (["secure", "look", "accept"], 1))
        self.assertEqual(self.details[-1][1].certificates, (b"leaf",))

    def test_a_good_one_again(self) -> None:
        """The same one is not asked about twice, another one is."""
        self.decides(accept, accept)
        using = self.securing()
        for stream in (self.good, self.good, self.other):
            self.secure(stream, using=using)
        self.assertEqual((self.did, len(self.asked)), (["secure"] * 3, 2))

    def test_a_good_one_that_is_bad_now(self) -> None:
        """Rule 99: what was said of a good certificate does not make it pass once it is refused, though it is the
        same: it may have ended in between.
        """
        self.decides((DEFAULT, None), (DEFAULT, None))
        using, error = self.securing(), refused()
        self.secure(self.good, using=using)
        again = FakeStream(b"leaf")
        with self.assertRaises(CertificateError) as caught:
            self.secure(error, again, using=using)
        self.assertIs(caught.exception, error)
        self.assertEqual((len(self.asked), again.closed), (2, 1))


class IdentityTests(SecuringTestCase):
    """Client certificates: rule 101."""

    IDENTITY = Credential.identity("cert.pem", "key.pem", "secret")

    def test_the_delegate_s(self) -> None:
        """It is asked once, before connecting, by the session's method."""
        self.decides((USE, self.IDENTITY), (DEFAULT, None), (DEFAULT, None), name=SESSION)
        using = self.securing()
        self.secure(self.good, using=using)
        self.secure(self.other, using=using)
        self.assertEqual(self.made, [("terms", ("cert.pem", "key.pem", "secret"), URL)] * 2)
        methods = [challenge.protection_space.authentication_method for challenge in self.asked]
        self.assertEqual(methods, [AuthenticationMethod.CLIENT_CERTIFICATE] + [AuthenticationMethod.SERVER_TRUST] * 2)

    def test_none(self) -> None:
        """By default there is none, and whatever else is answered is logged."""
        for answer in ((DEFAULT, None), (REJECT, self.IDENTITY), (USE, None)):
            self.setUp()
            self.decides(answer, (DEFAULT, None), name=SESSION)
            self.secure(self.good)
            self.assertIsNone(self.made[0][1])
        self.setUp()
        self.decides((USE, Credential("user", "secret")), (DEFAULT, None), name=SESSION)
        with self.assertLogs("wssync", "ERROR") as logged:
            self.secure(self.good)
        self.assertNotIn("secret", logged.output[0])

    def test_who_only_looked_gets_none(self) -> None:
        """A server that the delegate accepts is connected to a third time, to show it our certificate."""
        self.decides((USE, self.IDENTITY), accept, name=SESSION)
        self.assertIs(self.secure(refused(), self.good, self.other), self.other)
        self.assertEqual(self.did, ["secure", "look", "accept"])
        self.assertEqual((self.good.closed, self.other.closed), (1, 0))


if __name__ == "__main__":
    unittest.main()
