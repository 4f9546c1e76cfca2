"""Tests of `wssync.testing.authentication`, some of them with clients that others wrote."""

from __future__ import annotations

import base64
import importlib.util
import os
import re
import shutil
import subprocess
import unittest
import urllib.error
import urllib.request
from typing import Any, Dict, Tuple
from unittest import mock

from tests.support import cases, with_cases
from wssync.protocol.http1 import Response
from wssync.testing import Server, ServerConnection
from wssync.testing.authentication import basic, digest, either
from wssync.testing.openings import at, refuse

from .asking import AskingCase
from .client import TIMEOUT
from .test_verifying import answer

WELCOME = refuse(200, body=b"welcome")
"""What a client gets that is no WebSocket and has the password."""

needs_curl = unittest.skipUnless(shutil.which("curl"), "curl is not installed")
needs_requests = unittest.skipUnless(importlib.util.find_spec("requests"), "requests is not installed")


def token(text: str, encoding: str = "utf-8") -> str:
    return "Basic " + base64.b64encode(text.encode(encoding)).decode()


def http_url(server: Server) -> str:
    return re.sub("^ws", "http", server.url)


def nonce_of(refusal: Response) -> str:
    found = re.search(r'nonce="([^"]+)"', str(refusal.headers.fields))
    assert found is not None
    return found[1]


@with_cases
class BasicTests(AskingCase):
    """`basic`."""

    def test_without_credentials(self) -> None:
        """401 with a challenge, and the end of the connection."""
        server = self.serve(opening=basic("user", "secret", realm='a "realm" für dich'))
        refusal = self.ask(server)
        self.assertEqual((refusal.status_code, refusal.reason), (401, "Unauthorized"))
        challenge = refusal.headers["WWW-Authenticate"].encode("latin-1").decode()
        self.assertEqual(challenge, r'Basic realm="a \"realm\" für dich", charset="UTF-8"')
        self.assertEqual(refusal.headers["Connection"], "close")
        self.assertEqual(refusal.body, b"there are no credentials\n")
        self.assertEqual((server.connections, server.errors), ([], []))

    def test_with_the_password(self) -> None:
        """The connection opens, whatever characters the password has."""
        for user, password in (("user", "secret"), ("", ""), ("Jäsøn", "Pass:wörd:€"), ("A\u030a", "o\u0308")):
            server = self.serve(opening=basic(user, password))
            composed = token(f"{user}:{password}".replace("A\u030a", "\u00c5").replace("o\u0308", "\u00f6"))
            self.assertEqual(self.ask(server, f"Authorization: {composed}").status_code, 101)

    @cases(
        password=(token("user:Secret"), "the user name or the password is wrong"),
        user=(token("User:secret"), "the user name or the password is wrong"),
        longer=(token("user:secrets"), "the user name or the password is wrong"),
        no_colon=(token("user"), "the user name or the password is wrong"),
        nothing=("Basic", "the user name or the password is wrong"),
        latin_1=(token("user:\xe9", "latin-1"), "the user name or the password is wrong"),
        scheme=("Bearer dXNlcjpzZWNyZXQ=", "the credentials are Bearer, not Basic"),
        no_base64=("Basic user:secret", "the credentials are no base64"),
        no_padding=("Basic dXNlcjpzZWNyZXQ", "the credentials are no base64"),
        blanks=("Basic dXNl cjpzZWNyZXQ=", "the credentials are no base64"),
        not_ascii=("Basic \xe9\xe9\xe9\xe9", "the credentials are no base64"),
        no_scheme=("\xe9", "the credentials are malformed"),
        twice=(token("user:secret") + "\r\nAuthorization: " + token("user:secret"), "there are two fields"),
    )
    def test_other_credentials(self, value: str, complaint: str) -> None:
        """401 with the reason, and nothing among the server's errors."""
        server = self.serve(opening=basic("user", "secret"))
        refusal = self.ask(server, f"Authorization: {value}")
        self.assertEqual(refusal.status_code, 401)
        self.assertIn(complaint, refusal.body.decode())
        self.assertNotIn("secret", refusal.body.decode())
        server.close()
        self.assertEqual(server.errors, [])

    def test_the_scheme_has_no_case(self) -> None:
        """RFC 9110 section 11.1."""
        server = self.serve(opening=basic("user", "secret"))
        self.assertEqual(self.ask(server, "Authorization: bASIC   dXNlcjpzZWNyZXQ=").status_code, 101)

    def test_for_a_proxy(self) -> None:
        """407 and the fields of proxies; Authorization is then another thing."""
        server = self.serve(opening=basic("user", "secret", proxy=True))
        refusal = self.ask(server, "Authorization: " + token("user:secret"))
        self.assertEqual((refusal.status_code, refusal.reason), (407, "Proxy Authentication Required"))
        self.assertEqual(refusal.headers["Proxy-Authenticate"], 'Basic realm="wssync", charset="UTF-8"')
        self.assertNotIn("WWW-Authenticate", refusal.headers)
        self.assertEqual(self.ask(server, "Proxy-Authorization: " + token("user:secret")).status_code, 101)

    def test_behind_a_proxy_that_asks_too(self) -> None:
        """Both have their own field."""
        server = self.serve(opening=[basic("p", "q", proxy=True), basic("user", "secret")])
        to_proxy = "Proxy-Authorization: " + token("p:q")
        self.assertEqual(self.ask(server).status_code, 407)
        self.assertEqual(self.ask(server, to_proxy).status_code, 401)
        self.assertEqual(self.ask(server, to_proxy, "Authorization: " + token("user:secret")).status_code, 101)

    def test_at_one_path(self) -> None:
        """The others need no password."""
        server = self.serve(opening=at("/private", basic("user", "secret")))
        self.assertEqual(self.ask(server, target="/private").status_code, 401)
        self.assertEqual(self.ask(server).status_code, 101)

    def test_wrong_arguments(self) -> None:
        """ValueError for what RFC 7617 section 2 forbids; the password is in no message and no `repr()`."""
        for user, password, realm in (("a:b", "c", "d"), ("a\n", "b", "c"), ("a", "hidden\0", "c"), ("a", "b", "\r")):
            with self.assertRaises(ValueError) as caught:
                basic(user, password, realm=realm)
            self.assertNotIn("hidden", str(caught.exception))
        self.assertEqual(repr(basic("user", "hidden")), "basic(user='user', realm='wssync', proxy=False)")


