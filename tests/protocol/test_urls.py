"""`wssync.protocol.urls`: what is a WebSocket URL, what it means, and what it never shows."""

from __future__ import annotations

import dataclasses
import itertools
import pickle
import time
import unittest
from typing import Optional
from unittest import mock

from tests.support import cases, with_cases
from wssync.errors import InvalidURL
from wssync.protocol.urls import WebSocketURL, mask_secrets, parse_url

LABEL = "a" * 63
NAME_253 = ".".join([LABEL, LABEL, LABEL, "a" * 61])


@with_cases
class AcceptedURLTests(unittest.TestCase):
    """What `parse_url` takes, and how it normalizes it."""

    @cases(
        plain=("ws://example.com/", "ws", "example.com", 80, "/"),
        secure=("wss://example.com/", "wss", "example.com", 443, "/"),
        no_path=("ws://example.com", "ws", "example.com", 80, "/"),
        query_without_path=("ws://example.com?a=b", "ws", "example.com", 80, "/?a=b"),
        upper_case_scheme=("WSS://example.com/", "wss", "example.com", 443, "/"),
        mixed_scheme=("Ws://example.com/", "ws", "example.com", 80, "/"),
        port=("ws://example.com:8080/chat", "ws", "example.com", 8080, "/chat"),
        default_port_written=("ws://example.com:80/", "ws", "example.com", 80, "/"),
        other_scheme_s_port=("ws://example.com:443/", "ws", "example.com", 443, "/"),
        port_1=("ws://h:1/", "ws", "h", 1, "/"),
        port_65535=("ws://h:65535/", "ws", "h", 65535, "/"),
        port_with_zeros=("ws://h:0080/", "ws", "h", 80, "/"),
        empty_port=("ws://h:/", "ws", "h", 80, "/"),
        empty_port_secure=("wss://h:", "wss", "h", 443, "/"),
        single_label=("ws://localhost:9001", "ws", "localhost", 9001, "/"),
        ipv4=("ws://127.0.0.1:5000/x", "ws", "127.0.0.1", 5000, "/x"),
        ipv6=("ws://[::1]/x", "ws", "::1", 80, "/x"),
        ipv6_port=("wss://[2001:db8::1]:8443/x", "wss", "2001:db8::1", 8443, "/x"),
        ipv6_empty_port=("ws://[::1]:/x", "ws", "::1", 80, "/x"),
        path_and_query=("ws://h/a/b?c=d&e=f", "ws", "h", 80, "/a/b?c=d&e=f"),
        second_question_mark=("ws://h/a?b?c", "ws", "h", 80, "/a?b?c"),
        slashes_in_query=("ws://h?u=http://x/y", "ws", "h", 80, "/?u=http://x/y"),
        double_slash_in_path=("ws://h//a//b", "ws", "h", 80, "//a//b"),
        dot_segments_stay=("ws://h/a/../b/./c", "ws", "h", 80, "/a/../b/./c"),
        well_known=("wss://h/.well-known/x", "wss", "h", 443, "/.well-known/x"),
        at_in_path=("ws://h/@me", "ws", "h", 80, "/@me"),
        colon_in_path=("ws://h/a:b", "ws", "h", 80, "/a:b"),
    )
    def test_parts(self, text: str, scheme: str, host: str, port: int, target: str) -> None:
        """Rule 26: scheme, host, port and target are found; an empty path is "/" (RFC 6455 section 3)."""
        url = parse_url(text)
        self.assertEqual((url.scheme, url.host, url.port, url.target), (scheme, host, port, target))
        self.assertEqual((url.user, url.password), (None, None))

    @cases(
        upper_case=("EXAMPLE.Com", "example.com"),
        underscore=("_service.a_b", "_service.a_b"),
        hyphens=("-a-.b--c", "-a-.b--c"),
        digits_first=("1a.2b", "1a.2b"),
        number_not_last=("1.2.3.4.example", "1.2.3.4.example"),
        number_with_letters_last=("a.1b", "a.1b"),
        ace=("xn--bcher-kva.example", "xn--bcher-kva.example"),
        upper_case_ace=("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
        root_dot=("example.com.", "example.com."),
        umlaut=("b\u00fccher.example", "xn--bcher-kva.example"),
        upper_case_umlaut=("B\u00dcCHER.example", "xn--bcher-kva.example"),
        decomposed_umlaut=("bu\u0308cher.example", "xn--bcher-kva.example"),
        sharp_s_is_its_own_letter=("fa\u00df.de", "xn--fa-hia.de"),
        final_sigma=("\u03b2\u03cc\u03bb\u03bf\u03c2.com", "xn--nxasmm1c.com"),
        japanese=("\u65e5\u672c.jp", "xn--wgv71a.jp"),
        ideographic_dot=("a\u3002example", "a.example"),
        fullwidth_dot=("a\uff0eexample", "a.example"),
        halfwidth_dot=("a\uff61example", "a.example"),
        fullwidth_letters=("\uff45\uff58.com", "ex.com"),
        kelvin_sign=("\u212a.com", "k.com"),
        soft_hyphen_vanishes=("ex\u00adample.com", "example.com"),
        root_dot_after_umlaut=("\u00fc.de.", "xn--tda.de."),
        fullwidth_digits_are_an_address=("\uff11\uff12\uff17.0.0.1", "127.0.0.1"),
        longest_label=(LABEL + ".com", LABEL + ".com"),
        longest_name=(NAME_253, NAME_253),
        longest_name_and_root=(NAME_253 + ".", NAME_253 + "."),
        ipv4_smallest=("0.0.0.0", "0.0.0.0"),
        ipv4_largest=("255.255.255.255", "255.255.255.255"),
        ipv4_each_form=("249.199.99.9", "249.199.99.9"),
        ipv6_long=("[2001:0DB8:0:0:0:0:0:1]", "2001:db8::1"),
        ipv6_any=("[::]", "::"),
        ipv6_upper_case=("[FE80::ABCD]", "fe80::abcd"),
        ipv6_dotted=("[64:ff9b::192.0.2.1]", "64:ff9b::c000:201"),
        ipv6_mapped=("[::ffff:1.2.3.4]", "::ffff:102:304"),
        ipv6_mapped_hex=("[::FFFF:0102:0304]", "::ffff:102:304"),
    )
    def test_hosts(self, written: str, host: str) -> None:
        """Each spelling of a host comes to the one that resolvers and certificates know (RFC 5891, UTS 46)."""
        self.assertEqual(parse_url(f"ws://{written}/").host, host)
        self.assertEqual(parse_url(f"wss://u:p@{written}:1234?q").host, host)

    @cases(
        space=("/a b", "/a%20b"),
        space_in_query=("/?a b", "/?a%20b"),
        umlaut=("/\u00fc", "/%C3%BC"),
        astral=("/\U0001f600", "/%F0%9F%98%80"),
        in_query=("/?q=\u20ac", "/?q=%E2%82%AC"),
        no_break_space=("/\u00a0x", "/%C2%A0x"),
        line_separator=("/\u2028x", "/%E2%80%A8x"),
        escapes_stay=("/%41%2f%C3%bc", "/%41%2f%C3%bc"),
        lone_percent=("/100%", "/100%25"),
        percent_and_letter=("/%4", "/%254"),
        percent_and_no_hex=("/%zz", "/%25zz"),
        double_percent=("/%%41", "/%25%41"),
        brackets=("/a[1]?b[2]", "/a%5B1%5D?b%5B2%5D"),
        quotes=("/\"'", "/%22'"),
        angle=("/<>", "/%3C%3E"),
        braces=("/{}|", "/%7B%7D%7C"),
        caret_and_backtick=("/^`", "/%5E%60"),
        all_that_is_allowed=("/-._~!$&'()*+,;=:@?/?", "/-._~!$&'()*+,;=:@?/?"),
        plus_stays=("/?a+b", "/?a+b"),
        empty_query=("/a?", "/a"),
        empty_query_alone=("?", "/"),
        fullwidth_question_mark=("/\uff1fa", "/%EF%BC%9Fa"),
    )
    def test_targets(self, written: str, target: str) -> None:
        """Path and query go out as ASCII: what is no URL character is percent-encoded UTF-8, escapes are kept."""
        self.assertEqual(parse_url("ws://h" + written).target, target)

    @cases(
        both=("user:secret@", "user", "secret"),
        user_alone=("user@", "user", None),
        empty_password=("user:@", "user", ""),
        empty_user=(":secret@", "", "secret"),
        both_empty=(":@", "", ""),
        nothing=("@", None, None),
        colons_in_password=("user:a:b@", "user", "a:b"),
        escaped_at=("us%40er:p%40ss@", "us@er", "p@ss"),
        escaped_colon=("us%3Aer:p@", "us:er", "p"),
        escaped_slash=("u:%2F%3f%23@", "u", "/?#"),
        escaped_percent=("u:100%25@", "u", "100%"),
        escaped_utf8=("%C3%BC:%E2%82%AC@", "\u00fc", "\u20ac"),
        bare_umlaut=("\u00fc:\u00e9@", "\u00fc", "\u00e9"),
        plus_is_a_plus=("a+b:c+d@", "a+b", "c+d"),
    )
    def test_userinfo(self, written: str, user: Optional[str], password: Optional[str]) -> None:
        """Userinfo is percent-decoded; what is not there is None."""
        url = parse_url(f"ws://{written}h:81/x")
        self.assertEqual((url.user, url.password), (user, password))
        self.assertEqual((url.host, url.port, url.target), ("h", 81, "/x"))


@with_cases
class RefusedURLTests(unittest.TestCase):
    """What `parse_url` refuses."""

    @cases(
        http="http://example.com/",
        https="https://example.com/",
        upper_case="HTTPS://example.com/",
        ftp="ftp://example.com/",
        file="file:///etc/passwd",
        wsx="wsx://example.com/",
        host_and_port_alone="localhost:8080/chat",
        plus="ws+unix://socket",
        opaque="mailto:a@b",
    )
    def test_other_schemes(self, text: str) -> None:
        """Rule 8: only ws and wss are WebSocket URLs; the code is Foundation's unsupportedURL."""
        with self.assertRaisesRegex(InvalidURL, "ws or wss") as caught:
            parse_url(text)
        self.assertEqual(caught.exception.url_error_code, -1002)

    @cases(
        empty=("", "begins with"),
        no_scheme=("example.com/chat", "begins with"),
        slashes_alone=("//example.com/", "begins with"),
        path_alone=("/chat", "begins with"),
        scheme_from_a_digit=("1ws://h", "begins with"),
        colon_alone=("://h", "begins with"),
        no_slashes=("ws:example.com", "no //"),
        one_slash=("ws:/example.com", "no //"),
        backslashes=("ws:\\\\example.com", "backslash"),
        backslash_in_host=("ws://example.com\\@evil.example", "backslash"),
        backslash_in_path=("ws://h/a\\b", "backslash"),
        no_host=("ws://", "no host"),
        no_host_but_path=("ws:///chat", "no host"),
        no_host_but_query=("ws://?a", "no host"),
        no_host_but_port=("ws://:80/", "no host"),
        no_host_but_user=("ws://user:pw@/", "no host"),
        scheme_alone=("ws:", "no //"),
        fragment=("ws://h/a#b", "fragment"),
        empty_fragment=("ws://h/#", "fragment"),
        fragment_after_host=("ws://h#b", "fragment"),
        fragment_hiding_a_host=("ws://good#@evil/", "fragment"),
        port_0=("ws://h:0/", "port"),
        port_00000=("ws://h:00000/", "port"),
        port_65536=("ws://h:65536/", "port"),
        port_of_6_digits=("ws://h:100000/", "port"),
        port_of_5000_digits=("ws://h:" + "9" * 5000 + "/", "port"),
        port_letters=("ws://h:http/", "port"),
        port_negative=("ws://h:-1/", "port"),
        port_plus=("ws://h:+80/", "port"),
        port_underscore=("ws://h:8_0/", "port"),
        port_arabic_digits=("ws://h:\u0668\u0660/", "port"),
        port_superscript=("ws://h:8\u00b2/", "port"),
        port_decimal=("ws://h:80.0/", "port"),
        two_ports=("ws://h:80:81/", "colons"),
        bare_ipv6=("ws://::1/", "colons"),
        bare_ipv6_port=("ws://2001:db8::1:80/", "colons"),
        open_bracket=("ws://[::1/", "between"),
        close_bracket=("ws://::1]/", "colons"),
        text_behind_bracket=("ws://[::1]x/", "between"),
        digits_behind_bracket=("ws://[::1]80/", "between"),
        bracket_not_first=("ws://a[::1]/", "colons"),
        empty_brackets=("ws://[]/", "IPv6"),
        name_in_brackets=("ws://[example]/", "IPv6"),
        ipv4_in_brackets=("ws://[127.0.0.1]/", "IPv6"),
        ipv6_too_long=("ws://[1:2:3:4:5:6:7:8:9]/", "IPv6"),
        ipv6_two_gaps=("ws://[1::2::3]/", "IPv6"),
        ipv6_bad_digit=("ws://[::g]/", "IPv6"),
        ipv6_future=("ws://[v1.x]/", "IPv6"),
        zone_id=("ws://[fe80::1%25eth0]/", "zone"),
        bare_zone_id=("ws://[fe80::1%eth0]/", "zone"),
        percent_in_host=("ws://ex%61mple/", "%"),
        escaped_slash_in_host=("ws://a%2Fb/", "%"),
        escaped_nul_in_host=("ws://a%00b/", "%"),
        empty_label=("ws://a..b/", "empty"),
        leading_dot=("ws://.a/", "empty"),
        dot_alone=("ws://./", "empty"),
        two_dots=("ws://../", "empty"),
        two_root_dots=("ws://a../", "empty"),
        long_label=("ws://" + LABEL + "a/", "longer than 63"),
        long_unicode_label=("ws://" + "\u00fc" * 64 + "/", "longer than 63"),
        long_label_once_encoded=("ws://" + "\u00fc" * 60 + "\u65e5/", "longer|long"),
        long_name=("ws://" + NAME_253 + "a/", "longer than 253"),
        long_name_of_short_labels=("ws://" + "a." * 127 + "a/", "longer than 253"),
        long_name_of_unicode=("ws://" + "\u00fc." * 130 + "a/", "longer than 253"),
        star=("ws://*.example/", "character"),
        comma=("ws://a,b/", "character"),
        tilde=("ws://a~b/", "character"),
        dollar=("ws://a$b/", "character"),
        quote=("ws://a'b/", "character"),
        parenthesis=("ws://a(b)/", "character"),
        less=("ws://<h>/", "character"),
        caret=("ws://a^b/", "character"),
        pipe=("ws://a|b/", "character"),
        brace=("ws://{h}/", "character"),
        semicolon=("ws://a;b/", "character"),
        equals=("ws://a=b/", "character"),
        emoji=("ws://\U0001f600.example/", "international"),
        fullwidth_slash=("ws://a\uff0fb.example/", "international|character"),
        fullwidth_at=("ws://a\uff20b.example/", "international|character"),
        fullwidth_colon=("ws://a\uff1a80/", "international|character"),
        fullwidth_question=("ws://a\uff1fb.example/", "international|character"),
        fullwidth_hash=("ws://a\uff03b.example/", "international|character"),
        fullwidth_percent=("ws://a\uff05b.example/", "international|character"),
        care_of_sign=("ws://\u2100.example/", "international|character"),
        joiner_alone=("ws://\u200d.example/", "international"),
        combining_mark_first=("ws://\u0308a.example/", "international"),
        underscore_beside_umlaut=("ws://\u00fc_b.example/", "international"),
        mixed_directions=("ws://a\u05d0.example/", "international"),
        short_address=("ws://127.1/", "IPv4"),
        number_alone=("ws://2130706433/", "IPv4"),
        hexadecimal=("ws://0x7f000001/", "IPv4"),
        hexadecimal_last=("ws://127.0.0.0x1/", "IPv4"),
        octal=("ws://0177.0.0.1/", "IPv4"),
        zeros_in_address=("ws://127.0.0.01/", "IPv4"),
        octet_256=("ws://127.0.0.256/", "IPv4"),
        octet_too_long=("ws://1270.0.0.1/", "IPv4"),
        five_octets=("ws://1.2.3.4.5/", "IPv4"),
        three_octets=("ws://1.2.3/", "IPv4"),
        number_last=("ws://example.1/", "IPv4"),
        hexadecimal_prefix_last=("ws://example.0x/", "IPv4"),
        address_and_root_dot=("ws://127.0.0.1./", "IPv4"),
        two_ats=("ws://user:p@ss@h/", "%40"),
        at_of_another_host=("ws://good.example@evil.example@h/", "%40"),
        bad_escape_in_password=("ws://u:100%@h/", "%25"),
        bad_escape_in_user=("ws://u%zz@h/", "%25"),
        escaped_line_feed_in_user=("ws://u%0A:p@h/", "UTF-8"),
        escaped_nul_in_password=("ws://u:p%00@h/", "UTF-8"),
        escaped_del_in_password=("ws://u:p%7f@h/", "UTF-8"),
        escaped_bad_utf8=("ws://u:%FF@h/", "UTF-8"),
        escaped_surrogate=("ws://u:%ED%A0%80@h/", "UTF-8"),
    )
    def test_malformed(self, text: str, why: str) -> None:
        """Rules 9 and 10: a URL that is not wholly understood is refused with badURL, and the error says why."""
        with self.assertRaisesRegex(InvalidURL, why) as caught:
            parse_url(text)
        self.assertEqual(caught.exception.url_error_code, -1000)

    @cases(
        [
            (f"{kind} {place}", (text.format(character),))
            for kind, character in (
                ("nul", "\0"),
                ("tab", "\t"),
                ("lf", "\n"),
                ("cr", "\r"),
                ("escape", "\x1b"),
                ("del", "\x7f"),
                ("c1", "\x85"),
                ("surrogate", "\ud800"),
            )
            for place, text in (
                ("in the scheme", "w{}s://h/"),
                ("in the host", "ws://a{}b/"),
                ("in the port", "ws://h:8{}0/"),
                ("in the path", "ws://h/a{}b"),
                ("in the query", "ws://h/?a{}b"),
                ("in the password", "ws://u:p{}@h/"),
                ("first", "{}ws://h/"),
                ("last", "ws://h/{}"),
            )
        ]
    )
    def test_control_characters(self, text: str) -> None:
        """Rule 31: a character that could end a line or is no text is refused wherever it stands."""
        with self.assertRaises(InvalidURL) as caught:
            parse_url(text)
        self.assertTrue(str(caught.exception).isprintable(), str(caught.exception))
        self.assertIsNotNone(caught.exception.url)
        self.assertTrue(str(caught.exception.url).isprintable())

    @cases(
        before=" ws://h/",
        after="ws://h/ ",
        no_break_after="ws://h/\u00a0",
        ideographic_before="\u3000ws://h/",
        before_host="ws:// h/",
        after_host="ws://h /",
        inside_host="ws://a b/",
        before_port="ws://h: 80/",
        after_port="ws://h:80 /",
        in_user="ws://a b@h/",
        in_password="ws://a:b c@h/",
        no_break_in_host="ws://a\u00a0b/",
        ideographic_in_host="ws://a\u3000b/",
        in_brackets="ws://[ ::1]/",
    )
    def test_whitespace(self, text: str) -> None:
        """Whitespace around the URL or in its authority is refused, not dropped or mapped."""
        with self.assertRaises(InvalidURL):
            parse_url(text)

    @cases(none=None, bytes=b"ws://h/", number=1, parsed=parse_url("ws://h/"))
    def test_what_is_no_text(self, value: object) -> None:
        """A URL is a str; anything else is the caller's mistake, a TypeError."""
        with self.assertRaisesRegex(TypeError, f"a URL is a str, not {type(value).__name__}"):
            parse_url(value)  # type: ignore[arg-type]

    def test_is_a_value_error(self) -> None:
        """`except ValueError` is enough to catch a bad URL."""
        with self.assertRaises(ValueError):
            parse_url("ws://")

    def test_the_reason_of_idna_is_kept(self) -> None:
        """The error of the encoder is the cause of ours."""
        with self.assertRaises(InvalidURL) as caught:
            parse_url("ws://\u0308a.example/")
        self.assertIsInstance(caught.exception.__cause__, UnicodeError)

    def test_long_hosts_never_reach_the_encoder(self) -> None:
        """A name of a hundred thousand characters is refused by its length, before IDNA is asked."""
        for host in ("\u00fc" * 100_000, "\u00fc." * 50_000, "\u0660" * 100_000):
            with self.assertRaisesRegex(InvalidURL, "longer than"):
                parse_url(f"ws://{host}/")


@with_cases
class PropertyTests(unittest.TestCase):
    """What is derived from the parts."""

    @cases(
        default=("ws://h/", "h"),
        default_secure=("wss://h/", "h"),
        default_written=("wss://h:443/", "h"),
        other=("ws://h:8080/", "h:8080"),
        swapped=("wss://h:80/", "h:80"),
        swapped_plain=("ws://h:443/", "h:443"),
        ipv4=("ws://127.0.0.1:81/", "127.0.0.1:81"),
        ipv6=("ws://[::1]/", "[::1]"),
        ipv6_port=("ws://[::1]:81/", "[::1]:81"),
        international=("ws://\u00fc.de:81/", "xn--tda.de:81"),
        userinfo=("ws://u:p@h:81/", "h:81"),
        root_dot=("ws://h./", "h."),
    )
    def test_host_header(self, text: str, expected: str) -> None:
        """Rule 27: `Host` has the port only if it is not the default; IPv6 keeps its brackets."""
        self.assertEqual(parse_url(text).host_header, expected)

    @cases(
        name=("ws://1.2.3.4.example/", False),
        ipv4=("ws://1.2.3.4/", True),
        ipv6=("ws://[::1]/", True),
        digits=("ws://1a/", False),
    )
    def test_is_ip_address(self, text: str, expected: bool) -> None:
        """An address is told from a name."""
        self.assertIs(parse_url(text).is_ip_address, expected)

    @cases(name=("ws://h/", "h"), root=("ws://h.example./", "h.example"), ipv6=("ws://[::1]/", "::1"))
    def test_server_name(self, text: str, expected: str) -> None:
        """TLS gets the name without the root's dot (RFC 6066 section 3)."""
        self.assertEqual(parse_url(text).server_name, expected)

    @cases(
        same=("ws://h/a", "ws://u:p@H:80/b", True),
        scheme=("ws://h:80/", "wss://h:80/", False),
        host=("ws://h/", "ws://g/", False),
        port=("ws://h/", "ws://h:81/", False),
        ipv6_spellings=("ws://[::1]/", "ws://[0:0::0:1]/", True),
        idna_spellings=("ws://\u00fc.de/", "ws://XN--TDA.de/", True),
        subdomain=("ws://h.example/", "ws://a.h.example/", False),
    )
    def test_origin(self, left: str, right: str, same: bool) -> None:
        """Rule 60: an origin is scheme, host and port, however spelled."""
        self.assertEqual(parse_url(left).origin == parse_url(right).origin, same)

    def test_secure(self) -> None:
        """wss is secure, ws is not."""
        self.assertTrue(parse_url("wss://h").secure)
        self.assertFalse(parse_url("ws://h").secure)

    @cases(
        bare=("ws://h", "ws://h/"),
        normalized=("WSS://H:443/a b", "wss://h/a%20b"),
        without_userinfo=("wss://user:secret@h:1/x?y", "wss://h:1/x?y"),
        ipv6=("ws://[0::1]:81", "ws://[::1]:81/"),
    )
    def test_str(self, text: str, expected: str) -> None:
        """`str()` is the whole URL without userinfo, and parses to the same place."""
        url = parse_url(text)
        self.assertEqual(str(url), expected)
        self.assertEqual(parse_url(str(url)), dataclasses.replace(url, user=None, password=None))

    def test_repr(self) -> None:
        """`repr()` shows neither user name nor password."""
        self.assertEqual(repr(parse_url("ws://user:secret@h/")), "WebSocketURL('ws://h/')")

    def test_is_a_value(self) -> None:
        """Equal, hashable, picklable, unchangeable."""
        url = parse_url("ws://user:secret@h/")
        self.assertEqual(url, parse_url("WS://user:secret@H:80"))
        self.assertNotEqual(url, parse_url("ws://h/"))
        self.assertEqual(len({url, parse_url("ws://user:secret@h/")}), 1)
        self.assertEqual(pickle.loads(pickle.dumps(url)), url)
        with self.assertRaises(dataclasses.FrozenInstanceError):
            url.host = "g"  # type: ignore[misc]

    def test_type(self) -> None:
        """`parse_url` returns the class with the documented name."""
        self.assertIs(type(parse_url("ws://h")), WebSocketURL)


SECRET = "s3cr3t"


class UsualTests(unittest.TestCase):
    """URLs that need nothing put right are read in one look, with the same result as by the long way."""

    SCHEMES = ("ws", "WSS")
    NAMES = ("example.com", "a_b.x-1", "1.example", "a.1", "a.0x7f", "a..b", "a.", "-", "a.-b", "h%41", "H", "")
    HOSTS = (*NAMES, "127.0.0.1", "127.1", "1.2.3.256", "x" * 63, "x" * 64, "x." * 32 + "x", "u@h", "[::1]")
    PORTS = ("", ":", ":0", ":80", ":0080", ":65535", ":65536", ":000443")
    TARGETS = ("", "/", "/a;b=(c)@!", "/a//b", "/%41", "/ ", "?", "/?", "?q", "/p?q=/?&r", "#f", "/\\", "/\n", "/\xe9")

    def read(self, text: str) -> object:
        try:
            url = parse_url(text)
        except InvalidURL as error:
            return str(error), error.url_error_code
        return url, str(url), url.host_header

    def test_both_ways_are_one(self) -> None:
        """Whatever scheme, host, port and target are put together."""
        parts = itertools.product(self.SCHEMES, self.HOSTS, self.PORTS, self.TARGETS)
        texts = [f"{scheme}://{host}{port}{target}" for scheme, host, port, target in parts]
        found = [self.read(text) for text in texts]
        with mock.patch("wssync.protocol.urls._parse_usual", return_value=None):
            self.assertEqual(found, [self.read(text) for text in texts])


@with_cases
class SecretTests(unittest.TestCase):
    """No error and no `repr` shows userinfo."""

    @cases(
        other_scheme=f"http://user:{SECRET}@h/",
        bad_port=f"ws://user:{SECRET}@h:0/",
        slash_in_password=f"ws://user:{SECRET}/x@h/",
        question_mark_in_password=f"ws://user:{SECRET}?x@h/",
        hash_in_password=f"ws://user:{SECRET}#x@h/",
        at_in_password=f"ws://user:{SECRET}@x@h/",
        space_in_password=f"ws://user:{SECRET} x@h/",
        backslash_in_password=f"ws://user:{SECRET}\\x@h/",
        percent_in_password=f"ws://user:{SECRET}%@h/",
        bad_utf8_in_password=f"ws://user:{SECRET}%FF@h/",
        surrogate_in_password=f"ws://user:{SECRET}\ud800@h/",
        control_in_password=f"ws://user:{SECRET}\x00@h/",
        no_slashes=f"ws:user:{SECRET}@h/",
        no_scheme=f"user:{SECRET}@h/",
        space_first=f" ws://user:{SECRET}@h/",
        international=f"ws://user:{SECRET}@\u0308.example/",
        no_host=f"ws://user:{SECRET}@",
    )
    def test_errors(self, text: str) -> None:
        """The message, `url`, the cause and the context of the error are free of the password, however misplaced."""
        with self.assertRaises(InvalidURL) as caught:
            parse_url(text)
        error: Optional[BaseException] = caught.exception
        self.assertNotIn(SECRET, str(caught.exception.url))
        while error is not None:
            self.assertNotIn(SECRET, str(error))
            self.assertNotIn(SECRET, repr(error))
            error = error.__cause__ or error.__context__

    @cases(
        scheme_kept=("http://user:pw@h/x", "http://h/x"),
        without_userinfo=("http://h/x", "http://h/x"),
        clipped=("http://h/" + "x" * 1000, "http://h/" + "x" * 191 + "..."),
        not_clipped=("http://h/" + "x" * 191, "http://h/" + "x" * 191),
        control=("ws://h/\x1b[31m", "ws://h/\\x1b[31m"),
        at_in_path=("ftp://h/@x", "ftp://x"),
    )
    def test_url_of_the_error(self, text: str, expected: str) -> None:
        """`url` of the error is what was given, without what may be userinfo, printable and not too long."""
        with self.assertRaises(InvalidURL) as caught:
            parse_url(text)
        self.assertEqual(caught.exception.url, expected)
        self.assertIn(repr(expected), str(caught.exception))

    @cases(
        nothing=("ws://h/x", "ws://h/x"),
        both=("wss://user:pw@h:1/x", "wss://***@h:1/x"),
        user=("ws://user@h", "ws://***@h"),
        at_in_path=("ws://h/@me", "ws://h/@me"),
        at_in_later_slashes=("ws://h//u@me", "ws://h//u@me"),
        at_in_query=("ws://h?a@b", "ws://h?a@b"),
        both_ats=("ws://u@h/@me", "ws://***@h/@me"),
        no_url=("hello", "hello"),
    )
    def test_masked_userinfo(self, text: str, expected: str) -> None:
        """`mask_secrets` replaces the userinfo and nothing else of a URL without a query."""
        self.assertEqual(mask_secrets(text), expected)

    def test_masked_parameters(self) -> None:
        """Nor does a `repr`, or an error about another fault, show a token in the query."""
        self.assertEqual(repr(parse_url(f"ws://h/?a=1&token={SECRET}")), "WebSocketURL('ws://h/?a=1&token=***')")
        with self.assertRaises(InvalidURL) as caught:
            parse_url(f"ws://h:0/?a=1&token={SECRET}")
        self.assertIn("'ws://h:0/?a=1&token=***'", str(caught.exception))

    def test_names_of_secrets(self) -> None:
        """In whatever case, also in letters that only count as the same."""
        parts = "token", "client_secret", "passwd", "pwd", "oauth", "api-key", "accessKey", "X-Signature", "credentials"
        whole = "session", "jwt", "ticket", "key", "sig", "code", "sid", "pass", "\u017fecret", "to\u212aen", "s\u0131g"
        for name in (*parts, *whole):
            with self.subTest(name):
                self.assertEqual(mask_secrets(f"/?{name}=1;{name.upper()}=2"), f"/?{name}=***;{name.upper()}=***")
        for name in ("monkey", "design", "coder", "side", "bypass"):
            with self.subTest(name):
                self.assertEqual(mask_secrets(f"/?{name}=1"), f"/?{name}=1")

    @cases(
        question_marks="/?token" * 10_000,
        semicolons="/" + ";token" * 10_000,
        one_name="/?" + "token" * 10_000,
        names="/?" + "=token;" * 10_000,
        schemes="://" * 20_000 + "@",
        at_signs="://" + "@" * 50_000,
    )
    def test_masking_takes_linear_time(self, text: str) -> None:
        """A server writes what a trace shows (Location): it must not be able to keep the client busy with that."""
        started = time.process_time()
        for end in ("", "=", "=1", "@"):
            mask_secrets(text + end)
        self.assertLess(time.process_time() - started, 2.0)


if __name__ == "__main__":
    unittest.main()
