"""Tests of `wssync.auth.answers`: by the vectors of the RFCs, by the server's half, and by another client."""

from __future__ import annotations

import importlib.util
import itertools
import random
import re
import unittest
from typing import Any, Dict, List, Optional, Tuple
from unittest import mock

from tests.support import cases, with_cases
from wssync.auth import Credential, ServerTrust
from wssync.auth import answers as answers_module
from wssync.auth.answers import BasicOffer, DigestAnswer, DigestOffer, Offer, TokenOffer, offers_of
from wssync.protocol.challenges import parse_challenges
from wssync.protocol.headers import Headers
from wssync.testing.authentication import basic
from wssync.testing.verifying import DigestVerifier, Verdict

needs_requests = unittest.skipUnless(importlib.util.find_spec("requests"), "requests is not installed")
USER = Credential("user", "secret")


def offer_of(challenge: str) -> Offer:
    (found,) = offers_of([challenge])
    return found


def answer(challenge: str, credential: Credential = USER, target: str = "/", cnonce: Optional[str] = None) -> str:
    """The value of Authorization for a GET."""
    if cnonce is None:
        return offer_of(challenge).answer(credential).value("GET", target)
    with mock.patch.object(answers_module, "_make_cnonce", return_value=cnonce):
        return offer_of(challenge).answer(credential).value("GET", target)


def parameters(value: str) -> Dict[str, str]:
    (found,) = parse_challenges([value])
    return dict(found.parameters)