@with_cases
class DigestTests(AskingCase):
    """`digest`; what it accepts and why is tested with `wssync.testing.verifying`."""

    def test_a_challenge_and_its_answer(self) -> None:
        """The second connection opens, with the nonce that the first was given."""
        opening = digest("user", "secret")
        server = self.serve(opening=opening)
        refusal = self.ask(server)
        self.assertEqual((refusal.status_code, refusal.body), (401, b"there are no credentials\n"))
        self.assertRegex(refusal.headers["WWW-Authenticate"], r'^Digest realm="wssync", nonce="\S+", algorithm=SHA-256')
        self.assertEqual(refusal.headers["Connection"], "close")
        right = "Authorization: " + answer(opening, nonce_of(refusal))
        self.assertEqual(self.ask(server, right).status_code, 101)
        again = self.ask(server, right)
        self.assertEqual((again.status_code, again.body), (401, b"nc has not grown: this is a replay\n"))
        self.assertNotEqual(nonce_of(again), nonce_of(refusal))

    @cases(used_up=1, never_good=0)
    def test_a_stale_nonce(self, uses: int) -> None:
        """The client is told to try again with the new one, without asking for another password."""
        opening = digest("user", "secret", algorithm="MD5", uses=uses)
        server = self.serve(opening=opening)
        nonce = nonce_of(self.ask(server))
        for number in range(1, uses + 1):
            right = answer(opening, nonce, nc=f"{number:08x}")
            self.assertEqual(self.ask(server, f"Authorization: {right}").status_code, 101)
        refusal = self.ask(server, "Authorization: " + answer(opening, nonce, nc="00000009"))
        self.assertEqual((refusal.status_code, refusal.body), (401, b"the nonce is stale\n"))
        self.assertTrue(refusal.headers["WWW-Authenticate"].endswith(", stale=true"))
        wrong = self.ask(server, "Authorization: " + answer(opening, nonce_of(refusal), password="guess"))
        self.assertNotIn("stale", wrong.headers["WWW-Authenticate"])

    @cases(
        (str(number), value)
        for number, value in enumerate(
            (
                "Digest",
                'Digest username="user',
                "Digest " + "a=b, " * 100 + "a",
                "Digest realm=\xff",
                'Digest username="user", username="user"',
                "Basic dXNlcjpzZWNyZXQ=",
                "=",
                "",
            )
        )
    )
    def test_malformed_credentials(self, value: str) -> None:
        """401 with a challenge, and nothing among the server's errors."""
        server = self.serve(opening=digest("user", "secret"))
        refusal = self.ask(server, f"Authorization: {value}")
        self.assertEqual(refusal.status_code, 401)
        self.assertTrue(refusal.headers["WWW-Authenticate"].startswith("Digest "))
        server.close()
        self.assertEqual(server.errors, [])

    def test_the_target_of_the_request(self) -> None:
        """It is signed, with its query; for CONNECT it is host:port."""
        opening = digest("user", "secret", proxy=True)
        server = self.serve(opening=[opening, WELCOME])
        for method, target in (("GET", "/a?b=c"), ("CONNECT", "example.test:443")):
            nonce = nonce_of(self.ask(server, method=method, target=target))
            right = answer(opening, nonce, method=method, uri=target)
            elsewhere = answer(opening, nonce, method=method, uri="/")
            refusal = self.ask(server, f"Proxy-Authorization: {elsewhere}", method=method, target=target)
            self.assertEqual((refusal.status_code, refusal.body), (407, b"uri is not the target of the request\n"))
            welcome = self.ask(server, f"Proxy-Authorization: {right}", method=method, target=target)
            self.assertEqual(welcome.body, b"welcome")

    def test_wrong_arguments(self) -> None:
        """ValueError; the password is not in `repr()`."""
        with self.assertRaises(ValueError):
            digest("user", "secret", algorithm="SHA-1")
        shown = repr(digest("user", "hidden", proxy=True))
        self.assertRegex(shown, r"^digest\(user='user', .*proxy=True\)$")
        self.assertNotIn("hidden", shown)


