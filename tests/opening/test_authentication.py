"""Authentication, from the outside: which credential a server is answered with, and how often."""

from __future__ import annotations

import base64
import os
import re
import threading
from concurrent.futures import Future
from typing import Any, List, Optional, Tuple
from unittest import mock

import wssync
from tests.opening.support import (
    CANCEL,
    DEFAULT,
    PATIENCE,
    REJECT,
    SECRET,
    Delegate,
    OpeningTestCase,
    answer_of,
    password,
    userinfo,
)
from tests.support import cases, with_cases
from tests.tasks import needs_trustme
from wssync import (
    AuthenticationFailed,
    AuthenticationMethod,
    Cancelled,
    Credential,
    CredentialPersistence,
    CredentialStorage,
    ProtectionSpace,
    SessionConfiguration,
)
from wssync.testing import Server, at, basic, digest, either, proxy, redirect, refuse, set_cookies

BASIC = "Basic " + base64.b64encode(f"user:{SECRET}".encode()).decode()


def sent(server: Server) -> List[Optional[str]]:
    """Authorization of each request."""
    return [request.headers.get("Authorization") for request in server.requests]


def asking(*answers: Any) -> Delegate:
    """A delegate that gives these answers, the last one again and again."""
    left = list(answers)
    return Delegate(did_receive_challenge=lambda *_: left.pop(0) if len(left) > 1 else left[0])


def space_of(server: Server, method: str = AuthenticationMethod.HTTP_BASIC, realm: str = "wssync") -> ProtectionSpace:
    """The protection space of a plain server."""
    return ProtectionSpace("127.0.0.1", int(server.url[:-1].rpartition(":")[2]), "http", realm, method)


@with_cases
class ChallengeTests(OpeningTestCase):
    """Rules 64 to 66: what is asked, and what is proposed."""

    def test_the_space(self) -> None:
        """Rule 64: host, port, protocol, realm and method, with the 401 and its body."""
        server = self.serve(opening=basic("user", SECRET, realm='the "inner" room'))
        delegate = asking(password())
        self.connect(server.url, delegate=delegate)
        (challenge,) = delegate.questions()
        self.assertEqual(challenge.protection_space, space_of(server, realm='the "inner" room'))
        self.assertFalse(challenge.protection_space.is_proxy)
        self.assertFalse(challenge.protection_space.receives_credential_securely)
        self.assertEqual(
            (challenge.previous_failure_count, challenge.proposed_credential, challenge.error), (0,) + (None,) * 2
        )
        self.assertEqual(challenge.failure_response.status_code, 401)
        self.assertEqual(challenge.failure_response.body, b"there are no credentials\n")
        self.assertEqual(sent(server), [None, BASIC])

    @needs_trustme
    def test_the_space_of_wss(self) -> None:
        """Rule 64: https for wss."""
        server = self.serve(tls=True, opening=basic("user", SECRET))
        delegate = asking(password())
        self.connect(
            server.url, delegate=Delegate(session_did_receive_challenge=lambda *_: DEFAULT, **vars_of(delegate))
        )
        space = delegate.questions()[0].protection_space
        self.assertEqual((space.host, space.protocol, space.receives_credential_securely), ("localhost", "https", True))

    def test_the_strongest_first(self) -> None:
        """Rule 64: Digest before Basic, SHA-256 before MD5, whatever the order of the server."""
        ways = [basic("user", SECRET), digest("user", SECRET, algorithm="MD5", realm="old"), digest("user", SECRET)]
        delegate = asking(REJECT)
        server = self.serve(opening=either(*ways))
        self.fails(AuthenticationFailed, server.url, delegate=delegate)
        spaces = [each.protection_space for each in delegate.questions()]
        self.assertEqual(
            [(space.authentication_method, space.realm) for space in spaces],
            [("Digest", "wssync"), ("Digest", "old"), ("Basic", "wssync")],
        )

    def test_one_question_for_two_algorithms(self) -> None:
        """Rule 64: Digest with two algorithms is one question, and the stronger one is answered."""
        server = self.serve(opening=either(digest("user", SECRET, algorithm="MD5"), digest("user", SECRET)))
        delegate = asking(password())
        self.connect(server.url, delegate=delegate)
        self.assertEqual(len(delegate.questions()), 1)
        self.assertIn("algorithm=SHA-256", sent(server)[1] or "")

    def test_proposed_by_the_url(self) -> None:
        """Rule 65: the URL's userinfo comes first, before what is stored."""
        server = self.serve(opening=basic("user", SECRET))
        storage = CredentialStorage()
        storage.set(Credential("anna", "stored"), space_of(server))
        delegate = asking(DEFAULT)
        self.connect(userinfo(server.url), delegate=delegate, url_credential_storage=storage)
        proposed = delegate.questions()[0].proposed_credential
        self.assertEqual((proposed.user, proposed.password, proposed.has_password), ("user", SECRET, True))

    def test_proposed_by_the_storage(self) -> None:
        """Rule 65: the first user in sorted order, one after the other as each has failed; then nothing is proposed."""
        server = self.serve(opening=basic("user", SECRET))
        storage = CredentialStorage()
        for user in ("carl", "anna", "berta"):
            storage.set(Credential(user, "wrong"), space_of(server))
        storage.set(Credential("else", SECRET), space_of(server, realm="elsewhere"))
        delegate = asking(DEFAULT)
        self.fails(AuthenticationFailed, server.url, delegate=delegate, url_credential_storage=storage)
        proposed = [each.proposed_credential for each in delegate.questions()]
        self.assertEqual([each and each.user for each in proposed], ["anna", "berta", "carl", None])

    def test_the_count_of_failures(self) -> None:
        """Rule 66: 0 at first, and one more with each attempt that was refused."""
        server = self.serve(opening=basic("user", SECRET))
        delegate = asking(password(secret="1"), password(secret="2"), password(secret="3"), password())
        self.connect(server.url, delegate=delegate)
        self.assertEqual([each.previous_failure_count for each in delegate.questions()], [0, 1, 2, 3])
        self.assertEqual(len(server.requests), 5)

    def test_the_count_counts_attempts(self) -> None:
        """Rule 66: what was rejected by the delegate, or stale, is no attempt that failed."""
        way = digest("user", SECRET, uses=0)
        tries: List[Any] = []

        def renew(connection: Any) -> None:
            tries.append(connection)
            if len(tries) == 3:
                way.uses = None

        server = self.serve(opening=[renew, either(way, basic("user", SECRET))])
        delegate = asking(password())
        self.connect(server.url, delegate=delegate)
        self.assertEqual([each.previous_failure_count for each in delegate.questions()], [0])


