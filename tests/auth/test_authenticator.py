"""Tests of `wssync.auth.authenticator`: the rules of section 2.6, against the server's half of `wssync.testing`."""

from __future__ import annotations

import unittest
from typing import Any, List, Optional, Sequence
from unittest import mock

from tests.support import cases, with_cases
from wssync.auth import (
    AuthenticationChallenge,
    AuthenticationMethod,
    Credential,
    CredentialPersistence,
    CredentialStorage,
    ProtectionSpace,
    ServerTrust,
)
from wssync.auth.authenticator import MAX_STALE, Authenticator, Round
from wssync.auth.netrc_file import NetrcFile
from wssync.errors import AuthenticationFailed
from wssync.protocol.challenges import parse_challenges
from wssync.testing.authentication import basic, digest

from .asking import HOST, ORIGIN, PORT, PROTOCOL, Exchange, by_default, refusal, response

USER = Credential("user", "secret")
BASIC = "Basic dXNlcjpzZWNyZXQ="
DIGEST = "Digest realm=r, nonce=n, qop=auth"


def space(method: str, realm: Optional[str] = "wssync", **others: Any) -> ProtectionSpace:
    return ProtectionSpace(HOST, PORT, "https", realm, method, **others)


def given(credential: Optional[Credential] = USER, **others: Any) -> Authenticator:
    authenticator = Authenticator(**others)
    authenticator.give(credential, *ORIGIN)
    return authenticator


class AuthenticatorCase(unittest.TestCase):
    def ask(self, authenticator: Authenticator, *challenges: str) -> Round:
        """The round after a request that was refused so."""
        authenticator.authorization("GET", "/", *ORIGIN)
        return authenticator.challenged(refusal(*challenges), *ORIGIN)

    def value(self, authenticator: Authenticator, target: str = "/") -> Optional[str]:
        return authenticator.authorization("GET", target, *ORIGIN)

    def nonce_and_count(self, authenticator: Authenticator) -> Sequence[Optional[str]]:
        (found,) = parse_challenges([self.value(authenticator) or ""])
        return found.get("nonce"), found.get("nc")


