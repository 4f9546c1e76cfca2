"""Tests of `wssync.testing.verifying`: by the vectors of the RFCs, and by what a client can get wrong."""

from __future__ import annotations

import hashlib
import itertools
import unittest
from typing import Any, Dict, List, Optional
from unittest import mock

from tests.support import cases, with_cases
from wssync.testing.verifying import DigestVerifier, Refused, Verdict, find_credentials

RIGHT = Verdict()


def fixed(nonce: str) -> Any:
    return lambda: nonce


def h(algorithm: str, *parts: str) -> str:
    """The hash of RFC 7616, calculated once more: the tests' own client."""
    name = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}[algorithm]
    return hashlib.new(name, ":".join(parts).encode()).hexdigest()


def answer(verifier: DigestVerifier, nonce: str, /, **changes: Optional[str]) -> str:
    """Right credentials for a GET of "/", but for the `changes`; `None` leaves a parameter out.

    Some changes are none of parameters: the `method`, the `password`, and the `first_cnonce` of a session.
    """
    algorithm = verifier.algorithm.replace("-sess", "")
    values: Dict[str, Optional[str]] = {
        "username": verifier.user,
        "realm": verifier.realm,
        "nonce": nonce,
        "uri": "/",
        "algorithm": verifier.algorithm,
        "opaque": verifier.opaque,
    }
    if verifier.qop is not None:
        values.update(qop="auth", nc="00000001", cnonce="client")
    others = ("method", "password", "first_cnonce")
    values.update({name: value for name, value in changes.items() if name not in others})
    secret = h(algorithm, verifier.user, verifier.realm, changes.get("password") or verifier.password)
    if verifier.algorithm.endswith("-sess"):
        secret = h(algorithm, secret, nonce, changes.get("first_cnonce") or values["cnonce"] or "")
    what = h(algorithm, changes.get("method") or "GET", values["uri"] or "")
    between = [values[name] or "" for name in ("nonce", "nc", "cnonce", "qop") if name in values]
    values.setdefault("response", h(algorithm, secret, *between, what))
    return "Digest " + ", ".join(f'{name}="{value}"' for name, value in values.items() if value is not None)


class DigestCase(unittest.TestCase):
    def ask(self, **choices: Any) -> DigestVerifier:
        """A verifier of "user" and "secret" whose nonces are n1, n2, and so on; n1 is given out."""
        numbers = itertools.count(1)
        verifier = DigestVerifier("user", "secret", make_nonce=lambda: f"n{next(numbers)}", **choices)
        verifier.challenge()
        return verifier

    def judge(self, verifier: DigestVerifier, *values: str) -> Verdict:
        return verifier.judge(values, "GET", "/")

    def assertRefused(self, verdict: Verdict, reason: str) -> None:
        self.assertRegex(verdict.reason or "right", reason)
        self.assertFalse(verdict.stale)


