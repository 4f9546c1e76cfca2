"""TLS, from the outside: who is believed, who is asked, and what a server never gets to see."""

from __future__ import annotations

import datetime
import functools
import ssl
from pathlib import Path
from typing import Any, Callable, List, Optional

from tests.opening.support import (
    CANCEL,
    DEFAULT,
    REJECT,
    SECRET,
    Delegate,
    OpeningTestCase,
    answer_of,
    trust_in,
    trusting,
    userinfo,
)
from tests.support import cases, with_cases
from tests.tasks import needs_trustme
from wssync import (
    AuthenticationMethod,
    Cancelled,
    CertificateError,
    Credential,
    TLSError,
)
from wssync.protocol.certificates import pin_of
from wssync.testing import Server, at, basic, redirect

SESSION = "session_did_receive_challenge"
TASK = "did_receive_challenge"
DAY = datetime.timedelta(days=1)


def trusts(delegate: Delegate, name: str = SESSION) -> List[Any]:
    """The challenges about servers that a delegate was asked."""
    challenges = delegate.questions(name)
    return [each for each in challenges if each.protection_space.server_trust is not None]


def always(answer: Any, **more: Any) -> Delegate:
    """A delegate with this answer to every question about a server, and none to those for a certificate."""
    return Delegate(
        **{SESSION: lambda session, challenge: answer if challenge.protection_space.server_trust else DEFAULT, **more}
    )


def has_certificate(connection: Any) -> bool:
    """Whether a client has shown one; a client that has seen enough hangs up before the server's end of it is done."""
    try:
        return bool(connection.getpeercert())
    except ValueError:
        return False


class Hellos:
    """The handshakes that servers have begun, by the names that were asked for, and what is shown in each.

    The contexts are those for the first, the second, ... and all later ones.
    """

    def __init__(self, *contexts: ssl.SSLContext) -> None:
        self._contexts = contexts
        self.names: List[Optional[str]] = []
        self.objects: List[Any] = []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.sni_callback = self._choose

    def _choose(self, connection: Any, name: Optional[str], context: ssl.SSLContext) -> None:
        connection.context = self._contexts[min(len(self.names), len(self._contexts) - 1)]
        self.names.append(name)
        self.objects.append(connection)