def vars_of(delegate: Delegate) -> Any:
    """The methods of a delegate, for another one."""
    return {"did_receive_challenge": vars(delegate)["did_receive_challenge"]}


@with_cases
class AnswerTests(OpeningTestCase):
    """Rules 67 to 72: what a delegate may answer."""

    def setUp(self) -> None:
        super().setUp()
        self.way = basic("user", SECRET)
        self.basic_server = self.serve(opening=self.way)

    def test_without_a_delegate(self) -> None:
        """Rules 67, 69 and 71: default handling: what was proposed, else the 401 is final: -1013, with its body."""
        self.connect(userinfo(self.basic_server.url))
        error = self.fails(AuthenticationFailed, self.basic_server.url, -1013)
        self.assertIsInstance(error, wssync.HandshakeError)
        response = error.response
        assert isinstance(response, wssync.Response)
        self.assertEqual((response.status_code, response.body), (401, b"there are no credentials\n"))
        self.assertEqual(response.headers["WWW-Authenticate"], self.way.challenge())

    def test_the_session_s_method_is_not_asked(self) -> None:
        """Rule 67: it is for TLS; without the task's method it is default handling."""
        delegate = Delegate(session_did_receive_challenge=lambda *_: self.fail("asked"))
        self.fails(AuthenticationFailed, self.basic_server.url, delegate=delegate)
        self.assertEqual(sent(self.basic_server), [None])

    def test_on_the_executor(self) -> None:
        """Rule 67: it is asked there, and with the session and the task."""
        asked: List[Any] = []

        def ask(session: Any, task: Any, challenge: Any) -> Any:
            asked.append((session, task, threading.current_thread().name))
            return password()

        session = self.session(delegate=Delegate(did_receive_challenge=ask))
        task = self.opened(session, self.basic_server.url)
        self.assertEqual(asked[0][:2], (session, task))
        self.assertRegex(asked[0][2], "wssync-session")

    def test_no_credential(self) -> None:
        """Rule 68: to use none is to go on without one: the 401 is final."""
        self.fails(AuthenticationFailed, userinfo(self.basic_server.url), -1013, delegate=asking(answer_of(None)))
        self.assertEqual(len(self.basic_server.requests), 1)

    def test_default_handling(self) -> None:
        """Rule 69: what was proposed, unless it has failed."""
        self.connect(userinfo(self.basic_server.url), delegate=asking(DEFAULT))
        delegate = asking(DEFAULT)
        self.fails(AuthenticationFailed, userinfo(self.basic_server.url, "user:wrong"), delegate=delegate)
        self.assertEqual([bool(each.proposed_credential) for each in delegate.questions()], [True, False])
        self.assertEqual(len(self.basic_server.requests), 4)

    def test_cancel(self) -> None:
        """Rule 70: the task is cancelled: -999, `Cancelled` everywhere."""
        delegate = asking(CANCEL)
        session = self.session(delegate=delegate)
        task = session.websocket_task(self.basic_server.url)
        received: List[Any] = []
        task.receive(lambda result: received.append(result.error))
        task.resume()
        error = self.ends(task, Cancelled, -999)
        delegate.wait_for("did_complete")
        self.assertEqual(received, [error])
        self.assertEqual(task.close_code, wssync.CloseCode.INVALID)

    def test_reject(self) -> None:
        """Rule 70: the next challenge of the same response is asked about."""
        server = self.serve(opening=either(digest("user", SECRET), basic("user", SECRET)))
        delegate = asking(REJECT, password())
        self.connect(server.url, delegate=delegate)
        methods = [each.protection_space.authentication_method for each in delegate.questions()]
        self.assertEqual(methods, ["Digest", "Basic"])
        self.assertEqual(sent(server), [None, BASIC])

    def test_all_rejected(self) -> None:
        """Rules 70 and 71: when none is left the 401 is final."""
        error = self.fails(AuthenticationFailed, userinfo(self.basic_server.url), -1013, delegate=asking(REJECT))
        self.assertEqual(getattr(error.response, "status_code", None), 401)

    def test_a_401_that_asks_nothing(self) -> None:
        """Rule 71: without a challenge that can be answered nobody is asked."""
        delegate = Delegate(did_receive_challenge=lambda *_: self.fail("asked"))
        for headers in ({"WWW-Authenticate": ""}, {"WWW-Authenticate": 'Digest realm="no nonce"'}):
            server = self.serve(opening=refuse(401, headers=headers, body=b"go away"))
            error = self.fails(AuthenticationFailed, userinfo(server.url), -1013, delegate=delegate)
            self.assertEqual(getattr(error.response, "body", None), b"go away")

    def test_twice_and_no_more(self) -> None:
        """Rule 72: the same credential is tried twice in a row, not a third time."""
        self.fails(AuthenticationFailed, self.basic_server.url, -1013, delegate=asking(password(secret="wrong")))
        self.assertEqual(len(self.basic_server.requests), 3)
        self.fails(AuthenticationFailed, userinfo(self.basic_server.url, "user:wrong"), -1013)
        self.assertEqual(len(self.basic_server.requests), 5)

    def test_a_token(self) -> None:
        """Rule 74's neighbours: a scheme that is not known here is answered with a token as it is."""
        server = self.serve(opening=refuse_unless("Bearer abc.def"))
        delegate = asking(answer_of(Credential.token("Bearer", "abc.def")))
        self.connect(server.url, delegate=delegate)
        self.assertEqual(delegate.questions()[0].protection_space.authentication_method, "Bearer")
        self.assertEqual(sent(server), [None, "Bearer abc.def"])

    @cases(
        token_for_basic=Credential.token("Bearer", SECRET),
        identity=Credential.identity("/nowhere.pem", password=SECRET),
        colon=Credential("us:er", SECRET),
    )
    def test_a_credential_that_does_not_fit(self, credential: Credential) -> None:
        """Rules 73 and 71: -1013, says why, and shows no secret."""
        error = self.fails(AuthenticationFailed, self.basic_server.url, -1013, delegate=asking(answer_of(credential)))
        self.assertRegex(str(error), "cannot be used")
        self.assertNotIn(SECRET, str(error))
        self.assertEqual(len(self.basic_server.requests), 1)

    def test_the_caller_s_own_field(self) -> None:
        """Rule 85's neighbour: a caller's Authorization stands, until it was refused."""
        self.connect(self.basic_server.url, headers={"Authorization": BASIC})
        self.assertEqual(sent(self.basic_server), [BASIC])
        self.connect(userinfo(self.basic_server.url), headers={"Authorization": "Basic d3Jvbmc6"})
        self.assertEqual(sent(self.basic_server)[1:], ["Basic d3Jvbmc6", BASIC])