class ChallengeTests(AuthenticatorCase):
    """What a delegate is asked."""

    def test_spaces(self) -> None:
        """Rule 64: host, port, http or https, realm and method of each challenge, the strongest first."""
        challenges = (
            "Bearer",
            'Basic realm="b"',
            "Digest realm=d, nonce=n",
            "Digest realm=s, nonce=n, algorithm=SHA-256",
        )
        found = self.ask(Authenticator(), *challenges)
        self.assertFalse(found.retry)
        self.assertEqual(
            [challenge.protection_space for challenge in found.challenges],
            [space("Digest", "s"), space("Digest", "d"), space("Basic", "b"), space("Bearer", None)],
        )
        self.assertIs(found.challenges[0].protection_space.authentication_method, AuthenticationMethod.HTTP_DIGEST)
        plain = Authenticator().challenged(refusal("Basic realm=b"), HOST, 80, "ws").challenges[0]
        self.assertEqual(plain.protection_space, ProtectionSpace(HOST, 80, "http", "b", "Basic"))

    def test_nothing_to_answer(self) -> None:
        """Rule 71: without a challenge, or with broken ones alone, nothing is left to try."""
        for challenges in ((), ("",), ('Digest realm="',), ("Digest realm=x, nonce=n, algorithm=SHA-1",)):
            self.assertEqual(self.ask(given(), *challenges), Round(False, []))

    def test_the_response_and_the_failures(self) -> None:
        """Rule 66: the count is 0 first, and grows with each attempt of the task that was refused, whatever it was."""
        authenticator = Authenticator()
        counts = []
        for number in range(4):
            self.value(authenticator)
            answer = refusal("Basic realm=a", "Digest realm=b, nonce=n")
            found = authenticator.challenged(answer, *ORIGIN)
            counts.append([challenge.previous_failure_count for challenge in found.challenges])
            self.assertIs(found.challenges[0].failure_response, answer)
            authenticator.use(found.challenges[number % 2], Credential("user", str(number)))
        self.assertEqual(counts, [[0, 0], [1, 1], [2, 2], [3, 3]])

    def test_a_request_without_an_answer_is_no_failure(self) -> None:
        """Rule 66: what was refused must have been sent."""
        authenticator = Authenticator()
        for _ in range(2):
            found = self.ask(authenticator, "Basic realm=a")
            self.assertEqual(found.challenges[0].previous_failure_count, 0)

    def test_a_failure_is_no_proxys(self) -> None:
        """Rule 77: a proxy asks with fields of its own, in spaces that say so, and hears of nothing else."""
        authenticator = Authenticator(is_proxy=True)
        authenticator.give(USER, "proxy", 3128, "http")
        answer = response(407, ("Proxy-Authenticate", "Basic realm=p"), ("WWW-Authenticate", "Basic realm=w"))
        (challenge,) = authenticator.challenged(answer, "proxy", 3128, "http").challenges
        expected = ProtectionSpace("proxy", 3128, "http", "p", "Basic", is_proxy=True)
        self.assertEqual((challenge.protection_space, challenge.proposed_credential), (expected, USER))
        authenticator.use(challenge, USER)
        self.assertEqual(authenticator.authorization("CONNECT", "h:443", "proxy", 3128, "http"), BASIC)
        self.assertIsNone(self.value(authenticator))
        self.assertEqual(self.ask(Authenticator(), *()).challenges, [])

    def test_a_server_cannot_ask_as_tls_does(self) -> None:
        """Rule 64: a scheme of that name is an unknown scheme, which a trust does not answer."""
        authenticator = Authenticator()
        (challenge,) = self.ask(authenticator, "ServerTrust").challenges
        self.assertEqual(challenge.protection_space.authentication_method, "ServerTrust")
        with self.assertRaises(ValueError):
            authenticator.use(challenge, Credential.for_trust(ServerTrust("h", 1, (b"x",))))