@needs_trustme
class TrustTestCase(OpeningTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.wires = self.count_connections()

    @functools.cached_property
    def authority(self) -> Any:
        """An authority that is trusted for the rest of the test."""
        import trustme

        authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
        self.trust(authority.cert_pem.bytes())
        return authority

    def changing(self, *contexts: ssl.SSLContext) -> Hellos:
        """Contexts in turn; the first also stands where a certificate must be for the handshake to begin."""
        hellos = Hellos(*contexts)
        import trustme

        trustme.CA().issue_cert("localhost").configure_cert(hellos.context)
        return hellos


@with_cases
class VerdictTests(TrustTestCase):
    """Rules 97 and 100: without a delegate."""

    def test_a_good_one(self) -> None:
        """Rule 97: SNI names the host, the certificate is checked, one connection is made."""
        hellos = self.changing(self.strange_context(authority=self.authority))
        server = self.secret_server(context=hellos.context)
        self.opened(self.plain_session(), server.url)
        self.assertEqual((hellos.names, len(self.wires)), (["localhost"], 1))

    def test_an_address(self) -> None:
        """Rule 97: an IP address is looked for among the certificate's addresses, and is not sent as a name."""
        hellos = self.changing(self.strange_context("127.0.0.1", authority=self.authority))
        server = self.secret_server(context=hellos.context)
        self.opened(self.plain_session(), server.url.replace("localhost", "127.0.0.1"))
        self.assertEqual(hellos.names, [None])
        self.refused(self.plain_session(), server.url, CertificateError, -1202)

    @cases(
        unknown=(-1203, lambda case: case.strange_context()),
        wrong_host=(-1202, lambda case: case.strange_context("example.org", authority=case.authority)),
        expired=(-1201, lambda case: case.at_another_time(-3 * DAY, -DAY)),
        not_yet=(-1204, lambda case: case.at_another_time(DAY, 3 * DAY)),
    )
    def test_a_bad_one(self, code: int, context: Callable[[Any], ssl.SSLContext]) -> None:
        """Rule 100: -1201 to -1204, with the reason of `ssl` as cause; one connection, and no request on it."""
        hellos = self.changing(context(self))
        server = self.secret_server(context=hellos.context)
        error = self.refused(self.plain_session(Delegate()), server.url, CertificateError, code)
        self.assertIsInstance(error.__cause__, ssl.SSLCertVerificationError)
        self.assertEqual((len(self.wires), server.requests), (1, []))

    def at_another_time(self, begin: datetime.timedelta, end: datetime.timedelta) -> ssl.SSLContext:
        """A certificate whose time is another one."""
        now = datetime.datetime.now(datetime.timezone.utc)
        return self.strange_context(authority=self.authority, not_before=now + begin, not_after=now + end)

    def test_no_tls_at_all(self) -> None:
        """Rule 100: a plain server at a `wss:` URL is -1200."""
        self.quiet()
        server = self.serve()
        self.refused(self.plain_session(), server.url.replace("ws:", "wss:"), TLSError, -1200)
        server.take_errors()

    def test_versions(self) -> None:
        """Rule 100: bounds of the version are kept, on top of an `ssl_context` of one's own too."""
        old = self.strange_context(authority=self.authority)
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        server = self.secret_server(context=old)
        self.opened(self.plain_session(), server.url)
        minimum = {"tls_minimum_supported_protocol_version": ssl.TLSVersion.TLSv1_3}
        self.refused(self.plain_session(**minimum), server.url, TLSError, -1200)
        own = ssl.create_default_context()
        self.authority.configure_trust(own)
        self.refused(self.plain_session(ssl_context=own, **minimum), server.url, TLSError, -1200)
        self.assertEqual(len(server.requests), 1)

    def test_alpn(self) -> None:
        """Rule 102: http/1.1 is what is spoken, whatever else the server has."""
        context = self.strange_context(authority=self.authority)
        context.set_alpn_protocols(["h2", "http/1.1"])
        hellos = self.changing(context)
        hellos.context.set_alpn_protocols(["h2", "http/1.1"])
        server = self.secret_server(context=hellos.context)
        self.opened(self.plain_session(), server.url)
        self.assertEqual([each.selected_alpn_protocol() for each in hellos.objects], ["http/1.1"])


@with_cases
class QuestionTests(TrustTestCase):
    """Rules 98 to 100: a delegate decides."""

    def setUp(self) -> None:
        super().setUp()
        self.hellos = self.changing(self.strange_context())
        self.strange = self.secret_server(context=self.hellos.context)

    def good_server(self, **options: Any) -> Server:
        """One whose certificate is good."""
        return self.secret_server(context=self.strange_context(authority=self.authority), **options)

    def test_the_question(self) -> None:
        """Rules 98 and 99: the space, the certificate as it was shown, and the verdict, before any HTTP byte."""
        requests: List[int] = []

        def ask(session: Any, challenge: Any) -> Any:
            requests.append(len(self.strange.requests))
            return trusting(session, challenge)

        delegate = Delegate(**{SESSION: ask})
        self.opened(self.plain_session(delegate), self.strange.url)
        (challenge,) = trusts(delegate)
        space, trust = challenge.protection_space, trust_in(challenge)
        self.assertEqual((space.host, space.protocol, space.realm), ("localhost", "https", None))
        self.assertEqual(space.authentication_method, AuthenticationMethod.SERVER_TRUST)
        self.assertEqual(space.port, int(self.strange.url[:-1].rpartition(":")[2]))
        self.assertIsInstance(challenge.error, CertificateError)
        self.assertEqual(challenge.error.url_error_code, -1203)
        self.assertIs(trust.error, challenge.error)
        self.assertFalse(trust.is_trusted)
        self.assertEqual(len(trust.certificates[0]) > 100, True)
        self.assertEqual((requests[-1], len(self.strange.requests)), (0, 1))

    def test_accepted(self) -> None:
        """Rule 99: it opens, by a second connection, and the request goes over that alone."""
        task = self.opened(self.plain_session(Delegate(**{SESSION: trusting})), self.strange.url)
        task.send("hello")
        self.assertReceives(task, "hello")
        self.assertEqual((len(self.wires), len(self.strange.requests)), (2, 1))

    def test_a_good_one_is_asked_about_too(self) -> None:
        """Rule 98: with no error, over the one connection there is; default handling takes it."""
        server = self.good_server()
        delegate = always(DEFAULT)
        self.opened(self.plain_session(delegate), server.url)
        (challenge,) = trusts(delegate)
        self.assertIsNone(challenge.error)
        self.assertTrue(trust_in(challenge).is_trusted)
        self.assertEqual(len(self.wires), 1)

    @cases(
        default=(DEFAULT, CertificateError, -1203),
        without_credential=(answer_of(None), CertificateError, -1203),
        reject=(REJECT, CertificateError, -1202),
        cancel=(CANCEL, Cancelled, -999),
    )
    def test_not_accepted(self, answer: Any, kind: Any, code: int) -> None:
        """Rules 98 and 99: the default keeps the verdict, cancel is -999, reject is of the family of -1200."""
        error = self.refused(self.plain_session(always(answer)), self.strange.url, kind, code)
        if kind is CertificateError:
            self.assertIn("certificate", str(error))
        self.assertEqual((len(self.wires), self.strange.requests), (2, []))

    @cases(reject=(REJECT, CertificateError), cancel=(CANCEL, Cancelled))
    def test_a_good_one_not_accepted(self, answer: Any, kind: Any) -> None:
        """Rule 99: a delegate may refuse a good certificate, and the server gets no request."""
        server = self.good_server()
        self.refused(self.plain_session(always(answer)), server.url, kind)
        self.assertEqual(server.requests, [])

    @cases(
        password=Credential("user", SECRET),
        token=Credential.token("Bearer", SECRET),
        identity=Credential.identity("/nowhere.pem"),
    )
    def test_a_credential_for_something_else(self, credential: Credential) -> None:
        """Rule 99: only the trust of this server accepts it."""
        self.quiet()
        self.refused(self.plain_session(always(answer_of(credential))), self.strange.url, CertificateError, -1203)
        self.assertEqual(self.strange.requests, [])

    def test_the_trust_of_another_server(self) -> None:
        """Rule 99: a trust that was shown by one server accepts no other one."""
        delegate = Delegate(**{SESSION: trusting})
        self.opened(self.plain_session(delegate), self.strange.url)
        other = self.secret_server(context=self.strange_context())
        answer = answer_of(Credential.for_trust(trust_in(trusts(delegate)[0])))
        self.quiet()
        self.refused(self.plain_session(always(answer)), other.url, CertificateError, -1203)
        self.assertEqual(other.requests, [])

    def test_the_session_s_method_first(self) -> None:
        """Rule 98: the session's method, else the task's, else the default."""
        both = Delegate(**{SESSION: trusting, TASK: lambda *_: self.fail("asked")})
        self.opened(self.plain_session(both), self.strange.url)
        task_only = Delegate(**{TASK: lambda session, task, challenge: trusting(session, challenge)})
        self.opened(self.plain_session(task_only), self.strange.url)
        self.assertEqual(len(trusts(task_only, TASK)), 1)
        self.refused(self.plain_session(Delegate()), self.strange.url, CertificateError)

    def test_nobody_else_is_accepted(self) -> None:
        """Rule 99: another certificate on a later connection of the task, after a 401, is refused: -1202."""
        ours, theirs = self.strange_context(), self.strange_context()
        hellos = self.changing(ours, ours, theirs)
        server = self.secret_server(context=hellos.context, opening=basic("user", SECRET))
        delegate = Delegate(**{SESSION: trusting})
        error = self.refused(self.plain_session(delegate), userinfo(server.url), CertificateError, -1202)
        self.assertRegex(str(error), "another certificate")
        self.assertEqual(len(trusts(delegate)), 1)
        self.assertEqual((len(hellos.names), len(server.requests)), (3, 1))
        self.assertNotIn("Authorization", server.requests[0].headers)

    def test_not_even_a_good_one(self) -> None:
        """Rule 99: exactly the certificate that was accepted, and no other, however good."""
        ours = self.strange_context()
        hellos = self.changing(ours, ours, self.strange_context(authority=self.authority))
        server = self.secret_server(context=hellos.context, opening=basic("user", SECRET))
        self.refused(self.plain_session(Delegate(**{SESSION: trusting})), userinfo(server.url), CertificateError, -1202)
        self.assertEqual(len(server.requests), 1)

    def test_what_is_accepted_is_what_was_shown(self) -> None:
        """Rule 99: if the second connection shows another certificate, that one is asked about."""
        first, second = self.strange_context(), self.strange_context()
        hellos = self.changing(first, second)
        server = self.secret_server(context=hellos.context)
        delegate = Delegate(**{SESSION: trusting})
        self.opened(self.plain_session(delegate), server.url)
        (shown,) = trusts(delegate)
        self.assertEqual(len(hellos.names), 2)
        again = Delegate(**{SESSION: trusting})
        self.opened(self.plain_session(again), server.url)
        self.assertEqual(trust_in(trusts(again)[0]).fingerprint, trust_in(shown).fingerprint)

    def test_once_for_a_task(self) -> None:
        """Rules 98 and 99: after a 401 and a redirect home it is not asked again; another task is."""
        server = self.secret_server(
            context=self.strange_context(), opening=[basic("user", SECRET), at("/", redirect("/x"))]
        )
        delegate = Delegate(**{SESSION: trusting})
        session = self.plain_session(delegate)
        self.opened(session, userinfo(server.url))
        self.assertEqual((len(trusts(delegate)), len(server.requests)), (1, 3))
        self.opened(session, userinfo(server.url))
        self.assertEqual(len(trusts(delegate)), 2)

    def test_a_good_one_that_turns_bad(self) -> None:
        """Rule 99: a later connection that shows a bad certificate is asked about afresh."""
        good = self.strange_context(authority=self.authority)
        hellos = self.changing(good, self.strange_context())
        server = self.secret_server(context=hellos.context, opening=basic("user", SECRET))
        delegate = always(DEFAULT)
        self.refused(self.plain_session(delegate), userinfo(server.url), CertificateError, -1203)
        self.assertEqual([each.error is None for each in trusts(delegate)], [True, False])
        self.assertNotIn("Authorization", server.requests[-1].headers)

    def test_an_ssl_context_judges_alone(self) -> None:
        """Rule 99 and `ssl_context`: what it has refused nobody is asked about, and nothing is tried again."""
        delegate = Delegate(**{SESSION: trusting})
        session = self.plain_session(delegate, ssl_context=ssl.create_default_context())
        self.refused(session, self.strange.url, CertificateError, -1203)
        self.assertEqual((trusts(delegate), len(self.wires)), ([], 1))


class PinTests(TrustTestCase):
    """`certificate_pins`: they bind everybody."""

    def setUp(self) -> None:
        super().setUp()
        good = self.strange_context(authority=self.authority)
        self.good = self.secret_server(context=good)
        delegate = always(DEFAULT)
        self.opened(self.plain_session(delegate), self.good.url)
        self.pin = pin_of(trust_in(trusts(delegate)[0]).certificates[0])
        self.other = "sha256/" + "A" * 43 + "="

    def test_the_server_s_key(self) -> None:
        """Rule 100's neighbour: one of the pins is enough."""
        self.opened(self.plain_session(certificate_pins=[self.other, self.pin]), self.good.url)

    def test_another_key(self) -> None:
        """Rule 100: a good certificate with another key is refused, and no request is sent."""
        before = len(self.good.requests)
        error = self.refused(self.plain_session(certificate_pins=[self.other]), self.good.url, CertificateError, -1202)
        self.assertIn("pins", str(error))
        self.assertEqual(len(self.good.requests), before)

    def test_a_delegate_is_bound(self) -> None:
        """Rule 99: it cannot accept what the pins refuse, nor is it asked."""
        strange = self.secret_server(context=self.strange_context())
        for server in (self.good, strange):
            before = len(server.requests)
            delegate = Delegate(**{SESSION: trusting})
            session = self.plain_session(delegate, certificate_pins=[self.other])
            self.refused(session, server.url, CertificateError, -1202)
            self.assertEqual((trusts(delegate), len(server.requests)), ([], before))

    def test_an_ssl_context_is_bound(self) -> None:
        """Rule 100: pins apply on top of one's own context."""
        own = ssl.create_default_context()
        self.authority.configure_trust(own)
        self.opened(self.plain_session(ssl_context=own, certificate_pins=[self.pin]), self.good.url)
        session = self.plain_session(ssl_context=own, certificate_pins=[self.other])
        self.refused(session, self.good.url, CertificateError, -1202)


class ClientCertificateTests(TrustTestCase):
    """Rule 101."""

    def setUp(self) -> None:
        super().setUp()
        import trustme

        self.clients = trustme.CA(key_type=trustme.KeyType.ECDSA)
        self.demanding = self.strange_context(authority=self.authority)
        self.demanding.verify_mode = ssl.CERT_REQUIRED
        self.clients.configure_trust(self.demanding)
        self.hellos = self.changing(self.demanding)
        self.hellos.context.verify_mode = ssl.CERT_REQUIRED
        self.clients.configure_trust(self.hellos.context)
        self.guarded = self.secret_server(context=self.hellos.context)

    def identity(self, authority: Any = None) -> Path:
        """A file with a client's certificate and key."""
        path = self.folder() / "client.pem"
        leaf = (authority or self.clients).issue_cert("client@example.org")
        path.write_bytes(leaf.private_key_and_cert_chain_pem.bytes())
        return path

    def showing(self, path: Path, wait: Callable[[], None] = lambda: None) -> Delegate:
        """A delegate with this certificate."""

        def ask(session: Any, challenge: Any) -> Any:
            if challenge.protection_space.authentication_method == AuthenticationMethod.CLIENT_CERTIFICATE:
                wait()
                return answer_of(Credential.identity(str(path)))
            return DEFAULT

        return Delegate(**{SESSION: ask})

    def test_by_a_challenge(self) -> None:
        """Rule 101: asked before connecting, once; the server sees the certificate."""
        counts: List[int] = []
        delegate = self.showing(self.identity(), lambda: counts.append(len(self.wires)))
        self.opened(self.plain_session(delegate), self.guarded.url)
        self.assertEqual((counts, len(self.wires)), ([0], 1))
        subject = str(self.hellos.objects[0].getpeercert())
        self.assertIn("client@example.org", subject)

    def test_by_a_context(self) -> None:
        """Rule 101: or it is in the `ssl_context`; then nobody is asked."""
        own = ssl.create_default_context()
        self.authority.configure_trust(own)
        own.load_cert_chain(str(self.identity()))
        delegate = always(DEFAULT)
        self.opened(self.plain_session(delegate, ssl_context=own), self.guarded.url)
        methods = [each.protection_space.authentication_method for each in delegate.questions(SESSION)]
        self.assertEqual(methods, [AuthenticationMethod.SERVER_TRUST])

    def test_only_if_the_delegate_declares_it(self) -> None:
        """Rule 101: without the session's method nobody is asked, and the server's refusal is -1206."""
        delegate = Delegate(**{TASK: lambda *_: DEFAULT})
        self.refused(self.plain_session(delegate), self.guarded.url, TLSError, -1206)
        methods = [each.protection_space.authentication_method for each in delegate.questions(TASK)]
        self.assertEqual(methods, [AuthenticationMethod.SERVER_TRUST])

    def test_one_that_the_server_does_not_like(self) -> None:
        """Rule 100: -1205, over TLS 1.2 and 1.3."""
        import trustme

        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.subTest(version):
                for context in (self.demanding, self.hellos.context):
                    context.maximum_version = version
                stranger = self.identity(trustme.CA())
                self.refused(self.plain_session(self.showing(stranger)), self.guarded.url, TLSError, -1205)
                self.refused(self.plain_session(), self.guarded.url, TLSError)
        self.assertEqual(self.guarded.requests, [])

    def test_a_file_that_is_not_there(self) -> None:
        """Rule 101: a `TLSError` that names the file, and not the password."""
        answer = answer_of(Credential.identity("/nowhere/client.pem", password=SECRET))
        delegate = Delegate(
            **{SESSION: lambda session, challenge: DEFAULT if challenge.protection_space.server_trust else answer}
        )
        error = self.refused(self.plain_session(delegate), self.guarded.url, TLSError, -1200)
        self.assertIn("/nowhere/client.pem", str(error))
        self.assertNotIn(SECRET, str(error))

    def test_cancel(self) -> None:
        """Rule 70: cancelling this question cancels the task before anything is connected."""
        self.refused(self.plain_session(Delegate(**{SESSION: lambda *_: CANCEL})), self.guarded.url, Cancelled, -999)
        self.assertEqual(len(self.wires), 0)

    def test_a_strange_server(self) -> None:
        """Rules 99 and 101: our certificate is shown to a server that was accepted, on a connection of its own."""
        context = self.strange_context()
        context.verify_mode = ssl.CERT_OPTIONAL
        self.clients.configure_trust(context)
        hellos = self.changing(context)
        hellos.context.verify_mode = ssl.CERT_OPTIONAL
        self.clients.configure_trust(hellos.context)
        server = self.secret_server(context=hellos.context)
        path = self.identity()

        def ask(session: Any, challenge: Any) -> Any:
            if challenge.protection_space.server_trust is None:
                return answer_of(Credential.identity(str(path)))
            return trusting(session, challenge)

        self.opened(self.plain_session(Delegate(**{SESSION: ask})), server.url)
        self.assertEqual([has_certificate(each) for each in hellos.objects[1:]], [False, True])


class ContextTests(TrustTestCase):
    def test_a_bare_context(self) -> None:
        """Rule 97: a context that checks nothing by accident is the caller's mistake, told at once."""
        with self.assertRaises(ValueError):
            self.plain_session(ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))

    def test_no_checks_on_purpose(self) -> None:
        """Rule 97: who wants none says so in a context that has them."""
        server = self.secret_server(context=self.strange_context())
        own = ssl.create_default_context()
        own.check_hostname = False
        own.verify_mode = ssl.CERT_NONE
        self.opened(self.plain_session(ssl_context=own), server.url)