def refuse_unless(value: str) -> Any:
    """401 with a challenge of the scheme in `value`, but for requests that have that field."""

    def check(connection: Any) -> None:
        if connection.request.headers.get("Authorization") != value:
            refuse(401, headers={"WWW-Authenticate": f'{value.split()[0]} realm="x"'})(connection)

    return check


@with_cases
class SchemeTests(OpeningTestCase):
    """Rules 73 and 74: what goes on the wire, judged by the server of the kit."""

    def test_basic_is_utf_8(self) -> None:
        """Rule 73: user name and password beyond ASCII."""
        server = self.serve(opening=basic("J\u00f6rg", "p\u00e4ss\u20ac"))
        self.connect(server.url, delegate=asking(answer_of(Credential("J\u00f6rg", "p\u00e4ss\u20ac"))))

    def test_basic_by_an_escaped_url(self) -> None:
        """Rule 73: userinfo is percent-decoded."""
        server = self.serve(opening=basic("u@x", "p:/\u00e4"))
        self.connect(userinfo(server.url, "u%40x:p%3A%2F%C3%A4"))

    @cases(
        md5="MD5",
        sha_256="SHA-256",
        sha_512_256="SHA-512-256",
        md5_sess="MD5-sess",
        sha_256_sess="SHA-256-sess",
        sha_512_256_sess="SHA-512-256-sess",
    )
    def test_digest(self, algorithm: str) -> None:
        """Rule 74: each algorithm, with a target that has a query, and with a hashed user name."""
        for userhash in (False, True):
            try:
                server = self.serve(opening=digest("J\u00f6rg", "p\u00e4ss", algorithm=algorithm, userhash=userhash))
            except ValueError as error:
                self.skipTest(str(error))
            self.connect(userinfo(server.url_for("/a?b=c%20d"), "J%C3%B6rg:p%C3%A4ss"))
            self.assertIn('uri="/a?b=c%20d"', sent(server)[1] or "")
            self.assertRegex(sent(server)[1] or "", "nc=00000001")

    def test_digest_of_rfc_2069(self) -> None:
        """Rule 74: without qop there is neither nc nor cnonce."""
        server = self.serve(opening=digest("user", SECRET, algorithm="MD5", qop=None))
        self.connect(userinfo(server.url))
        self.assertNotRegex(sent(server)[1] or "", "nc=|cnonce=|qop=")

    def test_an_unknown_algorithm_is_skipped(self) -> None:
        """Rule 74: then Basic of the same response is answered."""
        field = ("WWW-Authenticate", 'Digest realm="wssync", nonce="n", algorithm=SHA-3')
        own = basic("user", SECRET)

        def ask(connection: Any) -> None:
            connection.add_headers([field])
            own(connection)

        server = self.serve(opening=ask)
        self.connect(userinfo(server.url))
        self.assertEqual(sent(server), [None, BASIC])

    def test_nonce_counts(self) -> None:
        """Rule 74: each use of a nonce counts, after a redirect too, each with a fresh cnonce."""
        way = digest("user", SECRET)
        server = self.serve(opening=[way, at("/a", redirect("/b")), at("/b", redirect("/c"))])
        self.connect(userinfo(server.url_for("/a")))
        values = [value or "" for value in sent(server)[1:]]
        self.assertEqual(
            [re.findall("nc=([0-9a-f]+)", value) for value in values], [["00000001"], ["00000002"], ["00000003"]]
        )
        self.assertEqual(len({re.findall('cnonce="([^"]+)"', value)[0] for value in values}), 3)

    def test_stale(self) -> None:
        """Rule 74: a new nonce is answered without asking anybody; the credential has not failed."""
        server = self.serve(opening=[digest("user", SECRET, uses=1), at("/a", redirect("/b"))])
        delegate = asking(password())
        self.connect(server.url_for("/a"), delegate=delegate)
        self.assertEqual(len(delegate.questions()), 1)
        self.assertEqual([each.target for each in server.requests], ["/a", "/a", "/b", "/b"])

    def test_stale_for_ever(self) -> None:
        """Rules 72 and 74: a server whose nonces are all stale at once is given up."""
        server = self.serve(opening=digest("user", SECRET, uses=0))
        delegate = asking(password())
        error = self.fails(AuthenticationFailed, server.url, -1013, delegate=delegate)
        self.assertEqual(getattr(error.response, "status_code", None), 401)
        self.assertLess(len(server.requests), 12)

    def test_next_nonce(self) -> None:
        """Rule 74: the nonce that Authentication-Info announces is used after a redirect."""

        def announce(connection: Any) -> None:
            if "Authorization" in connection.request.headers:
                connection.add_headers({"Authentication-Info": 'nextnonce="the-next-one"'})

        server = self.serve(opening=[announce, at("/a", digest("user", SECRET), redirect("/b"))])
        self.connect(userinfo(server.url_for("/a")))
        self.assertIn('nonce="the-next-one"', sent(server)[2] or "")
        self.assertIn("nc=00000001", sent(server)[2] or "")