class ProposalTests(AuthenticatorCase):
    """What is used by default."""

    def proposed(self, authenticator: Authenticator, *challenges: str) -> List[Optional[Credential]]:
        found = self.ask(authenticator, *challenges)
        for challenge in found.challenges:
            self.assertIs(authenticator.default(challenge), challenge.proposed_credential)
        return [challenge.proposed_credential for challenge in found.challenges]

    def test_precedence(self) -> None:
        """Rule 65: the URL's, then the first stored one in the order of users, then that of the netrc file."""
        storage, netrc = CredentialStorage(), mock.Mock(spec=NetrcFile)
        bob, ann, other = Credential("bob", "1"), Credential("ann", "2"), Credential("netrc", "3")
        netrc.find.return_value = other
        storage.set(bob, space("Basic", "r"))
        storage.set(ann, space("Basic", "r"))
        self.assertEqual(self.proposed(given(storage=storage, netrc=netrc), "Basic realm=r"), [USER])
        self.assertEqual(self.proposed(Authenticator(storage=storage, netrc=netrc), "Basic realm=r"), [ann])
        netrc.find.assert_not_called()
        self.assertEqual(self.proposed(Authenticator(storage=storage, netrc=netrc), "Basic realm=q"), [other])
        netrc.find.assert_called_once_with(HOST)
        netrc.find.return_value = None
        self.assertEqual(self.proposed(Authenticator(storage=storage, netrc=netrc), "Basic realm=q"), [None])
        self.assertEqual(self.proposed(Authenticator(), "Basic realm=r"), [None])

    def test_one_that_failed_is_not_proposed(self) -> None:
        """Rules 65 and 69: the next one is, and in the end none; none comes again."""
        storage = CredentialStorage()
        for user in ("ann", "bob"):
            storage.set(Credential(user, "x"), space("Basic", "r"))
        authenticator = given(storage=storage)
        proposed = []
        for _ in range(5):
            (challenge,) = self.ask(authenticator, "Basic realm=r").challenges
            proposed.append(challenge.proposed_credential and challenge.proposed_credential.user)
            by_default(authenticator, Round(False, [challenge]))
        self.assertEqual(proposed, ["user", "ann", "bob", None, None])

    def test_a_user_in_the_url_is_not_replaced_by_that_of_the_netrc_file(self) -> None:
        """Rule 65: whoever names a user means that one; when it is refused, the machine's is not tried instead."""
        netrc = mock.Mock(spec=NetrcFile)
        netrc.find.return_value = Credential("netrc", "3")
        authenticator = given(netrc=netrc)
        (challenge,) = self.ask(authenticator, "Basic realm=r").challenges
        self.assertEqual(challenge.proposed_credential, USER)
        by_default(authenticator, Round(False, [challenge]))
        self.assertEqual(self.proposed(authenticator, "Basic realm=r"), [None])
        netrc.find.assert_not_called()

    def test_the_default_of_the_store(self) -> None:
        """Rule 65: it is the last of the stored ones to be proposed, wherever it is."""
        storage = mock.Mock(spec=CredentialStorage)
        storage.credentials.return_value = {"ann": Credential("ann", "x")}
        storage.default_credential.return_value = USER
        authenticator = Authenticator(storage=storage)
        self.assertEqual(self.proposed(authenticator, "Basic realm=r"), [Credential("ann", "x")])
        authenticator.use(AuthenticationChallenge(space("Basic", "r")), Credential("ann", "x"))
        self.assertEqual(self.proposed(authenticator, "Basic realm=r"), [USER])

    def test_no_downgrade(self) -> None:
        """Rule 69: what failed with Digest is not sent in clear to the same realm, and not to another by a change of
        its persistence.
        """
        authenticator = given()
        (challenge,) = self.ask(authenticator, DIGEST).challenges
        authenticator.use(challenge, Credential("user", "secret", CredentialPersistence.PERMANENT))
        self.assertEqual(self.proposed(authenticator, DIGEST, "Basic realm=r", "Basic realm=q"), [None, None, USER])

    def test_what_does_not_fit_is_not_proposed(self) -> None:
        """Rule 73: a user name with a colon is for Digest alone; a token answers what only a token answers."""
        colon = Credential("a:b", "c")
        proposed = self.proposed(given(colon), "Basic realm=r", "Digest realm=q, nonce=n", "Bearer")
        self.assertEqual(proposed, [colon, None, None])

    def test_a_netrc_file_that_cannot_be_used(self) -> None:
        """AuthenticationFailed, with the 401 that made it needed; unless it is not needed."""
        netrc = mock.Mock(spec=NetrcFile)
        netrc.find.side_effect = AuthenticationFailed("the netrc file x cannot be used")
        with self.assertRaises(AuthenticationFailed) as caught:
            self.ask(Authenticator(netrc=netrc), "Basic realm=r")
        self.assertEqual(getattr(caught.exception.response, "status_code", None), 401)
        self.assertEqual(self.proposed(given(netrc=netrc), "Basic realm=r", "Bearer"), [USER, None])


