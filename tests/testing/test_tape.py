"""The file of a cassette: written as one reads it, and checked when it is read."""

from __future__ import annotations

import json
import os
import stat
import tempfile
import unittest
from pathlib import Path
from typing import Any, Dict, List
from unittest import mock

from tests.support import cases, with_cases
from wssync.protocol.headers import Headers
from wssync.testing.tape import (
    Answer,
    Asked,
    CassetteError,
    Closed,
    Conversation,
    Failure,
    HungUp,
    Raw,
    Said,
    escape,
    load,
    save,
)

WHOLE = [
    Conversation("ws://a.test/", failed=Failure("ConnectionRefused", "nobody", -1004)),
    Conversation("ws://a.test/", events=[HungUp("FIN")]),
    Conversation("ws://a.test/", request=Asked("GET", "/")),
    Conversation(
        "wss://b.test:8443/chat?room=1",
        request=Asked("GET", "/chat?room=1", Headers([("Upgrade", "websocket"), ("X", "1"), ("x", "2")])),
        informational=[Answer(103, "Early Hints", Headers({"Link": "</a>"}))],
        response=Answer(101, "Switching Protocols", Headers({"Upgrade": "websocket"}), has_accept=False),
        events=[
            Said("client", 'line\n\xe9\u4e2d\U0001f600 \u2028\U000e0001"'),
            Said("server", b"\0\1"),
            Raw(b"\xff"),
            Closed("client", 1000, "bye"),
            Closed("server", 1005),
        ],
    ),
    Conversation(
        "ws://a.test/",
        response=Answer(401, "Unauthorized", Headers({"WWW-Authenticate": "Basic"}), "n\xe4".encode(), "1.0"),
    ),
    Conversation("ws://a.test/", response=Answer(500, "", Headers(), b"\xff")),
    Conversation(
        "ws://a.test/",
        response=Answer(101, "", Headers([("Sec-WebSocket-Accept", "wrong")]), has_accept=False),
        events=[Closed("server", 1000), Closed("client", 1000)],
    ),
]

TEXT = """{
  "format": 1,
  "conversations": [
    {
      "url": "ws://a.test/",
      "failed": {
        "kind": "ConnectionRefused",
        "message": "nobody",
        "url_error_code": -1004
      }
    },
    {
      "url": "ws://a.test/",
      "events": [
        {"server hangs up": "FIN"}
      ]
    },
    {
      "url": "ws://a.test/",
      "request": {
        "method": "GET",
        "target": "/"
      },
      "events": []
    },
    {
      "url": "wss://b.test:8443/chat?room=1",
      "request": {
        "method": "GET",
        "target": "/chat?room=1",
        "headers": {
          "Upgrade": "websocket",
          "X": [
            "1",
            "2"
          ]
        }
      },
      "informational": [
        {
          "status": 103,
          "reason": "Early Hints",
          "headers": {
            "Link": "</a>"
          }
        }
      ],
      "response": {
        "status": 101,
        "reason": "Switching Protocols",
        "headers": {
          "Upgrade": "websocket",
          "Sec-WebSocket-Accept": []
        }
      },
      "events": [
        {"client": "line\\n\xe9\u4e2d\U0001f600 \\u2028\\udb40\\udc01\\""},
        {"server": {"base64": "AAE="}},
        {"server raw": {"base64": "/w=="}},
        {"client closes": [1000, "bye"]},
        {"server closes": []}
      ]
    },
    {
      "url": "ws://a.test/",
      "response": {
        "status": 401,
        "reason": "Unauthorized",
        "headers": {
          "WWW-Authenticate": "Basic"
        },
        "http_version": "1.0",
        "body": "n\xe4"
      }
    },
    {
      "url": "ws://a.test/",
      "response": {
        "status": 500,
        "reason": "",
        "headers": {},
        "body": {
          "base64": "/w=="
        }
      }
    },
    {
      "url": "ws://a.test/",
      "response": {
        "status": 101,
        "reason": "",
        "headers": {
          "Sec-WebSocket-Accept": "wrong"
        }
      },
      "events": [
        {"server closes": [1000]},
        {"client closes": [1000]}
      ]
    }
  ]
}
"""