class EitherTests(AskingCase):
    """`either`."""

    def test_the_client_has_the_choice(self) -> None:
        """One challenge for each, in order; one right answer is enough."""
        strong = digest("user", "secret")
        server = self.serve(opening=either(strong, basic("user", "secret")))
        refusal = self.ask(server)
        challenges = refusal.headers.get_all("WWW-Authenticate")
        self.assertEqual([challenge.split()[0] for challenge in challenges], ["Digest", "Basic"])
        self.assertEqual(refusal.body, b"there are no credentials\n")
        for right in (answer(strong, nonce_of(refusal)), token("user:secret")):
            self.assertEqual(self.ask(server, f"Authorization: {right}").status_code, 101)

    def test_none_is_right(self) -> None:
        """The answer says of each what was wrong, and only what is stale is called so."""
        strong = digest("user", "secret", uses=0)
        server = self.serve(opening=either(basic("user", "secret"), strong))
        refusal = self.ask(server, "Authorization: " + token("user:guess"))
        expected = b"the user name or the password is wrong\nthe credentials are Basic, not Digest\n"
        self.assertEqual((refusal.status_code, refusal.body), (401, expected))
        stale = self.ask(server, "Authorization: " + answer(strong, nonce_of(refusal)))
        values = stale.headers.get_all("WWW-Authenticate")
        self.assertEqual(["stale" in value for value in values], [False, True])

    def test_for_a_proxy(self) -> None:
        """All of them or none; and there must be one."""
        server = self.serve(opening=either(basic("a", "b", proxy=True), digest("a", "b", proxy=True)))
        refusal = self.ask(server)
        self.assertEqual(refusal.status_code, 407)
        self.assertEqual(len(refusal.headers.get_all("Proxy-Authenticate")), 2)
        for wrong in ((), (basic("a", "b"), basic("a", "b", proxy=True))):
            with self.assertRaises(ValueError):
                either(*wrong)


