"""`wssync.protocol.handshake`: the request, the verdict, and the server's half."""

from __future__ import annotations

import base64
import dataclasses
import unittest
from typing import Dict, Iterable, List, Optional, Sequence, Tuple

from tests.support import cases, with_cases
from wssync.protocol.deflate import DeflateOptions, DeflateParameters
from wssync.protocol.handshake import (
    Accepted,
    Refused,
    ServerAccepted,
    ServerRefused,
    Upgrade,
    accept_value,
    answer,
    check_headers,
    check_protocols,
    judge,
    make_upgrade,
)
from wssync.protocol.headers import Headers, HeadersLike
from wssync.protocol.http1 import HeadReader, RequestHead, Response, parse_request_head, parse_response_head
from wssync.protocol.urls import parse_url

URL = parse_url("ws://server.example.com/chat")
NONCE = b"the sample nonce"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # of RFC 6455 section 1.3, as is its answer
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
DEFLATE = "permessage-deflate"
Pairs = List[Tuple[str, str]]


def upgrade(
    headers: HeadersLike = None,
    additional: HeadersLike = None,
    protocols: Sequence[str] = (),
    deflate: Optional[DeflateOptions] = None,
    url: str = "ws://server.example.com/chat",
) -> Upgrade:
    """An upgrade with the RFC's nonce."""
    return make_upgrade(
        parse_url(url),
        headers=Headers(headers),
        additional=Headers(additional),
        protocols=protocols,
        deflate=deflate,
        nonce=NONCE,
    )


def switching(changes: Optional[Dict[str, Iterable[str]]] = None, version: str = "1.1", status: int = 101) -> Response:
    """A good 101 but for these fields: each name is given these values, as often."""
    fields: Dict[str, Iterable[str]] = {
        "Upgrade": ["websocket"],
        "Connection": ["Upgrade"],
        "Sec-WebSocket-Accept": [ACCEPT],
        **(changes or {}),
    }
    pairs = [(name, value) for name, values in fields.items() for value in values]
    return Response(str(URL), status, "Switching Protocols", Headers(pairs), http_version=version)


@with_cases
class CheckProtocolsTests(unittest.TestCase):
    """The subprotocols that may be offered."""

    @cases(
        none=([], ()),
        one=(["chat"], ("chat",)),
        order=(["b", "a", "c"], ("b", "a", "c")),
        case_differs=(["Chat", "chat"], ("Chat", "chat")),
        all_of_a_token=(["!#$%&'*+-.^_`|~09azAZ"], ("!#$%&'*+-.^_`|~09azAZ",)),
        dotted=(["v1.k8s.io", "mqtt"], ("v1.k8s.io", "mqtt")),
    )
    def test_good(self, protocols: Sequence[str], expected: Tuple[str, ...]) -> None:
        """Names are kept as they are, in order."""
        self.assertEqual(check_protocols(protocols), expected)
        self.assertEqual(check_protocols(tuple(protocols)), expected)

    @cases(
        empty="",
        space="a b",
        space_around=" a",
        comma="a,b",
        semicolon="a;b",
        slash="a/b",
        colon="a:b",
        equals="a=b",
        at="a@b",
        bracket="[a]",
        brace="{a}",
        parenthesis="(a)",
        quote='"a"',
        question="a?",
        less="<a>",
        backslash="a\\b",
        cr="a\r",
        lf="a\n",
        injected="a\r\nX-Evil: 1",
        nul="a\0",
        tab="a\tb",
        delete="a\x7f",
        umlaut="\u00fc",
        euro="\u20ac",
    )
    def test_no_tokens(self, name: str) -> None:
        """Rules 6 and 31: a name that is no token is a ValueError (RFC 6455 section 4.1, item 10)."""
        for protocols in ([name], ["chat", name], [name, "chat"]):
            with self.assertRaisesRegex(ValueError, "no name for a subprotocol"):
                check_protocols(protocols)

    @cases(twice=["a", "a"], apart=["a", "b", "a"])
    def test_duplicates(self, protocols: List[str]) -> None:
        """Rule 6: the same name twice is a ValueError."""
        with self.assertRaisesRegex(ValueError, "twice"):
            check_protocols(protocols)

    @cases(text="chat", bytes=b"chat", list_of_bytes=[b"chat"], list_of_none=[None], numbers=[1], none=None, number=3)
    def test_types(self, protocols: object) -> None:
        """A str would be taken for its letters: a TypeError, as for names that are no str."""
        with self.assertRaisesRegex(TypeError, "not one|a str, not|not iterable"):
            check_protocols(protocols)  # type: ignore[arg-type]