@with_cases
class UseTests(AuthenticatorCase):
    """What becomes of an answer."""

    def test_the_request_is_repeated_with_it(self) -> None:
        """Rule 68: and so is every further one to that origin."""
        authenticator = Authenticator()
        (challenge,) = self.ask(authenticator, "Basic realm=r").challenges
        self.assertIsNone(self.value(authenticator))
        self.assertTrue(authenticator.use(challenge, USER))
        self.assertEqual([self.value(authenticator), self.value(authenticator, "/other")], [BASIC, BASIC])

    @cases(
        host=("example.org", PORT, PROTOCOL),
        port=(HOST, 8443, PROTOCOL),
        protocol=(HOST, PORT, "ws"),
        subdomain=("www." + HOST, PORT, PROTOCOL),
    )
    def test_another_origin_gets_nothing(self, host: str, port: int, protocol: str) -> None:
        """Rule 60: neither the answer, nor the URL's credential as a proposal; and the first one gets it again."""
        authenticator = given()
        (challenge,) = self.ask(authenticator, "Basic realm=r").challenges
        authenticator.use(challenge, USER)
        self.assertIsNone(authenticator.authorization("GET", "/", host, port, protocol))
        (other,) = authenticator.challenged(refusal("Basic realm=r"), host, port, protocol).challenges
        self.assertEqual((other.proposed_credential, other.previous_failure_count), (None, 0))
        authenticator.use(other, Credential("there", "x"))
        self.assertEqual(self.value(authenticator), BASIC)
        self.assertNotIn(authenticator.authorization("GET", "/", host, port, protocol), (BASIC, None))

    def test_the_same_origin_in_other_words(self) -> None:
        """Rule 60: capitals make no other host, and https is what wss is."""
        authenticator = given()
        (challenge,) = self.ask(authenticator, "Basic realm=r").challenges
        authenticator.use(challenge, USER)
        self.assertEqual(authenticator.authorization("GET", "/", HOST.upper(), PORT, "https"), BASIC)

    @cases(
        colon=("Basic realm=r", Credential("hidden:user", "hidden")),
        trust=("Basic realm=r", Credential.for_trust(ServerTrust("h", 1, (b"x",)))),
        identity=("Digest realm=r, nonce=n", Credential.identity("cert.pem", None, "hidden")),
        token=("Basic realm=r", Credential.token("Bearer", "hidden")),
        password=("Bearer realm=r", Credential("user", "hidden")),
    )
    def test_what_cannot_be_used(self, challenge: str, credential: Credential) -> None:
        """Rule 73: ValueError, which shows nothing secret, and nothing is sent."""
        authenticator = Authenticator()
        (asked,) = self.ask(authenticator, challenge).challenges
        with self.assertRaises(ValueError) as caught:
            authenticator.use(asked, credential)
        self.assertNotIn("hidden", str(caught.exception))
        self.assertIsNone(self.value(authenticator))

    def test_what_is_no_answer(self) -> None:
        """TypeError for what is no credential, ValueError for a challenge that was not just made."""
        authenticator = Authenticator()
        (old,) = self.ask(authenticator, "Basic realm=old").challenges
        self.ask(authenticator, "Basic realm=new")
        with self.assertRaisesRegex(ValueError, "not one of the last response"):
            authenticator.use(old, USER)
        with self.assertRaisesRegex(TypeError, "not tuple") as caught:
            authenticator.use(old, ("user", "hidden"))  # type: ignore[arg-type]
        self.assertNotIn("hidden", str(caught.exception))

    def test_not_a_third_time(self) -> None:
        """Rule 72: refused twice in a row, the same credential is not sent again, however long it would be kept."""
        authenticator = Authenticator()
        results = []
        for persistence in (CredentialPersistence.NONE, CredentialPersistence.PERMANENT, CredentialPersistence.NONE):
            (challenge,) = self.ask(authenticator, "Basic realm=r").challenges
            results.append(authenticator.use(challenge, Credential("user", "secret", persistence)))
        self.assertEqual(results, [True, True, False])
        self.assertIsNone(self.value(authenticator))
        self.assertTrue(authenticator.use(challenge, Credential("user", "other")))

    def test_in_a_row(self) -> None:
        """Rule 72: with another one between them they are not in a row, and another realm counts for itself."""
        authenticator = Authenticator()
        results = []
        for user, realm in (("a", "r"), ("b", "r"), ("a", "r"), ("a", "q"), ("a", "r"), ("a", "r"), ("a", "r")):
            (challenge,) = self.ask(authenticator, f"Basic realm={realm}").challenges
            results.append(authenticator.use(challenge, Credential(user, "x")))
        self.assertEqual(results, [True] * 6 + [False])

    def test_tokens(self) -> None:
        """Rule 64: an unknown scheme is answered by a delegate, in several legs if need be."""
        authenticator = Authenticator()
        for number in range(4):
            (challenge,) = self.ask(authenticator, f"Negotiate {number}abc=").challenges
            self.assertIsNone(authenticator.default(challenge))
            self.assertTrue(authenticator.use(challenge, Credential.token("Negotiate", f"{number}")))
            self.assertEqual(self.value(authenticator), f"Negotiate {number}")

    def test_no_secret_is_shown(self) -> None:
        """By nothing that is there while it goes on."""
        authenticator = given(Credential("user", "hidden"))
        found = self.ask(authenticator, DIGEST, "Basic realm=b")
        authenticator.use(found.challenges[0], Credential("user", "hidden"))
        self.value(authenticator)
        self.assertNotIn("hidden", f"{authenticator} {found} {vars(authenticator)}")