class StrangerCase(AskingCase):
    def setUp(self) -> None:
        super().setUp()
        clean = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        environment = mock.patch.dict(os.environ, clean, clear=True)
        environment.start()
        self.addCleanup(environment.stop)

    def assertAskedTwice(self, server: Server) -> None:
        """The password was asked for, and only then sent."""
        sent = ["Authorization" in request.headers for request in server.requests]
        self.assertEqual(sent, [False, True])
        server.close()
        self.assertEqual(server.errors, [])

    def serve_with_a_stale_nonce(self) -> Server:
        """A server whose nonces get old before the second request."""
        opening = digest("user", "secret", algorithm="MD5")

        def get_old(connection: ServerConnection) -> None:
            if len(server.requests) == 2:
                opening.expire()

        server = self.serve(opening=[get_old, opening, WELCOME])
        return server

    def assertTriedAgain(self, server: Server) -> None:
        """The second nonce was used after the first, neither for a second time."""
        sent = [request.headers.get("Authorization", "-") for request in server.requests]
        self.assertEqual([value.partition(" ")[0] for value in sent], ["-", "Digest", "Digest"])
        self.assertNotEqual(sent[1].partition("nonce=")[2], sent[2].partition("nonce=")[2])
        for value in sent[1:]:
            self.assertIn("nc=00000001", value)


@with_cases
class UrllibTests(StrangerCase):
    """`urllib.request` of the standard library."""

    def fetch(self, server: Server, password: str) -> Tuple[int, bytes]:
        passwords = urllib.request.HTTPPasswordMgr()
        passwords.add_password("wssync", http_url(server), "user", password)
        opener = urllib.request.build_opener(
            urllib.request.HTTPDigestAuthHandler(passwords), urllib.request.HTTPBasicAuthHandler(passwords)
        )
        try:
            with opener.open(http_url(server) + "path?query", timeout=TIMEOUT) as got:
                return got.status, got.read()
        except urllib.error.HTTPError as error:
            if error.fp is not None:  # it is None where urllib itself has given up
                error.close()
            return error.code, b""

    @cases(qop={"qop": "auth"}, rfc_2069={"qop": None}, no_opaque={"opaque": None})
    def test_digest(self, choices: Dict[str, Any]) -> None:
        """It knows MD5, and quotes the algorithm, which RFC 7616 does not like."""
        server = self.serve(opening=[digest("user", "secret", algorithm="MD5", **choices), WELCOME])
        self.assertEqual(self.fetch(server, "secret"), (200, b"welcome"))
        self.assertAskedTwice(server)
        server = self.serve(opening=[digest("user", "secret", algorithm="MD5", **choices), WELCOME])
        self.assertEqual(self.fetch(server, "guess")[0], 401)

    def test_a_stale_nonce(self) -> None:
        """It asks once more, with the new one."""
        server = self.serve_with_a_stale_nonce()
        self.assertEqual(self.fetch(server, "secret"), (200, b"welcome"))
        self.assertTriedAgain(server)

    def test_basic(self) -> None:
        """With a word that is right, and one that is not."""
        server = self.serve(opening=[basic("user", "secret"), WELCOME])
        self.assertEqual(self.fetch(server, "secret"), (200, b"welcome"))
        self.assertAskedTwice(server)
        self.assertEqual(self.fetch(self.serve(opening=basic("user", "secret")), "guess")[0], 401)