@with_cases
class VectorTests(unittest.TestCase):
    """What the RFCs print."""

    MUFASA = (
        'Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", algorithm={}, '
        'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001, '
        'cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth, response="{}", '
        'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )
    DOE = (
        'Digest {}, realm="api@example.org", uri="/doe.json", algorithm=SHA-512-256, '
        'nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", nc=00000001, '
        'cnonce="NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v", qop=auth, response="{}", '
        'opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", userhash={}'
    )

    @cases(
        MD5=("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        SHA_256=("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    )
    def test_rfc_7616_section_3_9_1(self, algorithm: str, response: str) -> None:
        """Its credentials are right, for that method and target, and for no other response."""
        verifier = DigestVerifier(
            "Mufasa",
            "Circle of Life",
            realm="http-auth@example.org",
            algorithm=algorithm,
            opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
            make_nonce=fixed("7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"),
        )
        challenge = verifier.challenge()
        self.assertEqual(
            challenge,
            'Digest realm="http-auth@example.org", nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
            f'algorithm={algorithm}, qop="auth", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS", charset=UTF-8',
        )
        other = f"{int(response[0], 16) ^ 1:x}{response[1:]}"
        wrong = verifier.judge([self.MUFASA.format(algorithm, other)], "GET", "/dir/index.html")
        self.assertIn("response", wrong.reason or "")
        right = self.MUFASA.format(algorithm, response)
        self.assertIn("response", verifier.judge([right], "HEAD", "/dir/index.html").reason or "")
        self.assertIn("uri", verifier.judge([right], "GET", "/dir/other.html").reason or "")
        self.assertEqual(verifier.judge([right], "GET", "/dir/index.html"), RIGHT)

    @cases(
        hashed=('username="793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"', "true"),
        extended=("username*=UTF-8''J%C3%A4s%C3%B8n%20Doe", "false"),
        bare=('username="JÃ¤sÃ¸n Doe"', "false"),
    )
    def test_rfc_7616_section_3_9_2(self, username: str, userhash: str) -> None:
        """A name beyond ASCII in all its forms.

        The hashes printed there are SHA-512 cut in half; these are SHA-512/256, as erratum 4897 has them. The third
        form, bare UTF-8 in the quoted string, is not in the RFC, but it is what curl sends.
        """
        verifier = DigestVerifier(
            "Jäsøn Doe",
            "Secret, or not?",
            realm="api@example.org",
            algorithm="SHA-512-256",
            userhash=True,
            opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS",
            make_nonce=fixed("5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK"),
        )
        self.assertTrue(verifier.challenge().endswith(", charset=UTF-8, userhash=true"))
        response = "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"
        given = self.DOE.format(username, response, userhash)
        self.assertEqual(verifier.judge([given], "GET", "/doe.json"), RIGHT)

    def test_rfc_2617_section_3_5(self) -> None:
        """The example that everybody knows, without the quotes that RFC 7616 dropped."""
        verifier = DigestVerifier(
            "Mufasa",
            "Circle Of Life",
            realm="testrealm@host.com",
            algorithm="MD5",
            opaque="5ccc069c403ebaf9f0171e9517f40e41",
            make_nonce=fixed("dcd98b7102dd2f0e8b11d0f600bfb0c093"),
        )
        verifier.challenge()
        given = (
            'Digest username="Mufasa", realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", '
            'uri="/dir/index.html", qop=auth, nc=00000001, cnonce="0a4f113b", '
            'response="6629fae49393a05397450978507c4ef1", opaque="5ccc069c403ebaf9f0171e9517f40e41"'
        )
        self.assertEqual(verifier.judge([given], "GET", "/dir/index.html"), RIGHT)

    def test_rfc_2069_section_2_4(self) -> None:
        """The oldest form, without qop; the response is the one of erratum 749."""
        verifier = DigestVerifier(
            "Mufasa",
            "CircleOfLife",
            realm="testrealm@host.com",
            algorithm="MD5",
            qop=None,
            opaque="5ccc069c403ebaf9f0171e9517f40e41",
            make_nonce=fixed("dcd98b7102dd2f0e8b11d0f600bfb0c093"),
        )
        self.assertNotIn("qop", verifier.challenge())
        given = (
            'Digest username="Mufasa", realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", '
            'uri="/dir/index.html", response="1949323746fe6a43ef61f9606e7febea", '
            'opaque="5ccc069c403ebaf9f0171e9517f40e41"'
        )
        self.assertEqual(verifier.judge([given], "GET", "/dir/index.html"), RIGHT)
        self.assertEqual(verifier.judge([given], "GET", "/dir/index.html"), RIGHT)


@with_cases
class CredentialsTests(DigestCase):
    """Each parameter is checked, and the reason names it."""

    @cases((algorithm, algorithm) for algorithm in ("MD5", "SHA-256", "SHA-512-256", "MD5-sess", "SHA-256-sess"))
    def test_right_ones(self, algorithm: str) -> None:
        """They pass with every algorithm, once for each count; the tests' own client agrees with the RFC's vectors."""
        verifier = self.ask(algorithm=algorithm)
        for number in (1, 2, 0x1F):
            self.assertEqual(self.judge(verifier, answer(verifier, "n1", nc=f"{number:08x}")), RIGHT)

    def test_another_password(self) -> None:
        """The response is wrong, and the reason does not say what it should have been."""
        verifier = self.ask()
        verdict = self.judge(verifier, answer(verifier, "n1", password="guess"))
        self.assertRefused(verdict, "response is wrong")
        self.assertNotIn("secret", str(verdict))

    @cases(
        realm=({"realm": "other"}, "realm is not the one of the challenge"),
        opaque=({"opaque": "other"}, "opaque is not"),
        qop=({"qop": "auth-int"}, "qop is not"),
        algorithm=({"algorithm": "MD5"}, "algorithm is not"),
        no_algorithm=({"algorithm": None}, "algorithm is not"),
        nonce=({"nonce": "n2"}, "nonce is none of this server's"),
        uri=({"uri": "/other"}, "uri is not the target"),
        user=({"username": "User"}, "not the user"),
        hash_that_was_not_offered=({"userhash": "true"}, "userhash was not offered"),
        hash_that_is_no_boolean=({"userhash": "yes"}, "userhash is true or false"),
        response=({"response": "0" * 64}, "response is wrong"),
        response_in_upper_case=({"response": "upper"}, "response is wrong"),
        response_in_other_letters=({"response": "ü" * 64}, "response is wrong"),
        count=({"nc": "1"}, "nc is not eight"),
        count_in_upper_case=({"nc": "0000000A"}, "nc is not eight"),
        count_of_nothing=({"nc": "00000000"}, "nc has not grown"),
    )
    def test_a_wrong_one(self, changes: Dict[str, str], reason: str) -> None:
        """Whatever it is, the rest being right."""
        verifier = self.ask()
        if changes.get("response") == "upper":
            given = answer(verifier, "n1")
            response = given.partition('response="')[2].partition('"')[0]
            given = given.replace(response, response.upper())
        else:
            given = answer(verifier, "n1", **changes)
        self.assertRefused(self.judge(verifier, given), reason)
        self.assertEqual(self.judge(verifier, answer(verifier, "n1")), RIGHT)

    @cases((name, name) for name in ("realm", "nonce", "uri", "response", "qop", "nc", "cnonce", "opaque"))
    def test_one_that_is_missing(self, name: str) -> None:
        """It is named."""
        verifier = self.ask()
        self.assertRefused(self.judge(verifier, answer(verifier, "n1", **{name: None})), f"^{name} is missing$")

    def test_no_algorithm_is_md5(self) -> None:
        """RFC 7616 section 3.3; and its name has no case."""
        verifier = self.ask(algorithm="MD5")
        self.assertEqual(self.judge(verifier, answer(verifier, "n1", algorithm=None)), RIGHT)
        self.assertEqual(self.judge(verifier, answer(verifier, "n1", algorithm="md5", nc="00000002")), RIGHT)

    def test_no_opaque(self) -> None:
        """Where none was sent, none is needed."""
        verifier = self.ask(opaque=None)
        self.assertNotIn("opaque", verifier.challenge())
        self.assertEqual(self.judge(verifier, answer(verifier, "n1")), RIGHT)

    def test_the_form_of_rfc_2069(self) -> None:
        """What belongs to qop is wrong where none was offered (RFC 2617 section 3.2.2)."""
        verifier = self.ask(qop=None)
        for name in ("qop", "nc", "cnonce"):
            given = answer(verifier, "n1") + f", {name}=auth"
            self.assertRefused(self.judge(verifier, given), f"{name} is given, but no qop was offered")
        self.assertEqual(self.judge(verifier, answer(verifier, "n1")), RIGHT)

    def test_exactly_one_name(self) -> None:
        """Neither none nor two, and an extended one only in UTF-8 and not hashed (RFC 7616 section 3.4)."""
        verifier = self.ask(userhash=True)
        both = answer(verifier, "n1") + ", username*=UTF-8''user"
        without = answer(verifier, "n1", username=None)
        for given in (both, without):
            self.assertRefused(self.judge(verifier, given), r"either username or username\*")
        self.assertRefused(self.judge(verifier, without + ", username*=UTF-8''us%65r, userhash=true"), "userhash")
        for wrong in ("ISO-8859-1''user", "UTF-8'user", "UTF-8''us%6", "UTF-8''us%zz"):
            self.assertRefused(self.judge(verifier, f'{without}, username*="{wrong}"'), "no UTF-8")
        self.assertRefused(self.judge(verifier, without + ", username*=UTF-8''%FF"), "not the user")
        self.assertEqual(self.judge(verifier, without + ", username*=utf-8'en'us%65r"), RIGHT)

    def test_a_hashed_name(self) -> None:
        """Offered, it may be sent hashed, or not; a hash of another name is another user."""
        verifier = self.ask(userhash=True, algorithm="MD5")
        name = h("MD5", "user", "wssync")
        self.assertEqual(self.judge(verifier, answer(verifier, "n1", username=name, userhash="true")), RIGHT)
        self.assertEqual(self.judge(verifier, answer(verifier, "n1", nc="00000002", userhash="False")), RIGHT)
        for wrong in ("user", h("MD5", "other", "wssync"), name.upper()):
            given = answer(verifier, "n1", username=wrong, userhash="true", nc="00000003")
            self.assertRefused(self.judge(verifier, given), "not the user")

    def test_names_in_normalization_form_c(self) -> None:
        """However this side wrote it, the client's is compared in form C (RFC 7616 section 4), in UTF-8 only."""
        verifier = DigestVerifier("A\u030angstro\u0308m", "p\u0308", make_nonce=fixed("n1"))
        composed = DigestVerifier("\u00c5ngstr\u00f6m", "p\u0308")
        verifier.challenge()
        sent = answer(composed, "n1").encode().decode("latin-1")
        self.assertEqual(self.judge(verifier, sent), RIGHT)
        in_latin_1 = answer(composed, "n1", nc="00000002")
        self.assertRefused(self.judge(verifier, in_latin_1), "not the user")

    def test_quotes_in_names(self) -> None:
        """They are escaped in the challenge and unescaped in the credentials."""
        verifier = DigestVerifier('a "b" \\c', "secret", realm='the "realm" \\', make_nonce=fixed("n1"))
        self.assertIn(r'realm="the \"realm\" \\"', verifier.challenge())
        given = answer(verifier, "n1")
        given = given.replace('a "b" \\c', r"a \"b\" \\c").replace('the "realm" \\', r"the \"realm\" \\")
        self.assertEqual(self.judge(verifier, given), RIGHT)


@with_cases
class GrammarTests(DigestCase):
    """Credentials that are no credentials are refused, and raise nothing."""

    @cases(
        nothing=([], "there are no credentials"),
        two_fields=(["Digest a=1", "Digest a=1"], "two fields"),
        empty=([""], "malformed"),
        no_scheme=(['"Digest" a=1'], "malformed"),
        another_scheme=(["Basic dTpw"], "the credentials are Basic, not Digest"),
        scheme_and_comma=(["Digest,a=1"], "malformed"),
        scheme_alone=(["Digest"], "is missing"),
        commas_alone=(["Digest ,"], "malformed"),
        twice=(['Digest realm="a", REALM="a"'], "realm is given twice"),
        open_quote=(['Digest realm="a'], "malformed at character 0"),
        open_escape=(['Digest realm="a\\"'], "malformed"),
        text_behind_a_quote=(['Digest realm="a"b'], "malformed"),
        no_comma=(['Digest realm="a" nonce="b"'], "malformed"),
        no_value=(["Digest nonce=b, realm="], "malformed at character 9"),
        no_name=(["Digest =a"], "malformed"),
        no_equals_sign=(["Digest realm"], "malformed"),
        token68=(["Digest dTpw="], "malformed"),
        not_ascii=(["Digest r\xe9alm=a"], "malformed"),
        not_ascii_token=(["Digest realm=\xe9"], "malformed"),
        not_ascii_scheme=(["\xd0\xb4 realm=a"], "malformed"),
    )
    def test_malformed_ones(self, values: List[str], reason: str) -> None:
        """Each has its reason."""
        self.assertRefused(self.judge(self.ask(), *values), reason)

    @cases(
        tokens=('="n1"', "=n1"),
        blanks=("=", " =\t "),
        commas=(", ", " ,\t,,"),
        escapes=('"user"', r'"\u\s\e\r"'),
        scheme=("Digest ", "dIGEST   "),
        names=("nonce", "NONCE"),
        a_comma_first=("Digest ", "Digest , "),
        a_comma_last=('opaque="to be returned"', 'opaque="to be returned" , '),
        unknown_parameters=("Digest ", 'Digest charset=UTF-8, x="a=b, \\"c", '),
    )
    def test_unusual_but_well_formed_ones(self, usual: str, unusual: str) -> None:
        """RFC 9110 sections 5.6 and 11.4 allow them."""
        verifier = self.ask()
        given = answer(verifier, "n1")
        self.assertIn(usual, given)
        self.assertEqual(self.judge(verifier, given.replace(usual, unusual)), RIGHT)

    def test_a_long_one_takes_no_time(self) -> None:
        """What would be slow by backtracking is read in linear time."""
        for text in ('a="' + "\\" * 100_000, "a=b" + " " * 100_000 + "c", ", " * 100_000, "a" * 100_000):
            self.assertRefused(self.judge(self.ask(), "Digest " + text), "malformed")

    def test_the_rest_behind_the_scheme(self) -> None:
        """For other schemes too."""
        self.assertEqual(find_credentials(["basic  dTpw"], "Basic"), "dTpw")
        with self.assertRaisesRegex(Refused, "Bearer"):
            find_credentials(["Bearer dTpw"], "Basic")


class NonceTests(DigestCase):
    """What becomes of a nonce."""

    def test_a_count_must_grow(self) -> None:
        """The same once more, or a smaller one, is a replay; each nonce is counted for itself."""
        verifier = self.ask()
        verifier.challenge()
        for nonce in ("n1", "n2"):
            self.assertEqual(self.judge(verifier, answer(verifier, nonce, nc="00000005")), RIGHT)
            for count in ("00000005", "00000004"):
                verdict = self.judge(verifier, answer(verifier, nonce, nc=count))
                self.assertRefused(verdict, "nc has not grown: this is a replay")
            self.assertEqual(self.judge(verifier, answer(verifier, nonce, nc="00000006")), RIGHT)

    def test_a_wrong_answer_uses_nothing(self) -> None:
        """Neither the count nor the uses, nor the session's cnonce."""
        verifier = self.ask(uses=1, algorithm="MD5-sess")
        wrong = answer(verifier, "n1", password="guess", cnonce="a", nc="00000009")
        self.assertRefused(self.judge(verifier, wrong), "response")
        self.assertEqual(self.judge(verifier, answer(verifier, "n1", cnonce="b")), RIGHT)

    def test_one_that_was_used_up_is_stale(self) -> None:
        """Only for a client that has the password; a replay stays a replay. The next nonce is good again."""
        verifier = self.ask(uses=2)
        for count in ("00000001", "00000002"):
            self.assertEqual(self.judge(verifier, answer(verifier, "n1", nc=count)), RIGHT)
        wrong = answer(verifier, "n1", nc="00000003", password="guess")
        self.assertRefused(self.judge(verifier, wrong), "response")
        self.assertRefused(self.judge(verifier, answer(verifier, "n1", nc="00000002")), "replay")
        verdict = self.judge(verifier, answer(verifier, "n1", nc="00000003"))
        self.assertEqual(verdict, Verdict("the nonce is stale", stale=True))
        self.assertTrue(verifier.challenge(stale=verdict.stale).endswith(", stale=true"))
        self.assertEqual(self.judge(verifier, answer(verifier, "n2")), RIGHT)

    def test_one_that_is_stale_at_once(self) -> None:
        """`uses=0` tells every client to try again, for ever."""
        verifier = self.ask(uses=0)
        for number in (1, 2, 3):
            self.assertTrue(self.judge(verifier, answer(verifier, f"n{number}")).stale)
            verifier.challenge()

    def test_all_can_be_made_stale(self) -> None:
        """`expire` is about those that were given out before."""
        verifier = self.ask(qop=None)
        self.assertEqual(self.judge(verifier, answer(verifier, "n1")), RIGHT)
        verifier.expire()
        self.assertTrue(self.judge(verifier, answer(verifier, "n1")).stale)
        verifier.challenge()
        self.assertEqual(self.judge(verifier, answer(verifier, "n2")), RIGHT)

    def test_a_session_keeps_its_first_cnonce(self) -> None:
        """RFC 7616 section 3.4.2: later requests have cnonces of their own, but the session's key stays."""
        verifier = self.ask(algorithm="SHA-256-sess")
        self.assertEqual(self.judge(verifier, answer(verifier, "n1", cnonce="first")), RIGHT)
        later = answer(verifier, "n1", nc="00000002", cnonce="second", first_cnonce="first")
        self.assertEqual(self.judge(verifier, later), RIGHT)
        self.assertRefused(self.judge(verifier, answer(verifier, "n1", nc="00000003", cnonce="third")), "response")

    def test_a_session_with_an_empty_cnonce(self) -> None:
        """It is one like any other."""
        verifier = self.ask(algorithm="MD5-sess")
        self.assertEqual(self.judge(verifier, answer(verifier, "n1", cnonce="")), RIGHT)
        self.assertRefused(self.judge(verifier, answer(verifier, "n1", nc="00000002", cnonce="x")), "response")

    def test_nonces_of_its_own_making(self) -> None:
        """Without another maker each challenge has a new one that nobody can guess."""
        verifier = DigestVerifier("user", "secret")
        nonces = {verifier.challenge().partition('nonce="')[2].partition('"')[0] for _ in range(100)}
        self.assertEqual(len(nonces), 100)
        self.assertGreaterEqual(min(map(len, nonces)), 32)


class ChoiceTests(unittest.TestCase):
    """What cannot be asked is refused when it is asked for."""

    def test_wrong_choices(self) -> None:
        """ValueError, with a sentence that says what would be right."""
        for choices, message in (
            ({"algorithm": "SHA-1"}, "none of MD5, SHA-256, SHA-512-256"),
            ({"algorithm": "-sess"}, "none of"),
            ({"qop": "auth-int"}, "'auth' or None"),
            ({"qop": None, "algorithm": "MD5-sess"}, "cnonce"),
            ({"uses": -1}, "-1"),
            ({"realm": "a\r\nb"}, "the realm has a control"),
        ):
            with self.subTest(choices), self.assertRaisesRegex(ValueError, message):
                DigestVerifier("user", "secret", **choices)
        for user, password, what in (("u\n", "p", "user name"), ("u", "p\x7f", "password")):
            with self.assertRaisesRegex(ValueError, f"the {what} has a control") as caught:
                DigestVerifier(user, password)
            self.assertNotIn("\x7f", str(caught.exception))

    def test_an_algorithm_that_is_not_there(self) -> None:
        """Where OpenSSL has no SHA-512/256, that is said at once."""
        missing = mock.patch.object(hashlib, "new", side_effect=ValueError("unsupported hash type"))
        with missing, self.assertRaisesRegex(ValueError, "SHA-512-256 is not to be had"):
            DigestVerifier("user", "secret", algorithm="SHA-512-256")

    def test_the_password_is_not_shown(self) -> None:
        """`repr()` has everything else that was chosen."""
        shown = repr(DigestVerifier("user", "hidden", realm="here", uses=1))
        self.assertIn("user='user'", shown)
        self.assertIn("uses=1", shown)
        self.assertNotIn("hidden", shown)


if __name__ == "__main__":
    unittest.main()