class ExchangeTests(AuthenticatorCase):
    """Whole openings, at the server's half."""

    def test_with_the_password(self) -> None:
        """Rules 64, 69 and 81: asked, answered, let in; by whatever way it is asked."""
        for schemes in (
            [basic("user", "secret")],
            [digest("user", "secret", algorithm="MD5")],
            [digest("user", "secret", algorithm="MD5", qop=None)],
            [digest("user", "secret", algorithm="SHA-256-sess", userhash=True)],
            [basic("user", "secret"), digest("user", "secret")],
        ):
            exchange = Exchange(given(), schemes)
            self.assertTrue(exchange.run(), exchange.reasons)
            self.assertEqual(len(exchange.sent), 2)
            kind = "Basic" if len(schemes) == 1 and isinstance(schemes[0], basic) else "Digest"
            self.assertTrue(str(exchange.sent[1]).startswith(kind))

    def test_with_a_wrong_password(self) -> None:
        """Rules 71 and 72: it is sent once by default, and not by a weaker scheme."""
        exchange = Exchange(given(), [digest("user", "other"), basic("user", "other")])
        self.assertFalse(exchange.run())
        self.assertEqual([str(value)[:6] for value in exchange.sent], ["None", "Digest"])

    def test_a_delegate_that_insists(self) -> None:
        """Rule 72: the same wrong answer twice, and no more."""
        exchange = Exchange(
            Authenticator(),
            [digest("user", "other")],
            lambda authenticator, found: authenticator.use(found.challenges[0], USER),
        )
        self.assertFalse(exchange.run())
        self.assertEqual(len(exchange.sent), 3)

    def test_stale(self) -> None:
        """Rule 74: the new nonce is answered without asking anybody, and is no failure."""
        judge = digest("user", "secret", uses=1)
        exchange = Exchange(given(), [judge])
        self.assertTrue(exchange.run())
        self.assertEqual(exchange.request().status_code, 401)
        found = exchange.authenticator.challenged(refusal(judge.challenge(stale=True)), *ORIGIN)
        self.assertEqual(found, Round(True))
        self.assertEqual(exchange.request().status_code, 101)

    def test_stale_for_ever(self) -> None:
        """Rule 74: a server that never has enough gets so many answers, then it is a refusal."""
        exchange = Exchange(given(), [digest("user", "secret", uses=0)])
        self.assertFalse(exchange.run())
        self.assertEqual(len(exchange.sent), 2 + MAX_STALE)
        with_delegate = Exchange(
            Authenticator(),
            [digest("user", "secret", uses=0)],
            lambda authenticator, found: authenticator.use(found.challenges[0], USER),
        )
        self.assertFalse(with_delegate.run())
        self.assertEqual(len(with_delegate.sent), 1 + 2 * (1 + MAX_STALE))