class TapeTestCase(unittest.TestCase):
    """A folder for the time of the test."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.path = self.folder / "a.json"


class SavingTests(TapeTestCase):
    """`save`, and `load` of what it wrote."""

    def test_the_text_of_a_file(self) -> None:
        """Two spaces a level, one event a line, text that one can see as it is, keys in the order of a conversation."""
        save(str(self.path), WHOLE)
        self.assertEqual(self.path.read_bytes().decode(), TEXT)

    def test_what_was_written_is_read(self) -> None:
        """Every kind of conversation and event comes back equal."""
        self.path.write_bytes(TEXT.encode())
        self.assertEqual(load(str(self.path)), WHOLE)

    def test_no_conversation_is_a_cassette_too(self) -> None:
        """One that allows no connection."""
        save(str(self.path), [])
        self.assertEqual(load(str(self.path)), [])

    def test_folders_are_made(self) -> None:
        """A cassette may be the first of its folder."""
        path = self.folder / "new" / "newer" / "a.json"
        save(str(path), [])
        self.assertTrue(path.exists())

    def test_a_name_alone_is_a_file_in_the_working_directory(self) -> None:
        """No folder is to be made then."""
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        os.chdir(self.folder)
        save("b.json", [])
        self.assertTrue((self.folder / "b.json").exists())

    def test_the_old_file_stays_when_writing_fails(self) -> None:
        """Whole or not at all; nothing else is left in the folder."""
        self.path.write_text("old")
        with mock.patch("os.replace", side_effect=OSError("disk full")), self.assertRaisesRegex(OSError, "disk full"):
            save(str(self.path), WHOLE)
        self.assertEqual(self.path.read_text(), "old")
        self.assertEqual(os.listdir(self.folder), ["a.json"])

    def test_a_folder_that_cannot_be_written_is_an_error(self) -> None:
        """OSError, also when there is no temporary file to remove."""
        with mock.patch("builtins.open", side_effect=PermissionError("no")), self.assertRaises(PermissionError):
            save(str(self.path), WHOLE)
        self.assertEqual(os.listdir(self.folder), [])

    @unittest.skipUnless(os.name == "posix", "permissions are of POSIX")
    def test_the_file_has_usual_permissions(self) -> None:
        """It is for everybody who works on the tests, as the process's mask has it."""
        before = os.umask(0o022)
        self.addCleanup(os.umask, before)
        save(str(self.path), [])
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o644)

    def test_escape_shows_what_cannot_be_seen(self) -> None:
        """Controls, odd spaces and bidirectional marks are escaped as JSON does it."""
        self.assertEqual(escape("a\xe9 \xa0\x7f\u202e\U0001f600"), "a\xe9 \\u00a0\\u007f\\u202e\U0001f600")


def one(**parts: Any) -> Dict[str, Any]:
    return {"format": 1, "conversations": [{"url": "ws://a.test/", **parts}]}


def events(*values: Any) -> Dict[str, Any]:
    return one(events=list(values))


def answer(**parts: Any) -> Dict[str, Any]:
    return one(response=parts)