@needs_curl
@with_cases
class CurlTests(StrangerCase):
    """curl."""

    def fetch(self, server: Server, *options: str) -> Tuple[int, bytes]:
        command = ["curl", "--silent", "--max-time", f"{TIMEOUT}", "--write-out", "%{http_code}", *options]
        done = subprocess.run(
            [*command, http_url(server) + "path?query"], stdout=subprocess.PIPE, timeout=2 * TIMEOUT, check=False
        )
        return int(done.stdout[-3:]), done.stdout[:-3]

    @cases(
        md5={"algorithm": "MD5"},
        md5_session={"algorithm": "MD5-sess"},
        sha_256={"algorithm": "SHA-256"},
        sha_256_session={"algorithm": "SHA-256-sess"},
        rfc_2069={"algorithm": "MD5", "qop": None},
        hashed_name={"userhash": True},
    )
    def test_digest(self, choices: Dict[str, Any]) -> None:
        """The right password, beyond ASCII and with quotes, and a wrong one."""
        for user, password in (("user", "secret"), ("Jäsøn Doe", 'a "word": €')):
            server = self.serve(opening=[digest(user, password, realm='my "realm"', **choices), WELCOME])
            found = self.fetch(server, "--digest", "--user", f"{user}:{password}")
            self.assertEqual(found, (200, b"welcome"))
            self.assertAskedTwice(server)
        server = self.serve(opening=[digest("user", "secret", **choices), WELCOME])
        status, body = self.fetch(server, "--digest", "--user", "user:guess")
        self.assertEqual(status, 401)
        self.assertIn(b"response is wrong", body)

    def test_a_stale_nonce(self) -> None:
        """It asks once more, with the new one."""
        server = self.serve_with_a_stale_nonce()
        self.assertEqual(self.fetch(server, "--digest", "--user", "user:secret"), (200, b"welcome"))
        self.assertTriedAgain(server)

    def test_basic(self) -> None:
        """When it is left to curl what to send, it waits to be asked."""
        server = self.serve(opening=[basic("user", "secret"), WELCOME])
        self.assertEqual(self.fetch(server, "--anyauth", "--user", "user:secret"), (200, b"welcome"))
        self.assertAskedTwice(server)

    def test_either(self) -> None:
        """Of several it takes the strongest."""
        server = self.serve(opening=[either(basic("user", "secret"), digest("user", "secret")), WELCOME])
        self.assertEqual(self.fetch(server, "--anyauth", "--user", "user:secret"), (200, b"welcome"))
        self.assertTrue(server.requests[1].headers["Authorization"].startswith("Digest "))


@needs_requests
class RequestsTests(StrangerCase):
    """The package `requests`, where it is there."""

    def test_digest(self) -> None:
        """MD5 and SHA-256."""
        requests: Any = importlib.import_module("requests")
        for algorithm in ("MD5", "SHA-256"):
            server = self.serve(opening=[digest("user", "secret", algorithm=algorithm), WELCOME])
            credentials = requests.auth.HTTPDigestAuth("user", "secret")
            found = requests.get(http_url(server) + "path?query", auth=credentials, timeout=TIMEOUT)
            self.assertEqual((found.status_code, found.content), (200, b"welcome"))
            self.assertAskedTwice(server)


class WrongTypeTests(AskingCase):
    """What is no text, and no way to ask."""

    def test_is_refused(self) -> None:
        """TypeError when the opening is made."""
        for make in (basic, digest):
            for user, password in ((5, "p"), ("u", None)):
                with self.assertRaisesRegex(TypeError, "is a str, not"):
                    make(user, password)  # type: ignore[arg-type]
        with self.assertRaisesRegex(TypeError, "is a str, not int"):
            digest("u", "p", algorithm=5)  # type: ignore[arg-type]
        with self.assertRaisesRegex(TypeError, "a way to ask is"):
            either(refuse())  # type: ignore[arg-type]

    def test_an_algorithm_in_any_case(self) -> None:
        """The challenge has it as the RFC writes it."""
        for given, sent in (("sha-256", "SHA-256"), ("md5-SESS", "MD5-sess")):
            challenge = self.ask(self.serve(opening=digest("u", "p", algorithm=given))).headers["WWW-Authenticate"]
            self.assertIn(f"algorithm={sent},", challenge)


if __name__ == "__main__":
    unittest.main()