class CountTests(AuthenticatorCase):
    def test_a_nonce_that_was_refused_with(self) -> None:
        """Rule 74: if the server gives the same nonce again, its uses go on being counted, whoever is shown next."""
        authenticator = Authenticator()
        counts = []
        for user in ("a", "b", "c"):
            (challenge,) = self.ask(authenticator, DIGEST).challenges
            authenticator.use(challenge, Credential(user, "x"))
            counts.append(self.nonce_and_count(authenticator))
            authenticator.challenged(refusal(DIGEST), *ORIGIN)
        self.assertEqual(counts, [("n", "00000001"), ("n", "00000002"), ("n", "00000003")])


class StaleTests(AuthenticatorCase):
    """When the nonce alone was too old."""

    def answered(self, challenge: str = DIGEST) -> Authenticator:
        authenticator = given()
        (asked,) = self.ask(authenticator, challenge).challenges
        authenticator.use(asked, USER)
        self.value(authenticator)
        return authenticator

    def test_the_new_nonce(self) -> None:
        """Rule 74: it is used at once, counted from one; and the same one once more is counted on."""
        authenticator = self.answered()
        renewed = refusal("Digest realm=r, nonce=m, qop=auth, stale=TRUE", "Basic realm=r")
        self.assertEqual(authenticator.challenged(renewed, *ORIGIN), Round(True))
        self.assertEqual(self.nonce_and_count(authenticator), ("m", "00000001"))
        self.assertEqual(authenticator.challenged(renewed, *ORIGIN), Round(True))
        self.assertEqual(self.nonce_and_count(authenticator), ("m", "00000002"))

    def test_what_is_asked_must_be_the_same(self) -> None:
        """Rule 74: another realm, a weaker hash, or no Digest: that is a new question, and a failure."""
        for challenge in (
            "Digest realm=other, nonce=m, qop=auth, stale=true, algorithm=SHA-256",
            "Digest realm=r, nonce=m, qop=auth, stale=true, algorithm=MD5",
            "Digest realm=r, nonce=m, qop=auth, stale=false, algorithm=SHA-256",
            "Basic realm=r, stale=true",
        ):
            authenticator = self.answered(f"{DIGEST}, algorithm=SHA-256")
            found = authenticator.challenged(refusal(challenge), *ORIGIN)
            self.assertFalse(found.retry)
            self.assertEqual(found.challenges[0].previous_failure_count, 1)
        stronger = refusal("Digest realm=r, nonce=m, qop=auth, stale=true, algorithm=SHA-256")
        self.assertTrue(self.answered().challenged(stronger, *ORIGIN).retry)

    def test_without_an_answer(self) -> None:
        """Rule 74: what was not sent cannot be stale, nor can Basic."""
        stale = refusal("Digest realm=r, nonce=m, stale=true")
        self.assertFalse(given().challenged(stale, *ORIGIN).retry)
        self.assertFalse(self.answered("Basic realm=r").challenged(stale, *ORIGIN).retry)