@with_cases
class CheckHeadersTests(unittest.TestCase):
    """The fields a caller may set."""

    @cases(
        (name, (name,))
        for name in (
            "Host",
            "Connection",
            "Upgrade",
            "Sec-WebSocket-Key",
            "Sec-WebSocket-Version",
            "Sec-WebSocket-Accept",
            "Sec-WebSocket-Extensions",
            "Content-Length",
            "Transfer-Encoding",
            "Proxy-Authorization",
            "host",
            "CONNECTION",
            "sec-websocket-key",
            "proxy-authorization",
            "sEC-wEBsOCKET-eXTENSIONS",
        )
    )
    def test_forbidden(self, name: str) -> None:
        """Rule 29: the handshake's own fields, those of a body and the proxy's credentials are refused, in any case."""
        with self.assertRaisesRegex(ValueError, f"(?i){name}") as caught:
            check_headers(Headers([("X", "1"), (name, "s3cr3t")]), ())
        self.assertNotIn("s3cr3t", str(caught.exception))
        for where in ("headers", "additional"):
            with self.assertRaises(ValueError):
                upgrade(**{where: {name: "x"}})  # type: ignore[arg-type]

    @cases(
        authorization="Authorization",
        cookie="Cookie",
        origin="Origin",
        user_agent="User-Agent",
        custom="X-Api-Key",
        prefix="Sec-WebSocket-Keys",
        proxy_other="Proxy-Connection",
    )
    def test_allowed(self, name: str) -> None:
        """Everything else is the caller's."""
        check_headers(Headers({name: "x"}), ["chat"])
        self.assertEqual(upgrade({name: "x"}).fields[-1], (name, "x"))

    def test_protocols_twice(self) -> None:
        """`protocols` as well as a Sec-WebSocket-Protocol is a ValueError."""
        with self.assertRaisesRegex(ValueError, "twice"):
            check_headers(Headers({"sec-websocket-protocol": "a"}), ["b"])
        with self.assertRaisesRegex(ValueError, "twice"):
            upgrade({"Sec-WebSocket-Protocol": "a"}, protocols=["a"])

    @cases(
        one="a",
        list="a, b",
        tight="a,b",
        tabs="a\t,\tb",
    )
    def test_protocol_lists(self, value: str) -> None:
        """Rule 7: a list of subprotocols may be the caller's own field."""
        check_headers(Headers({"Sec-WebSocket-Protocol": value}), ())

    @cases(
        empty="",
        comma=",",
        empty_element="a,,b",
        comma_last="a,",
        space="a b",
        duplicate="a, b, a",
        quoted='"a"',
        parameter="a;b=c",
    )
    def test_bad_protocol_lists(self, value: str) -> None:
        """Rule 7: what is no list of subprotocols is a ValueError."""
        with self.assertRaises(ValueError):
            check_headers(Headers({"Sec-WebSocket-Protocol": value}), ())

    def test_duplicates_over_two_fields(self) -> None:
        """Rule 7: two fields are one list (RFC 6455 section 11.3.4)."""
        check_headers(Headers([("Sec-WebSocket-Protocol", "a"), ("Sec-WebSocket-Protocol", "b")]), ())
        with self.assertRaisesRegex(ValueError, "twice"):
            check_headers(Headers([("Sec-WebSocket-Protocol", "a"), ("Sec-WebSocket-Protocol", "a")]), ())