class KeepingTests(OpeningTestCase):
    """Rules 75, 76 and 78: what is kept, and for whom."""

    def setUp(self) -> None:
        super().setUp()
        self.storage = CredentialStorage()
        self.asking_server = self.serve(
            opening=[at("/refused", refuse(403)), basic("user", SECRET), at("/later", refuse(404))]
        )

    def stored(self) -> List[Tuple[Optional[str], int]]:
        spaces = self.storage.all_credentials.values()
        return [(each.user, each.persistence) for users in spaces for each in users.values()]

    def test_stored_after_a_101(self) -> None:
        """Rule 75: as its persistence says; one without is not."""
        for persistence, kept in (
            (CredentialPersistence.NONE, 0),
            (CredentialPersistence.SYNCHRONIZABLE, 0),
            (CredentialPersistence.FOR_SESSION, 1),
            (CredentialPersistence.PERMANENT, 1),
        ):
            with self.subTest(persistence):
                self.storage.clear()
                delegate = asking(password(persistence=persistence))
                self.connect(self.asking_server.url, delegate=delegate, url_credential_storage=self.storage)
                self.assertEqual(self.stored(), [("user", persistence)] * kept)

    def test_stored_after_a_101_only(self) -> None:
        """Rule 75: neither one that failed nor one that led to another refusal is."""
        delegate = asking(password(secret="wrong"), answer_of(None))
        self.fails(AuthenticationFailed, self.asking_server.url, delegate=delegate, url_credential_storage=self.storage)
        self.fails(
            wssync.HandshakeError,
            self.asking_server.url_for("/later"),
            delegate=asking(password()),
            url_credential_storage=self.storage,
        )
        server = self.serve(opening=[basic("user", SECRET), refuse(200)])
        self.fails(wssync.HandshakeError, server.url, delegate=asking(password()), url_credential_storage=self.storage)
        self.assertEqual(self.stored(), [])

    def test_a_url_s_own_is_not_stored(self) -> None:
        """Rule 75: userinfo is for the tasks that have it."""
        self.connect(userinfo(self.asking_server.url), url_credential_storage=self.storage)
        self.assertEqual(self.stored(), [])

    def test_no_storage(self) -> None:
        """Rule 75: `None` keeps nothing and proposes nothing."""
        session = self.session(delegate=asking(password(), answer_of(None)), url_credential_storage=None)
        self.opened(session, self.asking_server.url)
        self.refused(session, self.asking_server.url, AuthenticationFailed)

    def test_a_second_task(self) -> None:
        """Rule 76: it sends the stored credential after a 401 of its own, without its user being asked again."""
        first = self.session(delegate=asking(password()))
        self.opened(first, self.asking_server.url)
        task = first.websocket_task(self.asking_server.url)
        task.delegate = asking(DEFAULT)
        task.resume()
        task.wait_until_open(PATIENCE)
        self.assertEqual(sent(self.asking_server), [None, BASIC, None, BASIC])

    def test_sessions_of_one_configuration(self) -> None:
        """Rules 75 and 95: what one ephemeral configuration keeps, its sessions share, and no other has."""
        configuration = SessionConfiguration.ephemeral()
        self.opened(self.session(configuration, delegate=asking(password())), self.asking_server.url)
        self.opened(self.session(configuration), self.asking_server.url)
        self.refused(self.session(), self.asking_server.url, AuthenticationFailed)

    def test_default_configurations_share(self) -> None:
        """Rule 95: `.default()`, a session without one and the shared session have one store, which `reset` empties."""
        session = self.session(SessionConfiguration.default(), delegate=asking(password()))
        self.addCleanup(session.reset)
        self.opened(session, self.asking_server.url)
        other = wssync.Session()
        self.addCleanup(other.__exit__, None, None, None)
        self.opened(other, self.asking_server.url)
        shared = self.opened(wssync.Session.shared(), self.asking_server.url)
        self.addCleanup(shared.close)
        other.reset()
        self.refused(other, self.asking_server.url, AuthenticationFailed)

    def test_reset(self) -> None:
        """Rule 221: the credentials are gone, open tasks stay, the handler runs on the executor."""
        session = self.session(delegate=asking(password(), answer_of(None)), url_credential_storage=self.storage)
        task = self.opened(session, self.asking_server.url)
        done: Future[str] = Future()
        session.reset(lambda: done.set_result(threading.current_thread().name))
        self.assertRegex(done.result(PATIENCE), "wssync-session")
        self.assertEqual(self.stored(), [])
        task.send("still there")
        self.assertReceives(task, "still there")
        self.refused(session, self.asking_server.url, AuthenticationFailed)

    def test_a_new_key_each_time(self) -> None:
        """Rule 78: the request after a 401 has another key."""
        self.connect(userinfo(self.asking_server.url))
        keys = {request.headers["Sec-WebSocket-Key"] for request in self.asking_server.requests}
        self.assertEqual(len(keys), 2)

    def test_after_another_redirect(self) -> None:
        """Rule 76: within a task the answer goes along with each request to that origin, and to no other."""
        target = self.serve(opening=basic("user", SECRET))
        away = self.serve(opening=[basic("user", SECRET), redirect(target.url)])
        self.fails(AuthenticationFailed, userinfo(away.url))
        self.assertEqual((sent(away), sent(target)), ([None, BASIC], [None]))