@with_cases
class SuccessTests(AuthenticatorCase):
    """What is kept of it."""

    def succeed(
        self, storage: Optional[CredentialStorage], credential: Credential, status: int = 101, *info: str, **others: Any
    ) -> Authenticator:
        authenticator = Authenticator(storage=storage, **others)
        proxy = bool(others.get("is_proxy"))
        authenticator.authorization("GET", "/", *ORIGIN)
        found = authenticator.challenged(refusal(DIGEST, "Bearer", proxy=proxy), *ORIGIN)
        authenticator.use(found.challenges[-1 if credential.scheme else 0], credential)
        authenticator.authorization("GET", "/", *ORIGIN)
        name = "Proxy-Authentication-Info" if proxy else "Authentication-Info"
        authenticator.succeeded(response(status, *((name, value) for value in info)))
        return authenticator

    @cases(
        none=(Credential("user", "x", CredentialPersistence.NONE), False),
        for_session=(Credential("user", "x"), True),
        permanent=(Credential("user", "x", CredentialPersistence.PERMANENT), True),
        synchronizable=(Credential("user", "x", CredentialPersistence.SYNCHRONIZABLE), False),
        token=(Credential.token("Bearer", "x"), False),
    )
    def test_persistence(self, credential: Credential, stored: bool) -> None:
        """Rule 75: a credential that led to a 101 is stored as it wants to be."""
        storage = CredentialStorage()
        self.succeed(storage, credential)
        expected = {space("Digest", "r"): {credential.user: credential}} if stored else {}
        self.assertEqual(storage.all_credentials, expected)
        self.succeed(None, credential)

    @cases(redirect=302, refusal=403, upgrade=426)
    def test_what_led_to_something_else(self, status: int) -> None:
        """Rule 75: it is not stored; nor is one that failed."""
        storage = CredentialStorage()
        authenticator = self.succeed(storage, USER, status)
        self.ask(authenticator, DIGEST)
        self.assertEqual(storage.all_credentials, {})

    def test_a_proxys(self) -> None:
        """Rules 75 and 77: what led to a tunnel is stored, for the proxy."""
        storage = CredentialStorage()
        self.succeed(storage, USER, 200, is_proxy=True)
        self.assertEqual(storage.all_credentials, {space("Digest", "r", is_proxy=True): {"user": USER}})

    def test_without_an_answer(self) -> None:
        """Rule 75: nothing was shown, so nothing is kept; and one success is noted once."""
        storage = CredentialStorage()
        authenticator = given(storage=storage)
        authenticator.succeeded(response(101))
        self.assertEqual(storage.all_credentials, {})
        authenticator = self.succeed(storage, USER)
        storage.clear()
        authenticator.succeeded(response(101))
        self.assertEqual(storage.all_credentials, {})

    def test_a_later_task(self) -> None:
        """Rule 76: it has the stored credential proposed after its own 401, and sends nothing before."""
        storage = CredentialStorage()
        self.succeed(storage, USER)
        later = Authenticator(storage=storage)
        self.assertIsNone(self.value(later))
        (challenge,) = later.challenged(refusal(DIGEST), *ORIGIN).challenges
        self.assertEqual(challenge.proposed_credential, USER)

    def test_the_next_nonce(self) -> None:
        """Rule 74: the next request of the task has it, counted from one."""
        authenticator = self.succeed(None, USER, 302, 'nextnonce="next", qop=auth', "nc=00000001")
        self.assertEqual(self.nonce_and_count(authenticator), ("next", "00000001"))
        proxy = self.succeed(None, USER, 200, "nextnonce=next", is_proxy=True)
        self.assertEqual(self.nonce_and_count(proxy), ("next", "00000001"))

    @cases(none=(), broken=('nextnonce="n',), without=("qop=auth",), twice=("nextnonce=a", "nextnonce=b"))
    def test_no_next_nonce(self, *info: str) -> None:
        """Rule 74: the old one is used and counted on."""
        authenticator = self.succeed(None, USER, 302, *info)
        self.assertEqual(self.nonce_and_count(authenticator), ("n", "00000002"))

    def test_one_of_basic(self) -> None:
        """Rule 75: what is said of nonces does not concern it."""
        storage = CredentialStorage()
        authenticator = given(storage=storage)
        (challenge,) = self.ask(authenticator, "Basic realm=r").challenges
        authenticator.use(challenge, USER)
        self.value(authenticator)
        authenticator.succeeded(response(101, ("Authentication-Info", "nextnonce=n")))
        self.assertEqual((storage.credentials(space("Basic", "r")), self.value(authenticator)), ({"user": USER}, BASIC))


class GivenTests(AuthenticatorCase):
    def test_nothing_given(self) -> None:
        """A URL without userinfo gives nothing, and takes nothing away."""
        authenticator = given()
        authenticator.give(None, *ORIGIN)
        self.assertEqual(self.ask(authenticator, DIGEST).challenges[0].proposed_credential, USER)

    def test_it_is_not_sent_unasked(self) -> None:
        """Rule 76: no password goes out before somebody wants one."""
        self.assertIsNone(self.value(given()))


if __name__ == "__main__":
    unittest.main()