@with_cases
class MakeUpgradeTests(unittest.TestCase):
    """The request to upgrade."""

    def test_the_whole_request(self) -> None:
        """Rules 26 to 28: request line, the five fields in order, nothing else unless asked for."""
        self.assertEqual(
            upgrade().to_bytes(),
            b"GET /chat HTTP/1.1\r\n"
            b"Host: server.example.com\r\n"
            b"Upgrade: websocket\r\n"
            b"Connection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Version: 13\r\n"
            b"\r\n",
        )

    def test_everything_in_order(self) -> None:
        """The handshake's own fields come first, then the request's, then the additional ones."""
        made = upgrade(
            [("Cookie", "a=b"), ("X-One", "1"), ("x-one", "2")],
            {"User-Agent": "wssync", "Origin": "http://o"},
            ["chat", "superchat"],
            DeflateOptions(),
            "wss://user:pw@h:8443/a b?c",
        )
        lines = made.to_bytes().decode("ascii").split("\r\n")
        self.assertEqual(lines[:2], ["GET /a%20b?c HTTP/1.1", "Host: h:8443"])
        self.assertEqual(
            [line.partition(":")[0] for line in lines[1:-2]],
            [
                "Host",
                "Upgrade",
                "Connection",
                "Sec-WebSocket-Key",
                "Sec-WebSocket-Version",
                "Sec-WebSocket-Protocol",
                "Sec-WebSocket-Extensions",
                "Cookie",
                "X-One",
                "x-one",
                "User-Agent",
                "Origin",
            ],
        )
        self.assertNotIn("pw", made.to_bytes().decode("ascii"))
        self.assertEqual(made.deflate, DeflateOptions())

    @cases(
        ws_default=("ws://h/", "h"),
        ws_port=("ws://h:8080/", "h:8080"),
        wss_default=("wss://h/", "h"),
        wss_on_80=("wss://h:80/", "h:80"),
        ipv6=("ws://[::1]/", "[::1]"),
        ipv6_port=("ws://[::1]:81/", "[::1]:81"),
    )
    def test_host(self, url: str, host: str) -> None:
        """Rule 27: `Host` is the host, and the port where it is not the default."""
        self.assertEqual(upgrade(url=url).fields[0], ("Host", host))

    @cases(
        one=(["chat"], "chat"),
        two=(["a", "b"], "a, b"),
        order=(["b", "a"], "b, a"),
    )
    def test_protocols(self, protocols: List[str], value: str) -> None:
        """Rule 4: one field with all subprotocols, in order."""
        made = upgrade(protocols=protocols)
        self.assertEqual(Headers(made.fields).get_all("Sec-WebSocket-Protocol"), [value])
        self.assertEqual(made.protocols, tuple(protocols))

    def test_no_protocols(self) -> None:
        """Rule 5: no subprotocols, no field."""
        self.assertNotIn(b"Sec-WebSocket-Protocol", upgrade(protocols=[]).to_bytes())
        self.assertEqual(upgrade().protocols, ())

    @cases(
        one=([("Sec-WebSocket-Protocol", "a")], ("a",)),
        list=([("Sec-WebSocket-Protocol", "a ,b")], ("a", "b")),
        other_case=([("sec-websocket-PROTOCOL", "a")], ("a",)),
        two_fields=([("Sec-WebSocket-Protocol", "a"), ("Sec-WebSocket-Protocol", "b")], ("a", "b")),
    )
    def test_protocols_of_the_request(self, headers: Pairs, offered: Tuple[str, ...]) -> None:
        """Rule 7: the caller's own Sec-WebSocket-Protocol goes out unchanged, and is what the answer is judged by."""
        made = upgrade(headers)
        self.assertEqual(made.fields[5:], tuple(headers))
        self.assertEqual(made.protocols, offered)
        self.assertEqual(upgrade(additional=headers).protocols, offered)

    @cases(
        same=({"X": "1"}, {"X": "2"}, (("X", "1"),)),
        case=({"x": "1"}, {"X": "2"}, (("x", "1"),)),
        all_repeats=({"X": "1"}, [("X", "2"), ("x", "3"), ("Y", "4")], (("X", "1"), ("Y", "4"))),
        own_repeats=([("X", "1"), ("X", "2")], {"X": "3"}, (("X", "1"), ("X", "2"))),
        none_own=(None, {"X": "1"}, (("X", "1"),)),
        none_additional=({"X": "1"}, None, (("X", "1"),)),
    )
    def test_the_request_wins(self, own: HeadersLike, additional: HeadersLike, sent: object) -> None:
        """Rule 30: the request's fields win over additional ones of the same name, which are not sent."""
        self.assertEqual(upgrade(own, additional).fields[5:], sent)

    def test_protocols_win(self) -> None:
        """Rule 30: `protocols` win over an additional Sec-WebSocket-Protocol, and so does the request's."""
        additional = {"sec-websocket-protocol": "a"}
        self.assertEqual(upgrade(additional=additional, protocols=["b"]).protocols, ("b",))
        made = upgrade({"Sec-WebSocket-Protocol": "b"}, additional)
        self.assertEqual(Headers(made.fields).get_all("Sec-WebSocket-Protocol"), ["b"])

    def test_nothing_uninvited(self) -> None:
        """Rules 32 and 33: no Origin, no Accept-Encoding, no Accept-Language unless the caller says so."""
        names = {name.lower() for name, _ in upgrade(deflate=DeflateOptions(), protocols=["a"]).fields}
        self.assertFalse(names & {"origin", "accept-encoding", "accept-language", "user-agent", "cookie"})

    @cases(
        default=(DeflateOptions(), "permessage-deflate; client_max_window_bits"),
        forgetful=(
            DeflateOptions(client_no_context_takeover=True, client_max_window_bits=None),
            "permessage-deflate; client_no_context_takeover",
        ),
    )
    def test_compression(self, options: DeflateOptions, value: str) -> None:
        """Rule 194: compression is offered where it is wanted."""
        self.assertIn(("Sec-WebSocket-Extensions", value), upgrade(deflate=options).fields)

    def test_no_compression(self) -> None:
        """Rule 193: no options, no offer."""
        self.assertNotIn(b"Sec-WebSocket-Extensions", upgrade().to_bytes())

    @cases(zeros=bytes(16), ones=b"\xff" * 16, sample=NONCE)
    def test_key(self, nonce: bytes) -> None:
        """Rule 28: the key is the nonce in base64."""
        made = make_upgrade(URL, headers=Headers(), additional=Headers(), protocols=(), deflate=None, nonce=nonce)
        self.assertEqual(base64.b64decode(made.key, validate=True), nonce)
        self.assertIn(("Sec-WebSocket-Key", made.key), made.fields)

    @cases(empty=b"", short=bytes(15), long=bytes(17))
    def test_bad_nonce(self, nonce: bytes) -> None:
        """Rule 28: a nonce has 16 bytes."""
        with self.assertRaisesRegex(ValueError, "nonce"):
            make_upgrade(URL, headers=Headers(), additional=Headers(), protocols=(), deflate=None, nonce=nonce)

    @cases(text=("chat", TypeError), token=(["a b"], ValueError), duplicate=(["a", "a"], ValueError))
    def test_bad_protocols(self, protocols: Sequence[str], error: type) -> None:
        """Rule 6: bad subprotocols never get into a request."""
        with self.assertRaises(error):
            upgrade(protocols=protocols)

    def test_repr_hides_secrets(self) -> None:
        """`repr()` shows neither userinfo nor credentials."""
        made = upgrade({"Authorization": "s3cr3t", "Cookie": "s3cr3t"}, url="ws://u:s3cr3t@h/")
        self.assertNotIn("s3cr3t", repr(made) + str(made))
        self.assertIn("ws://h/", repr(made))

    def test_is_readable_as_a_request(self) -> None:
        """What is written is one well-formed head."""
        made = upgrade({"X": "\xfc"}, protocols=["a"], deflate=DeflateOptions())
        head, rest = HeadReader().feed(made.to_bytes()) or (b"", b"missing")
        request = parse_request_head(head)
        self.assertEqual((request.method, request.target, rest), ("GET", "/chat", b""))
        self.assertEqual(request.headers.fields, made.fields)