@with_cases
class BasicTests(unittest.TestCase):
    @cases(
        rfc_7617_section_2=("Aladdin", "open sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        rfc_7617_section_2_1=("test", "123\u00a3", "dGVzdDoxMjPCow=="),
        nothing=("", "", "Og=="),
        a_colon_in_the_password=("u", "a:b", "dTphOmI="),
        composed=("A\u030a", "o\u0308", "w4U6w7Y="),
        long=("u" * 60, "p", "dXV1" * 20 + "OnA="),
    )
    def test_values(self, user: str, password: str, expected: str) -> None:
        """Rule 73: base64 of UTF-8 in one line, with `charset` and without."""
        credential = Credential(user, password)
        for challenge in ('Basic realm="x"', 'Basic realm="x", charset="UTF-8"', "Basic"):
            self.assertEqual(answer(challenge, credential), f"Basic {expected}")

    def test_a_colon_in_the_user(self) -> None:
        """Rule 73: an error, that does not show the name."""
        with self.assertRaisesRegex(ValueError, "has no colon") as caught:
            answer("Basic realm=x", Credential("hidden:name", "p"))
        self.assertNotIn("hidden", str(caught.exception))
        self.assertFalse(offer_of("Basic realm=x").accepts(Credential("hidden:name", "p")))
        self.assertTrue(offer_of("Basic realm=x").accepts(USER))

    def test_the_servers_half_agrees(self) -> None:
        """Rule 73: whatever the password is."""
        dice = random.Random(7)
        for _ in range(200):
            user, password = (text(dice) for _ in range(2))
            judge = basic(user.replace(":", ""), password, realm=text(dice))
            found = answer(judge.challenge(), Credential(judge.user, password))
            self.assertEqual(judge.judge([found], "GET", "/"), Verdict())


def text(dice: random.Random) -> str:
    return "".join(dice.choices('abc XYZ:,="\\\u00e9\u20ac\u0301\U0001f511', k=dice.randrange(10)))


@with_cases
class VectorTests(unittest.TestCase):
    @cases(
        MD5=("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        SHA_256=("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    )
    def test_rfc_7616_section_3_9_1(self, algorithm: str, expected: str) -> None:
        """Rule 74: both answers of the example, in all their parameters."""
        challenge = (
            f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, '
            'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
            'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
        )
        found = answer(
            challenge,
            Credential("Mufasa", "Circle of Life"),
            "/dir/index.html",
            "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        )
        self.assertEqual(
            found,
            'Digest username="Mufasa", realm="http-auth@example.org", '
            'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", uri="/dir/index.html", '
            f'algorithm={algorithm}, opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS", qop=auth, nc=00000001, '
            f'cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", response="{expected}"',
        )

    def test_rfc_7616_section_3_9_2(self) -> None:
        """Rule 74: SHA-512/256, UTF-8 and userhash; the numbers are those of erratum 4897."""
        challenge = (
            'Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, '
            'nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", '
            'opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8, userhash=true'
        )
        if not offers_of([challenge]):
            self.skipTest("the OpenSSL of this Python lacks SHA-512/256")
        found = answer(
            challenge,
            Credential("J\u00e4s\u00f8n Doe", "Secret, or not?"),
            "/doe.json",
            "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
        )
        self.assertEqual(
            found,
            'Digest username="793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b", userhash=true, '
            'realm="api@example.org", nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", uri="/doe.json", '
            'algorithm=SHA-512-256, opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", qop=auth, nc=00000001, '
            'cnonce="NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v", '
            'response="3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"',
        )

    def test_rfc_2617_section_3_5(self) -> None:
        """Rule 74: no algorithm named, so none is named back."""
        found = answer(
            'Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", '
            'opaque="5ccc069c403ebaf9f0171e9517f40e41"',
            Credential("Mufasa", "Circle Of Life"),
            "/dir/index.html",
            "0a4f113b",
        )
        self.assertEqual(
            found,
            'Digest username="Mufasa", realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", '
            'uri="/dir/index.html", opaque="5ccc069c403ebaf9f0171e9517f40e41", qop=auth, nc=00000001, '
            'cnonce="0a4f113b", response="6629fae49393a05397450978507c4ef1"',
        )

    def test_rfc_2069_section_2_4(self) -> None:
        """Rule 74: without qop, so without nc and cnonce; the response is that of erratum 749."""
        found = answer(
            'Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", '
            'opaque="5ccc069c403ebaf9f0171e9517f40e41"',
            Credential("Mufasa", "CircleOfLife"),
            "/dir/index.html",
        )
        self.assertEqual(
            found,
            'Digest username="Mufasa", realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", '
            'uri="/dir/index.html", opaque="5ccc069c403ebaf9f0171e9517f40e41", '
            'response="1949323746fe6a43ef61f9606e7febea"',
        )


@with_cases
class DigestTests(unittest.TestCase):
    def test_the_servers_half_agrees(self) -> None:
        """Rule 74: every algorithm, with qop and without, with userhash and without, whatever the names are."""
        dice = random.Random(8)
        names = ("MD5", "SHA-256", "SHA-512-256", "MD5-sess", "SHA-256-sess", "SHA-512-256-sess")
        for name, qop, userhash in itertools.product(names, ("auth", None), (True, False)):
            if qop is None and name.endswith("-sess"):
                continue
            for _ in range(8):
                user, password, realm, opaque = (text(dice) for _ in range(4))
                try:
                    judge = DigestVerifier(user, password, realm, name, qop, userhash, opaque=opaque.strip() or None)
                except ValueError:
                    self.skipTest(f"the OpenSSL of this Python lacks {name}")
                # Over the wire and back: a field of a request must take it.
                (challenge,) = Headers({"WWW-Authenticate": judge.challenge()}).get_all("WWW-Authenticate")
                given = offer_of(challenge).answer(Credential(user, password))
                for target in ("/", "/a?b=c", "/x%22y"):
                    (value,) = Headers({"Authorization": given.value("GET", target)}).get_all("Authorization")
                    self.assertEqual(judge.judge([value], "GET", target), Verdict())
                wrong = offer_of(judge.challenge()).answer(Credential(user, password + "x")).value("GET", "/")
                self.assertRegex(judge.judge([wrong], "GET", "/").reason or "right", "response is wrong")

    @needs_requests
    @cases((name, name) for name in ("none", "MD5", "SHA-256", "MD5-sess"))
    def test_another_client_agrees(self, algorithm: str) -> None:
        """Rule 74: `requests` gives the same answer."""
        import requests.auth

        for qop, opaque in itertools.product((', qop="auth"', ', qop="auth-int,auth"', ""), ("", ', opaque="o"')):
            named = "" if algorithm == "none" else f", algorithm={algorithm}"
            challenge = f'Digest realm="the realm", nonce="n1"{named}{qop}{opaque}'
            theirs = requests.auth.HTTPDigestAuth("user", "secret")
            theirs.init_per_thread_state()
            theirs._thread_local.chal = parameters(challenge)
            if algorithm == "MD5-sess" and not qop:
                continue  # there is no right answer (RFC 7616 section 3.4)
            expected = parameters(theirs.build_digest_header("GET", "http://h/path?x=y") or "")
            ours = parameters(answer(challenge, USER, "/path?x=y", expected.get("cnonce", "unused")))
            self.assertEqual(ours, expected)

    def test_counting(self) -> None:
        """Rule 74: nc counts the uses of the nonce in eight hexadecimal digits, with a fresh cnonce each time."""
        given = offer_of('Digest realm=r, nonce=n, qop="auth"').answer(USER)
        values = [parameters(given.value("GET", "/")) for _ in range(17)]
        self.assertEqual([value["nc"] for value in values][:2], ["00000001", "00000002"])
        self.assertEqual(values[-1]["nc"], "00000011")
        cnonces = {value["cnonce"] for value in values}
        self.assertEqual(len(cnonces), 17)
        self.assertTrue(all(re.fullmatch("[0-9a-f]{32}", cnonce) for cnonce in cnonces))

    def test_a_nonce_that_comes_again(self) -> None:
        """Rule 74: its uses go on being counted, whatever the credential; those of another begin anew."""
        first = offer_of("Digest realm=r, nonce=n, qop=auth").answer(USER)
        first.value("GET", "/")
        again = offer_of("Digest realm=r, nonce=n, qop=auth").answer(Credential("other", "x"), first)
        self.assertEqual(parameters(again.value("GET", "/"))["nc"], "00000002")
        fresh = offer_of("Digest realm=r, nonce=m, qop=auth").answer(USER, first)
        self.assertEqual(parameters(fresh.value("GET", "/"))["nc"], "00000001")
        behind_basic = offer_of("Digest realm=r, nonce=n, qop=auth").answer(USER, offer_of("Basic").answer(USER))
        self.assertEqual(parameters(behind_basic.value("GET", "/"))["nc"], "00000001")

    def test_the_next_nonce(self) -> None:
        """Rule 74: it is used from then on and counted from one; the one in use changes nothing."""
        given = offer_of("Digest realm=r, nonce=n, qop=auth").answer(USER)
        assert isinstance(given, DigestAnswer)
        given.value("GET", "/")
        given.take_next_nonce("n")
        self.assertEqual(parameters(given.value("GET", "/"))["nc"], "00000002")
        given.take_next_nonce('m"')
        found = parameters(given.value("GET", "/"))
        self.assertEqual((found["nonce"], found["nc"]), ('m"', "00000001"))

    def test_a_session_keeps_its_cnonce(self) -> None:
        """Rule 74: with "-sess" the key has the first cnonce in it; later requests have the same one, and no other
        session has.
        """
        judge = DigestVerifier("user", "secret", algorithm="MD5-sess")
        given = offer_of(judge.challenge()).answer(USER)
        values = [given.value("GET", "/") for _ in range(3)]
        self.assertEqual([judge.judge([value], "GET", "/") for value in values], [Verdict()] * 3)
        self.assertEqual(len({parameters(value)["cnonce"] for value in values}), 1)
        other = parameters(offer_of(judge.challenge()).answer(USER).value("GET", "/"))
        self.assertNotEqual(other["cnonce"], parameters(values[0])["cnonce"])

    @cases(
        ascii=("user", "", 'username="user"'),
        quotes=('a"b\\', "", r'username="a\"b\\"'),
        bare=("J\u00e4s\u00f8n", "", 'username="J\xc3\xa4s\xc3\xb8n"'),
        extended=("J\u00e4s\u00f8n Doe!'*", ", charset=utf-8", "username*=UTF-8''J%C3%A4s%C3%B8n%20Doe!%27%2A"),
        ascii_that_could_be_extended=("user", ", charset=UTF-8", 'username="user"'),
        another_charset=("\u00e4", ", charset=latin1", 'username="\xc3\xa4"'),
        no_hash=("\u00e4", ", charset=UTF-8, userhash=false", "username*=UTF-8''%C3%A4"),
    )
    def test_user_names(self, user: str, offered: str, expected: str) -> None:
        """Rule 74: as a quoted string, extended where UTF-8 is spoken and it is needed (RFC 7616 section 3.4)."""
        found = answer(f"Digest realm=r, nonce=n{offered}", Credential(user, "p"))
        self.assertTrue(found.startswith(f"Digest {expected}, realm="), found)

    @cases(
        no_realm="Digest nonce=n",
        no_nonce="Digest realm=r",
        unknown_algorithm="Digest realm=r, nonce=n, algorithm=SHA-1",
        empty_algorithm='Digest realm=r, nonce=n, algorithm=""',
        bodies="Digest realm=r, nonce=n, qop=auth-int",
        unknown_qop='Digest realm=r, nonce=n, qop="future, auth-int"',
        session_without_qop="Digest realm=r, nonce=n, algorithm=MD5-sess",
        token="Digest abc",
    )
    def test_what_is_skipped(self, challenge: str) -> None:
        """Rule 74: what cannot be answered is no offer, and the rest is."""
        self.assertEqual([type(offer) for offer in offers_of([challenge, "Basic realm=r"])], [BasicOffer])

    @cases(
        spaces=('qop=" auth-int ,\tAUTH "', "auth"),
        empty=('qop=""', None),
        commas=('qop=" , "', None),
    )
    def test_lists_of_qop(self, offered: str, expected: Optional[str]) -> None:
        """Rule 74: in any order and case; an empty list is none."""
        found = parameters(answer(f"Digest realm=r, nonce=n, {offered}"))
        self.assertEqual(found.get("qop"), expected)

    def test_what_the_server_says_stays_in_its_quotes(self) -> None:
        """Rule 74: realm, nonce and opaque are returned as they came, and can be nothing else than that."""
        nasty = 'a", uri="/admin\\'
        quoted = nasty.replace("\\", "\\\\").replace('"', '\\"')
        found = answer(f'Digest realm="{quoted}", nonce="{quoted}", opaque="{quoted}", qop=auth, algorithm="md5"')
        values = parameters(found)
        self.assertEqual([values[name] for name in ("realm", "nonce", "opaque")], [nasty] * 3)
        self.assertEqual((values["uri"], values["algorithm"]), ("/", "md5"))
        Headers({"Authorization": found})

    def test_octets_are_returned_as_octets(self) -> None:
        """Rule 74: a realm in UTF-8 and one in Latin-1 are hashed and sent as they came; text is for reading."""
        for octets, readable in (("J\xc3\xa4", "J\u00e4"), ("J\xe4", "J\u00e4")):
            offer = offer_of(f'Digest realm="{octets}", nonce=n')
            self.assertEqual(offer.realm, readable)
            value = offer.answer(USER).value("GET", "/")
            self.assertEqual(parameters(value)["realm"], octets)


@with_cases
class OfferTests(unittest.TestCase):
    @cases(
        hashes=(
            [
                "Basic realm=a",
                "Digest realm=a, nonce=n, algorithm=MD5",
                "Digest realm=b, nonce=n, algorithm=SHA-256",
                "Bearer",
                "Digest realm=c, nonce=n, algorithm=SHA-512-256",
                "Negotiate",
                "Digest realm=d, nonce=n, algorithm=SHA-256-sess, qop=auth",
            ],
            [
                ("Digest", "c"),
                ("Digest", "b"),
                ("Digest", "d"),
                ("Digest", "a"),
                ("Basic", "a"),
                ("Bearer", None),
                ("Negotiate", None),
            ],
        ),
        one_question=(
            [
                "Digest realm=a, nonce=1, algorithm=MD5",
                "Digest realm=b, nonce=2",
                "digest realm=a, nonce=3, algorithm=SHA-256",
            ],
            [("digest", "a"), ("Digest", "b")],
        ),
        one_field=(['Basic realm="b", Digest realm="d", nonce=x'], [("Digest", "d"), ("Basic", "b")]),
        nothing=([], []),
    )
    def test_the_strongest_first(self, challenges: List[str], expected: List[Tuple[str, Optional[str]]]) -> None:
        """Rule 64: by hash, then Basic, then what is not known here; one offer for each question."""
        self.assertEqual([(offer.scheme, offer.realm) for offer in offers_of(challenges)], expected)

    def test_tokens(self) -> None:
        """Only one of the same scheme, in any case, answers an unknown scheme, or stands in for Basic."""
        self.assertEqual(answer("bearer realm=x", Credential.token("Bearer", "abc")), "Bearer abc")
        self.assertEqual(answer("Basic realm=x", Credential.token("basic", "abc=")), "basic abc=")
        for challenge, credential, message in (
            ("Bearer", USER, r"only Credential.token\('Bearer', ...\) answers Bearer"),
            ("Bearer", Credential.token("Negotiate", "secret"), "a token for Negotiate does not answer Bearer"),
            ("Basic", Credential.token("Bearer", "secret"), "does not answer Basic"),
            ("Digest realm=x, nonce=n", Credential.token("Digest", "secret"), "a user name and a password"),
            ("Digest realm=x, nonce=n", Credential.identity("c", None, "secret"), "a user name and a password"),
            ("Basic", Credential.for_trust(ServerTrust("h", 1, (b"secret",))), "a user name and a password"),
            ("Basic", Credential.identity("c", None, "secret"), "a user name and a password"),
        ):
            with self.assertRaisesRegex(ValueError, message) as caught:
                offer_of(challenge).answer(credential)
            self.assertNotIn("secret", str(caught.exception))
        self.assertIs(type(offer_of("Negotiate abc")), TokenOffer)

    def test_no_secret_is_shown(self) -> None:
        """Neither by an offer nor by an answer."""
        for challenge, credential in (
            ("Basic realm=x", USER),
            ("Digest realm=x, nonce=n", USER),
            ("Bearer", Credential.token("Bearer", "secret")),
        ):
            offer = offer_of(challenge)
            shown = f"{offer!r} {offer.answer(credential)!r}"
            self.assertNotIn("secret", shown)
            self.assertNotIn("dXNlcjpzZWNyZXQ", shown)

    def test_stale(self) -> None:
        """Rule 74: the flag is read in any case."""
        for flag, expected in (("TRUE", True), ('"true"', True), ("false", False), ("1", False)):
            offer: Any = offer_of(f"Digest realm=r, nonce=n, stale={flag}")
            self.assertIsInstance(offer, DigestOffer)
            self.assertEqual(offer.is_stale, expected)


if __name__ == "__main__":
    unittest.main()