@with_cases
class LoadingTests(TapeTestCase):
    """`load` of what somebody wrote."""

    def load(self, top: Any) -> List[Conversation]:
        self.path.write_text(json.dumps(top), encoding="utf-8")
        return load(str(self.path))

    def test_little_is_enough(self) -> None:
        """What is left out has its default: GET, the URL's target, any header fields, no reason, no message."""
        top = {
            "format": 1,
            "conversations": [
                {"url": "WS://A.test:80"},
                {"url": "ws://a.test/x?y", "request": {}, "response": {"status": 101}},
                {"url": "ws://a.test/", "failed": {"kind": "HostNotFound"}},
                {"url": "ws://user:secret@a.test/"},
            ],
        }
        self.assertEqual(
            self.load(top),
            [
                Conversation("ws://a.test/"),
                Conversation("ws://a.test/x?y", request=Asked("GET", "/x?y"), response=Answer(101, "", Headers())),
                Conversation("ws://a.test/", failed=Failure("HostNotFound", "", -1003)),
                Conversation("ws://a.test/"),
            ],
        )

    def test_a_byte_order_mark_is_no_harm(self) -> None:
        """Some editors write one."""
        self.path.write_bytes(b'\xef\xbb\xbf{"format": 1, "conversations": []}')
        self.assertEqual(load(str(self.path)), [])

    def test_an_empty_reason_is_none(self) -> None:
        """As on the wire."""
        self.assertEqual(self.load(events({"client closes": [1000, ""]}))[0].events, [Closed("client", 1000)])

    def test_a_missing_file(self) -> None:
        """OSError, like any file."""
        with self.assertRaises(FileNotFoundError):
            load(str(self.path))

    @cases(
        empty=(b"", "Expecting value: line 1"),
        cut=(b'{"format": 1,\n "conversations": [', "Expecting value: line 2"),
        not_utf8=(b"\xff", "can't decode"),
        a_key_twice=(b'{"format": 1, "conversations": [{"url": "ws://a/", "url": ""}]}', "'url' stands twice"),
        deep=(b"[" * 100_000, "recursion|Expecting|nested"),
    )
    def test_what_is_no_json(self, content: bytes, problem: str) -> None:
        """The file and JSON's own complaint are named."""
        self.path.write_bytes(content)
        with self.assertRaisesRegex(CassetteError, f"a.json: not a cassette, for it is no JSON: .*({problem})"):
            load(str(self.path))

    @cases(
        a_list=([], 'not a cassette, which is an object with "format"'),
        something_else=({"name": "x"}, 'not a cassette, which is an object with "format"'),
        newer=({"format": 2}, "format 2 is unknown, this version reads format 1"),
        a_bool=({"format": True}, "format true is unknown"),
        a_float=({"format": 1.0}, "format 1.0 is unknown"),
        bare=({"format": 1}, '"conversations" is missing'),
        an_object=({"format": 1, "conversations": {}}, '"conversations" should be a list, not {}'),
        extra=({"format": 1, "conversations": [], "x": 1}, 'the file: "x" is unknown there; known are format, conv'),
        number=({"format": 1, "conversations": [1]}, "conversation 1 should be an object, not 1"),
        no_url=({"format": 1, "conversations": [{}]}, 'conversation 1, "url" is missing'),
        bad_url=({"format": 1, "conversations": [{"url": "http://a/"}]}, "conversation 1: the scheme of a WebSocket"),
        second=(
            {"format": 1, "conversations": [{"url": "ws://a/"}, {"url": 5}]},
            'conversation 2, "url" should be a text, not 5',
        ),
        a_slip=(one(event=[]), 'conversation 1: "event" is unknown there'),
        failed_and_more=(one(failed={"kind": "TLSError"}, events=[]), 'what has "failed" has nothing else'),
        failed_text=(one(failed="x"), '"failed" should be an object, not "x"'),
        kind=(one(failed={"kind": "KeyError"}), '"kind" is one of Cancelled, .*, not "KeyError"'),
        no_kind=(one(failed={}), '"failed", "kind" is missing'),
        code=(one(failed={"kind": "TLSError", "url_error_code": "x"}), '"url_error_code" should be a whole number'),
        request=(one(request=[]), 'conversation 1, "request" should be an object, not \\[\\]'),
        method=(one(request={"method": "G T"}), '"request": .*no HTTP method'),
        target=(one(request={"target": "a b"}), '"request": the request target has a character'),
        header_list=(one(request={"headers": []}), '"headers" should be an object of header fields, not \\[\\]'),
        header_name=(one(request={"headers": {"a b": "x"}}), '"headers": .* is no name for a header field'),
        header_value=(one(request={"headers": {"a": 1}}), '"headers": the value of a is a str, not int'),
        header_values=(one(request={"headers": {"a": ["x", "\n"]}}), '"headers": the value of a has a character'),
        informational=(one(informational={}), '"informational" should be a list'),
        informational_final=(one(informational=[{"status": 200}]), "informational 1: 200 is the status of a final"),
        informational_switch=(one(informational=[{"status": 101}]), "informational 1: 101 is the status of a final"),
        no_status=(answer(), '"response", "status" is missing'),
        status_bool=(answer(status=True), '"status" should be a whole number, not true'),
        status_early=(answer(status=100), '"response": 100 is not the status of a final response'),
        status_high=(answer(status=1000), '"response": 1000 is no HTTP status'),
        reason=(answer(status=400, reason="\n"), '"response": the reason has a character'),
        version=(answer(status=400, http_version="2"), '"http_version" is "1.0" or "1.1"'),
        body=(answer(status=400, body=7), '"body" should be a text, not 7'),
        body_key=(answer(status=400, body={"base46": ""}), '"body": "base46" is unknown there; known are base64'),
        refused_events=(one(response={"status": 400}, events=[{"server": "x"}]), 'a refusal has no "events"'),
        events_object=(one(events={}), '"events" should be a list, not {}'),
        event_text=(events("x"), 'conversation 1, event 1 should be an object with one entry, not "x"'),
        event_two=(events({"client": "a"}, {"client": "a", "server": "b"}), "event 2 should be an object with one"),
        event_unknown=(events({"clinet": "a"}), 'event 1: {"clinet": "a"} is no event'),
        event_long=(events({"x": "y" * 100}), 'event 1: {"x": "y{53}\\.\\.\\. is no event'),
        message=(events({"client": 1}), "event 1 should be a text, not 1"),
        nothing=(events({"client": None}), "event 1 is missing"),
        no_base64=(events({"client": {}}), 'event 1, "base64" is missing'),
        bad_base64=(events({"client": {"base64": "A"}}), 'event 1: "A" is no base64'),
        odd_base64=(events({"client": {"base64": "\xe9"}}), 'event 1: "\xe9" is no base64'),
        raw_text=(events({"server raw": "x"}), "event 1: .* is no event"),
        hang_up=(events({"server hangs up": True}), "event 1: .* is no event"),
        surrogate=(events({"client": "\ud800"}), "event 1 has half a surrogate pair"),
        close_number=(events({"client closes": 1000}), "event 1: a Close should be a list, not 1000"),
        close_long=(events({"client closes": [1000, "a", "b"]}), r"event 1: a Close is \[code, reason\]"),
        close_code=(events({"client closes": [1005]}), "event 1: close code 1005 must not be sent"),
        close_text=(events({"client closes": ["a"]}), "event 1: the code of a Close should be a whole number"),
        close_reason=(events({"client closes": [1000, 1]}), "event 1: the reason of a Close should be a text"),
        close_reason_long=(events({"client closes": [1000, "a" * 124]}), "event 1: a close reason has at most 123"),
        close_twice=(
            events({"client closes": []}, {"server": "x"}, {"client closes": []}),
            "event 3: nothing may follow the Close of the client",
        ),
        after_our_close=(
            events({"client closes": []}, {"client": "x"}),
            "event 2: nothing may follow the Close of the cl",
        ),
        after_its_close=(
            events({"server closes": []}, {"server": "x"}),
            "event 2: nothing may follow the Close of the se",
        ),
        unheard=(events({"server closes": []}, {"client": "x"}), "event 2: nothing may follow the Close of the server"),
        cut_after_close=(
            events({"server closes": []}, {"server hangs up": "RST"}),
            "event 2: nothing may follow the Close of the server",
        ),
        after_the_end=(
            events({"server hangs up": "RST"}, {"client closes": []}),
            "event 2: nothing may follow the end of the connection",
        ),
        message_after_the_end=(
            events({"server hangs up": "FIN"}, {"client": "x"}),
            "event 2: nothing may follow the end of the connection",
        ),
    )
    def test_what_is_wrong_is_told_with_its_place(self, top: Any, problem: str) -> None:
        """A CassetteError that names the file and the place in it, whatever the slip."""
        with self.assertRaisesRegex(CassetteError, f"a.json: .*{problem}"):
            self.load(top)

    def test_a_secret_in_a_bad_url_is_not_shown(self) -> None:
        """The user name and the password of a URL are in no message."""
        with self.assertRaises(CassetteError) as caught:
            self.load({"format": 1, "conversations": [{"url": "ws://user:secret@a.test:x/"}]})
        self.assertNotIn("secret", str(caught.exception))