@with_cases
class ValueTests(unittest.TestCase):
    """The results are values."""

    @cases(
        upgrade=(upgrade(), "key"),
        accepted=(Accepted(None, None, ()), "protocol"),
        refused=(Refused("no", -1011), "reason"),
        server_accepted=(ServerAccepted(None, None, b""), "response"),
        server_refused=(ServerRefused(b"", "no"), "reason"),
    )
    def test_is_a_value(self, value: object, field: str) -> None:
        """They are hashable and cannot be changed."""
        self.assertIn(value, {value})
        with self.assertRaises(dataclasses.FrozenInstanceError):
            setattr(value, field, "x")


@with_cases
class AcceptValueTests(unittest.TestCase):
    """Sec-WebSocket-Accept."""

    @cases(
        rfc_6455_section_1_3=(KEY, ACCEPT),
        zeros=("AAAAAAAAAAAAAAAAAAAAAA==", "ICX+Yqv66kxgM0FcWaLWlFLwTAI="),
    )
    def test_vectors(self, key: str, expected: str) -> None:
        """Rule 40: base64(SHA-1(key + GUID)); the first vector is the RFC's own."""
        self.assertEqual(accept_value(key), expected)


@with_cases
class JudgeTests(unittest.TestCase):
    """What opens a connection, and what does not."""

    def assertRefused(self, verdict: object, why: str) -> None:
        self.assertIsInstance(verdict, Refused)
        assert isinstance(verdict, Refused)
        self.assertRegex(verdict.reason, why)
        self.assertEqual(verdict.url_error_code, -1011)
        self.assertTrue(verdict.reason.isprintable(), verdict.reason)
        self.assertLessEqual(len(verdict.reason), 300)

    @cases(
        plain={},
        upper_case_upgrade={"Upgrade": ["WebSocket"]},
        shouted_upgrade={"Upgrade": ["WEBSOCKET"]},
        lower_case_connection={"Connection": ["upgrade"]},
        listed_connection={"Connection": ["keep-alive, Upgrade"]},
        second_connection={"Connection": ["keep-alive", "Upgrade"]},
        sloppy_connection={"Connection": [",, upgrade ,"]},
        blanks_around_accept={"Sec-WebSocket-Accept": [f" \t{ACCEPT} "]},
        length_0={"Content-Length": ["0"]},
        length_0_twice={"Content-Length": ["0", "0"]},
        other_fields={"Server": ["x"], "Set-Cookie": ["a=b", "c=d"], "Date": ["now"]},
        version_field={"Sec-WebSocket-Version": ["13"]},
    )
    def test_accepted(self, changes: Dict[str, Iterable[str]]) -> None:
        """Rules 40 and 41: a 101 with the three fields opens the connection; what was not agreed is None."""
        self.assertEqual(judge(upgrade(), switching(changes)), Accepted(None, None, ()))
        offering = upgrade(protocols=["a"], deflate=DeflateOptions())
        self.assertEqual(judge(offering, switching(changes)), Accepted(None, None, ()))

    @cases(
        no_upgrade=({"Upgrade": []}, "no Upgrade"),
        two_upgrades=({"Upgrade": ["websocket", "websocket"]}, "more than one Upgrade"),
        other_upgrade=({"Upgrade": ["h2c"]}, "upgrades to 'h2c'"),
        listed_upgrade=({"Upgrade": ["websocket, h2c"]}, "upgrades to"),
        versioned_upgrade=({"Upgrade": ["websocket/13"]}, "upgrades to"),
        empty_upgrade=({"Upgrade": [""]}, "upgrades to"),
        quoted_upgrade=({"Upgrade": ['"websocket"']}, "upgrades to"),
        long_upgrade=({"Upgrade": ["x" * 8000]}, "upgrades to"),
        control_in_upgrade=({"Upgrade": ["web\x9bsocket"]}, "upgrades to"),
        no_connection=({"Connection": []}, "Connection"),
        keep_alive=({"Connection": ["keep-alive"]}, "Connection"),
        closing=({"Connection": ["close"]}, "Connection"),
        empty_connection=({"Connection": [""]}, "Connection"),
        connection_by_part=({"Connection": ["upgraded"]}, "Connection"),
        connection_by_spaces=({"Connection": ["keep-alive upgrade"]}, "Connection"),
        no_accept=({"Sec-WebSocket-Accept": []}, "no Sec-WebSocket-Accept"),
        two_accepts=({"Sec-WebSocket-Accept": [ACCEPT, ACCEPT]}, "more than one Sec-WebSocket-Accept"),
        listed_accept=({"Sec-WebSocket-Accept": [f"{ACCEPT}, {ACCEPT}"]}, "our key"),
        empty_accept=({"Sec-WebSocket-Accept": [""]}, "our key"),
        accept_of_another_key=({"Sec-WebSocket-Accept": [accept_value("x")]}, "our key"),
        lower_case_accept=({"Sec-WebSocket-Accept": [ACCEPT.lower()]}, "our key"),
        upper_case_accept=({"Sec-WebSocket-Accept": [ACCEPT.upper()]}, "our key"),
        one_letter_s_case=({"Sec-WebSocket-Accept": ["S" + ACCEPT[1:]]}, "our key"),
        unpadded_accept=({"Sec-WebSocket-Accept": [ACCEPT.rstrip("=")]}, "our key"),
        longer_accept=({"Sec-WebSocket-Accept": [ACCEPT + "="]}, "our key"),
        key_echoed=({"Sec-WebSocket-Accept": [KEY]}, "our key"),
        quoted_accept=({"Sec-WebSocket-Accept": [f'"{ACCEPT}"']}, "our key"),
        latin_1_accept=({"Sec-WebSocket-Accept": ["\xff" + ACCEPT]}, "our key"),
        no_break_space_accept=({"Sec-WebSocket-Accept": ["\xa0" + ACCEPT]}, "our key"),
        chunked=({"Transfer-Encoding": ["chunked"]}, "no body"),
        identity=({"Transfer-Encoding": ["identity"]}, "no body"),
        empty_coding=({"Transfer-Encoding": [""]}, "no body"),
        length=({"Content-Length": ["5"]}, "no body"),
        length_text=({"Content-Length": ["x"]}, "no body"),
        length_empty=({"Content-Length": [""]}, "no body"),
        length_minus_0=({"Content-Length": ["-0"]}, "no body"),
        lengths=({"Content-Length": ["0", "5"]}, "no body"),
    )
    def test_refused(self, changes: Dict[str, Iterable[str]], why: str) -> None:
        """Rule 40: a 101 that breaks one rule of RFC 6455 section 4.1 (or 9112's) is a refusal that names it."""
        self.assertRefused(judge(upgrade(), switching(changes)), why)

    @cases(
        ok=(200, "OK", "answered 200 OK instead of 101"),
        redirect=(302, "Found", "answered 302 Found instead"),
        unauthorized=(401, "Unauthorized", "answered 401 Unauthorized instead"),
        not_found=(404, "Not Found", "answered 404 Not Found instead"),
        upgrade_required=(426, "Upgrade Required", "answered 426 Upgrade Required instead"),
        error=(500, "Internal Server Error", "answered 500 Internal Server Error instead"),
        no_reason=(503, "", "answered 503 instead"),
        informational=(100, "Continue", "answered 100 Continue instead"),
        early_hints=(103, "Early Hints", "answered 103 Early Hints instead"),
        beyond=(999, "Denied", "answered 999 Denied instead"),
        control_in_reason=(400, "\x9b31m", r"answered 400 \\x9b31m instead"),
        long_reason=(400, "x" * 8000, "answered 400 x+... instead"),
    )
    def test_other_statuses(self, status: int, reason: str, why: str) -> None:
        """Rule 44: every other status is a refusal, though all else be in order, and the reason quotes it."""
        fields = switching().headers
        self.assertRefused(judge(upgrade(), Response(str(URL), status, reason, fields)), why)
        self.assertRefused(judge(upgrade(), Response(str(URL), status, reason, Headers(), http_version="1.0")), why)

    def test_http_1_0(self) -> None:
        """A 101 in HTTP/1.0 is no upgrade."""
        self.assertRefused(judge(upgrade(), switching(version="1.0")), r"HTTP/1\.0")

    @cases(
        first=(["a", "b"], "a"),
        second=(["a", "b"], "b"),
        exact_case=(["Chat"], "Chat"),
    )
    def test_protocol_chosen(self, offered: List[str], chosen: str) -> None:
        """One of the offered subprotocols may be chosen, given by `protocols` or by a field of the request (rule 7)."""
        response = switching({"Sec-WebSocket-Protocol": [chosen]})
        self.assertEqual(judge(upgrade(protocols=offered), response), Accepted(chosen, None, ()))
        by_field = upgrade({"Sec-WebSocket-Protocol": ", ".join(offered)})
        self.assertEqual(judge(by_field, response), Accepted(chosen, None, ()))

    @cases(
        none_offered=([], ["a"], "not offered: 'a'"),
        other=(["a"], ["b"], "not offered: 'b'"),
        other_case=(["chat"], ["Chat"], "not offered: 'Chat'"),
        both=(["a", "b"], ["a, b"], "not offered"),
        two_fields=(["a", "b"], ["a", "b"], "more than one Sec-WebSocket-Protocol"),
        same_twice=(["a"], ["a", "a"], "more than one Sec-WebSocket-Protocol"),
        empty=(["a"], [""], "not offered"),
        empty_and_none_offered=([], [""], "not offered"),
        quoted=(["a"], ['"a"'], "not offered"),
        part=(["chat"], ["cha"], "not offered"),
        long=(["a"], ["x" * 8000], "not offered"),
        control=(["a"], ["\x9b"], "not offered"),
    )
    def test_protocol_not_offered(self, offered: List[str], chosen: List[str], why: str) -> None:
        """Rule 42: a subprotocol that was not offered, or more than one, is a refusal."""
        response = switching({"Sec-WebSocket-Protocol": chosen})
        self.assertRefused(judge(upgrade(protocols=offered), response), why)

    @cases(
        plain=("permessage-deflate", DeflateParameters(), DEFLATE),
        server_forgets=(
            "permessage-deflate; server_no_context_takeover",
            DeflateParameters(server_no_context_takeover=True),
            "permessage-deflate; server_no_context_takeover",
        ),
        windows=(
            "permessage-deflate;client_max_window_bits=10 ;server_max_window_bits=9",
            DeflateParameters(client_max_window_bits=10, server_max_window_bits=9),
            "permessage-deflate; client_max_window_bits=10; server_max_window_bits=9",
        ),
        quoted=(
            'permessage-deflate; client_max_window_bits="12"',
            DeflateParameters(client_max_window_bits=12),
            "permessage-deflate; client_max_window_bits=12",
        ),
    )
    def test_extension_agreed(self, value: str, parameters: DeflateParameters, text: str) -> None:
        """Rule 195: an answer to the offer of compression is what both sides agree on."""
        response = switching({"Sec-WebSocket-Extensions": [value]})
        self.assertEqual(judge(upgrade(deflate=DeflateOptions()), response), Accepted(None, parameters, (text,)))

    @cases(
        unknown=(["x-webkit-deflate-frame"], "not offered: x-webkit"),
        known_and_unknown=([f"{DEFLATE}, foo"], "not offered: foo"),
        unknown_in_second_field=([DEFLATE, "foo"], "not offered: foo"),
        other_case=(["Permessage-Deflate"], "not offered"),
        twice=([f"{DEFLATE}, {DEFLATE}"], "one extension"),
        twice_by_fields=([DEFLATE, DEFLATE], "one extension"),
        empty=([""], "one extension"),
        commas=([",,"], "one extension"),
        malformed=([f"{DEFLATE};"], "malformed"),
        malformed_quote=([f'{DEFLATE}; client_max_window_bits="10'], "malformed"),
        malformed_space=(["permessage deflate"], "malformed"),
        unknown_parameter=([f"{DEFLATE}; foo"], "foo"),
        long_parameter=([f"{DEFLATE}; {'x' * 8000}"], "xxx"),
        repeated_parameter=([f"{DEFLATE}; server_no_context_takeover; server_no_context_takeover"], "repeated"),
        flag_with_value=([f"{DEFLATE}; server_no_context_takeover=1"], "no value"),
        window_7=([f"{DEFLATE}; server_max_window_bits=7"], "8 to 15"),
        window_16=([f"{DEFLATE}; server_max_window_bits=16"], "8 to 15"),
        window_09=([f"{DEFLATE}; server_max_window_bits=09"], "8 to 15"),
        window_missing=([f"{DEFLATE}; client_max_window_bits"], "needs a value"),
        control=([f"{DEFLATE}; \x9b"], "malformed"),
    )
    def test_extension_refused(self, values: List[str], why: str) -> None:
        """Rules 43 and 195: an extension or parameter that was not offered, or is malformed, is a refusal."""
        response = switching({"Sec-WebSocket-Extensions": values})
        self.assertRefused(judge(upgrade(deflate=DeflateOptions()), response), why)

    @cases(deflate=DEFLATE, other="foo", parameters=f"{DEFLATE}; client_max_window_bits=10", empty="", malformed=";")
    def test_extension_when_none_was_offered(self, value: str) -> None:
        """Rule 43: without an offer every extension is a refusal."""
        response = switching({"Sec-WebSocket-Extensions": [value]})
        self.assertRefused(judge(upgrade(), response), "not offered|one extension|malformed")

    def test_parameter_not_offered(self) -> None:
        """Rule 195: client_max_window_bits is an answer to an offer of it only."""
        response = switching({"Sec-WebSocket-Extensions": [f"{DEFLATE}; client_max_window_bits=10"]})
        made = upgrade(deflate=DeflateOptions(client_max_window_bits=None))
        self.assertRefused(judge(made, response), "not offered")

    @cases(
        status_before_all=({"Upgrade": []}, 404, "404"),
        upgrade_before_connection=({"Upgrade": [], "Connection": []}, 101, "Upgrade"),
        connection_before_accept=({"Connection": [], "Sec-WebSocket-Accept": []}, 101, "Connection"),
        accept_before_extensions=(
            {"Sec-WebSocket-Accept": ["x"], "Sec-WebSocket-Extensions": ["foo"]},
            101,
            "Sec-WebSocket-Accept",
        ),
        extensions_before_protocol=(
            {"Sec-WebSocket-Extensions": ["foo"], "Sec-WebSocket-Protocol": ["foo"]},
            101,
            "extension",
        ),
        protocol_before_body=({"Sec-WebSocket-Protocol": ["foo"], "Content-Length": ["5"]}, 101, "subprotocol"),
    )
    def test_order(self, changes: Dict[str, Iterable[str]], status: int, why: str) -> None:
        """Of several faults the first in the order of RFC 6455 section 4.1 is named."""
        self.assertRefused(judge(upgrade(), switching(changes, status=status)), why)

    def test_everything_at_once(self) -> None:
        """Subprotocol and compression together, from the bytes of the RFC's example on."""
        head = (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n"
            b"Sec-WebSocket-Extensions: permessage-deflate"
        )
        made = upgrade(protocols=["chat", "superchat"], deflate=DeflateOptions())
        expected = Accepted("chat", DeflateParameters(), (DEFLATE,))
        self.assertEqual(judge(made, parse_response_head(head, str(URL))), expected)