class NetrcTests(OpeningTestCase):
    """Rules 65 and 75 with a netrc file."""

    def setUp(self) -> None:
        super().setUp()
        self.asking_server = self.serve(opening=basic("user", SECRET))
        self.path = self.folder() / "netrc"

    def write(self, text: str) -> str:
        self.path.write_text(text)
        self.path.chmod(0o600)
        return str(self.path)

    def test_a_file(self) -> None:
        """Rule 65: asked last, for the host that it names."""
        path = self.write(f"machine 127.0.0.1 login user password {SECRET}\n")
        self.connect(self.asking_server.url, netrc=path)
        self.assertEqual(sent(self.asking_server), [None, BASIC])

    def test_off_by_default(self) -> None:
        """Rule 65: it is behind a switch."""
        path = self.write(f"machine 127.0.0.1 login user password {SECRET}\n")
        with mock.patch.dict(os.environ, NETRC=path):
            self.fails(AuthenticationFailed, self.asking_server.url)
            self.connect(self.asking_server.url, netrc=True)

    def test_no_default_entry(self) -> None:
        """Rule 65: a password for everybody is a password for whoever a redirect leads to."""
        path = self.write(f"default login user password {SECRET}\n")
        self.fails(AuthenticationFailed, self.asking_server.url, netrc=path)
        through = self.serve(opening=proxy({"default:80": self.asking_server.url[5:-1]}))
        own = through.url.replace("ws:", "http:")
        self.fails(AuthenticationFailed, "ws://default/", netrc=path, proxy=own)
        self.assertEqual(sent(self.asking_server), [None, None])

    def test_a_bad_file(self) -> None:
        """Rule 71: -1013 with the response; nothing of the file is shown."""
        path = self.write(f"machine 127.0.0.1 login user passwort {SECRET}\n")
        error = self.fails(AuthenticationFailed, self.asking_server.url, -1013, netrc=path)
        self.assertNotIn(SECRET, str(error))
        self.assertIn("netrc", str(error))
        self.assertEqual(getattr(error.response, "status_code", None), 401)


class StateTests(OpeningTestCase):
    """Rules 79 and 82: what is to be seen meanwhile."""

    def test_it_is_running(self) -> None:
        """Rule 79: while the delegate thinks the task is RUNNING, and the cookies of the 401 are stored already."""
        future = self.future()
        delegate = Delegate(did_receive_challenge=lambda *_: future)
        server = self.serve(opening=[set_cookies({"id": "1"}), basic("user", SECRET)])
        session = self.session(delegate=delegate)
        task = session.websocket_task(server.url)
        task.resume()
        delegate.wait_for("did_receive_challenge")
        self.assertIs(task.state, wssync.TaskState.RUNNING)
        jar = session.configuration.http_cookie_storage
        self.assertEqual([cookie.name for cookie in jar or ()], ["id"])
        future.set_result(password())
        task.wait_until_open(PATIENCE)
        self.assertEqual(server.requests[1].headers["Cookie"], "id=1")