@with_cases
class AnswerTests(unittest.TestCase):
    """The server's half."""

    def request(self, changes: Optional[Dict[str, Iterable[str]]] = None, **head: str) -> RequestHead:
        fields: Dict[str, Iterable[str]] = {
            "Host": ["server.example.com"],
            "Upgrade": ["websocket"],
            "Connection": ["Upgrade"],
            "Sec-WebSocket-Key": [KEY],
            "Sec-WebSocket-Version": ["13"],
            **(changes or {}),
        }
        headers = Headers((name, value) for name, values in fields.items() for value in values)
        return RequestHead(head.get("method", "GET"), "/chat", headers, head.get("version", "1.1"))

    def read(self, data: bytes) -> Tuple[Response, bytes]:
        head, body = HeadReader().feed(data) or (b"", b"")
        return parse_response_head(head, str(URL)), body

    @cases(
        plain={},
        listed_upgrade={"Upgrade": ["h2c, WebSocket"]},
        two_upgrades={"Upgrade": ["h2c", "websocket"]},
        listed_connection={"Connection": ["keep-alive, upgrade"]},
        other_fields={"Origin": ["http://x"], "Cookie": ["a=b"]},
    )
    def test_accepted(self, changes: Dict[str, Iterable[str]]) -> None:
        """A request in order is answered by exactly the four lines of RFC 6455 section 4.2.2."""
        verdict = answer(self.request(changes))
        expected = (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
        )
        self.assertEqual(verdict, ServerAccepted(None, None, expected))

    @cases(
        no_host=({"Host": []}, 400, "no Host"),
        two_hosts=({"Host": ["a", "b"]}, 400, "more than one Host"),
        no_upgrade=({"Upgrade": []}, 426, "WebSocket server"),
        other_upgrade=({"Upgrade": ["h2c"]}, 426, "WebSocket server"),
        no_connection=({"Connection": []}, 400, "Connection"),
        keep_alive=({"Connection": ["keep-alive"]}, 400, "Connection"),
        no_version=({"Sec-WebSocket-Version": []}, 400, "no Sec-WebSocket-Version"),
        version_8=({"Sec-WebSocket-Version": ["8"]}, 426, "version"),
        version_013=({"Sec-WebSocket-Version": ["013"]}, 426, "version"),
        versions=({"Sec-WebSocket-Version": ["13", "13"]}, 400, "more than one"),
        no_key=({"Sec-WebSocket-Key": []}, 400, "no Sec-WebSocket-Key"),
        two_keys=({"Sec-WebSocket-Key": [KEY, KEY]}, 400, "more than one"),
        empty_key=({"Sec-WebSocket-Key": [""]}, 400, "base64"),
        short_key=({"Sec-WebSocket-Key": ["AAAA"]}, 400, "base64"),
        long_key=({"Sec-WebSocket-Key": ["A" * 24]}, 400, "base64"),
        unpadded_key=({"Sec-WebSocket-Key": [KEY.rstrip("=")]}, 400, "base64"),
        url_safe_key=({"Sec-WebSocket-Key": ["-" * 22 + "=="]}, 400, "base64"),
        latin_1_key=({"Sec-WebSocket-Key": ["\xff" * 22 + "=="]}, 400, "base64"),
        empty_protocols=({"Sec-WebSocket-Protocol": [""]}, 400, "subprotocol"),
        bad_protocol=({"Sec-WebSocket-Protocol": ["a b"]}, 400, "subprotocol"),
        protocol_twice=({"Sec-WebSocket-Protocol": ["a", "a"]}, 400, "twice"),
        bad_extensions=({"Sec-WebSocket-Extensions": ["a;"]}, 400, "Sec-WebSocket-Extensions"),
    )
    def test_refused(self, changes: Dict[str, Iterable[str]], status: int, why: str) -> None:
        """A request that breaks a rule of RFC 6455 section 4.2.1 gets 400, or 426 with what is spoken here."""
        self.check_refusal(answer(self.request(changes)), status, why)

    def check_refusal(self, verdict: object, status: int, why: str) -> None:
        self.assertIsInstance(verdict, ServerRefused)
        assert isinstance(verdict, ServerRefused)
        self.assertRegex(verdict.reason, why)
        response, body = self.read(verdict.response)
        self.assertEqual(response.status_code, status)
        self.assertEqual(response.headers["Content-Length"], str(len(body)))
        self.assertEqual(body, verdict.reason.encode("latin-1") + b"\n")
        self.assertIn("close", response.headers["Connection"])
        self.assertEqual(response.headers.get("Upgrade"), "websocket" if status == 426 else None)
        self.assertEqual(response.headers.get("Sec-WebSocket-Version"), "13" if status == 426 else None)
        self.assertIsInstance(judge(upgrade(), response), Refused)

    @cases(post=("POST", "1.1", "GET"), head=("HEAD", "1.1", "GET"), old=("GET", "1.0", "HTTP/1.1"))
    def test_request_line(self, method: str, version: str, why: str) -> None:
        """The method is GET and the version 1.1 (RFC 6455 section 4.2.1, item 1)."""
        self.check_refusal(answer(self.request(method=method, version=version)), 400, why)

    @cases(
        client_s_order=(["b, a"], ["a", "b"], "b"),
        second=(["x, a"], ["a"], "a"),
        fields=(["x", "a"], ["a"], "a"),
        unknown=(["x"], ["a"], None),
        none_spoken=(["a"], [], None),
        none_offered=([], ["a"], None),
        other_case=(["A"], ["a"], None),
    )
    def test_protocols(self, offered: List[str], spoken: List[str], chosen: Optional[str]) -> None:
        """The client's first subprotocol that the server speaks is chosen."""
        verdict = answer(self.request({"Sec-WebSocket-Protocol": offered}), protocols=spoken)
        assert isinstance(verdict, ServerAccepted)
        self.assertEqual(verdict.protocol, chosen)
        response, _ = self.read(verdict.response)
        self.assertEqual(response.headers.get("Sec-WebSocket-Protocol"), chosen)

    @cases(
        both=(DEFLATE, DeflateOptions(), DeflateParameters()),
        not_offered=("foo", DeflateOptions(), None),
        not_wanted=(DEFLATE, None, None),
        second_offer=("foo, permessage-deflate", DeflateOptions(), DeflateParameters()),
    )
    def test_compression(
        self, offered: str, options: Optional[DeflateOptions], agreed: Optional[DeflateParameters]
    ) -> None:
        """Compression is agreed on where both want it, and the response says so."""
        verdict = answer(self.request({"Sec-WebSocket-Extensions": [offered]}), deflate=options)
        assert isinstance(verdict, ServerAccepted)
        self.assertEqual(verdict.deflate, agreed)
        response, _ = self.read(verdict.response)
        self.assertEqual(response.headers.get("Sec-WebSocket-Extensions"), DEFLATE if agreed else None)

    def test_headers(self) -> None:
        """Fields of the server's own are added at the end of the response, a refusal too, and checked."""
        verdict = answer(self.request(), headers=[("Set-Cookie", "a=b"), ("Set-Cookie", "c=d")])
        self.assertTrue(verdict.response.endswith(b"\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\n"))
        refused = answer(self.request({"Upgrade": ["h2c"]}), headers={"Set-Cookie": "a=b"})
        self.assertEqual(self.read(refused.response)[0].headers.get_all("Set-Cookie"), ["a=b"])
        with self.assertRaises(ValueError):
            answer(self.request(), headers={"A": "1\r\nB: 2"})
        with self.assertRaises(TypeError):
            answer(self.request(), protocols="chat")

    @cases(
        plain=([], [], None, None),
        protocols=(["a", "b"], ["b"], None, None),
        compression=([], [], DeflateOptions(), DeflateOptions()),
        forgetful=([], [], DeflateOptions(client_no_context_takeover=True), DeflateOptions()),
        all=(["a"], ["a"], DeflateOptions(server_max_window_bits=10), DeflateOptions(client_max_window_bits=9)),
    )
    def test_both_halves_agree(
        self,
        offered: List[str],
        spoken: List[str],
        client: Optional[DeflateOptions],
        server: Optional[DeflateOptions],
    ) -> None:
        """What the server's half answers, the client's half accepts, and both have agreed on the same."""
        made = upgrade(protocols=offered, deflate=client)
        head, _ = HeadReader().feed(made.to_bytes()) or (b"", b"")
        answered = answer(parse_request_head(head), protocols=spoken, deflate=server)
        assert isinstance(answered, ServerAccepted)
        response, rest = self.read(answered.response)
        verdict = judge(made, response)
        assert isinstance(verdict, Accepted)
        self.assertEqual((verdict.protocol, verdict.deflate, rest), (answered.protocol, answered.deflate, b""))


if __name__ == "__main__":
    unittest.main()
