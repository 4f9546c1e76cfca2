"""What README.md shows is true: its programs run, its tables have every name, and nothing that is not there."""

from __future__ import annotations

import dataclasses
import inspect
import re
import tempfile
import textwrap
import unittest
from pathlib import Path
from typing import List, Set

import wssync
from tests import architecture
from tests.test_examples import EXAMPLES, OUTPUT, run, takes_a_url
from wssync import executors, testing
from wssync.cli.arguments import _talk_parser
from wssync.testing import Cassette, Server, echo, expect, script

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> List[str]:
    """The code blocks in that language."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    return [block for which, block in found if which == language]


def section(title: str) -> str:
    """The text below a heading, up to the next."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", README, re.DOTALL | re.MULTILINE)
    assert found is not None, title
    return found[1]


def code_words(text: str) -> Set[str]:
    """The words that are marked as code."""
    return {word for code in re.findall(r"`([^`\n]+)`", text) for word in re.findall(r"\w+", code)}


PROGRAMS = ("hello", "handlers", "unittest_example")
"""The examples that are shown whole, in this order."""


class ProgramTests(unittest.TestCase):
    def test_the_programs_are_the_examples(self) -> None:
        """The first Python blocks are examples to the letter."""
        files = [(ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8") for name in PROGRAMS]
        self.assertEqual(blocks("python")[: len(PROGRAMS)], files)

    def test_the_programs_run(self) -> None:
        """Each of them runs, against a server if it takes a URL, and prints what its example prints."""
        for name, block in zip(PROGRAMS, blocks("python")):
            with self.subTest(name), Server() as server:
                compile(block, "README.md", "exec")
                path = ROOT / "examples" / f"{name}.py"
                arguments = [server.url] if takes_a_url(path) else []
                self.assertTrue(run(path, *arguments).endswith(OUTPUT[name]))

    def test_the_others_are_parts_of_the_examples(self) -> None:
        """Each line, and its indentation; but for the one about pytest, which runs with the tests of the plugin."""
        texts = [path.read_text(encoding="utf-8") for path in EXAMPLES]
        for block in blocks("python")[len(PROGRAMS) :]:
            if "import pytest" not in block:
                wanted = [textwrap.indent(block, margin) for margin in ("", " " * 4, " " * 8)]
                with self.subTest(block.splitlines()[0]):
                    self.assertTrue([part for part in wanted for text in texts if part in text])

    def test_the_two_commands(self) -> None:
        """The first block shows how to try it and how to test it."""
        first, second = blocks("sh")[0].splitlines()
        self.assertTrue(first.endswith("pip install . && printf 'hello\\n' | .venv/bin/python -m wssync"))
        self.assertTrue(second.endswith("pip install tox && .venv/bin/tox"))


class NameTests(unittest.TestCase):
    def test_every_public_name_is_there(self) -> None:
        """Everything in `wssync.__all__`, and every public method and property of sessions and tasks."""
        names = list(wssync.__all__)
        for kind in (wssync.Session, wssync.SessionTask, wssync.WebSocketTask, wssync.WebSocketDelegate):
            names += [name for name in dir(kind) if not name.startswith("_") and name != "abandon"]
        self.assertEqual(architecture.undocumented(names, README), [])

    def test_the_names_on_the_right_are_ours(self) -> None:
        """What the table of Apple's names leads to is there."""
        known = set(wssync.__all__) | {
            "with",
            "str",
            "bytes",
            "headers",
            "status_code",
            "http",
            "cookiejar",
            "CookieJar",
        }
        known |= {field.name for field in dataclasses.fields(wssync.Request)}
        values = (wssync.CloseCode, wssync.TaskState, wssync.Result, wssync.SessionConfiguration, wssync.Credential)
        with wssync.Session() as session:
            task = session.websocket_task("ws://localhost/")
            for thing in (session, task, task.progress, wssync.WebSocketDelegate, wssync.WebSocketError(), *values):
                known |= set(dir(thing))
            task.cancel()
        lines = section("From Apple's names to these").partition("Beyond")[0].splitlines()
        right = [line.split(" | ")[-1] for line in lines if line.startswith("| ")]
        calls = {re.sub(r"\(.*?\)", "", code) for code in re.findall(r"`([^`]+)`", "\n".join(right))}
        words = {word for code in calls for word in re.findall(r"\w+", code)}
        self.assertEqual(words - known, set())

    def test_the_errors_are_drawn_as_they_are(self) -> None:
        """The tree is that of `wssync.errors`."""
        tree = next(block for block in blocks("") if "InvalidURL" in block)
        trail: List[type] = []
        drawn = set()
        for line in tree.splitlines():
            found = re.match(r"( *)(\w+)", line)
            assert found is not None
            kind = getattr(wssync, found[2])
            del trail[len(found[1]) // 2 :]
            self.assertEqual(kind.__bases__[0], trail[-1] if trail else Exception)
            trail.append(kind)
            drawn.add(kind)
        public = {getattr(wssync, name) for name in wssync.__all__}
        self.assertEqual(drawn, {kind for kind in public if isinstance(kind, type) and issubclass(kind, Exception)})

    def test_the_configuration_is_complete(self) -> None:
        """The table has every field, and the options of compression are named."""
        words = code_words(section("Configuration"))
        for kind in (wssync.SessionConfiguration, wssync.DeflateOptions):
            self.assertEqual({field.name for field in dataclasses.fields(kind)} - words, set())

    def test_the_options_are_complete(self) -> None:
        """The table has every option of the command line, and no other."""
        options = {option for action in _talk_parser()._actions for option in action.option_strings} - {"-h"}
        self.assertEqual(set(re.findall(r"`(--[\w-]+)", section("Command line"))), options)

    def test_the_executors(self) -> None:
        """Those that exist are named."""
        table = section("Callbacks in GUI programs")
        for name in executors.__all__:
            self.assertIn(f"| `{name}(", table)

    def test_the_links_lead_somewhere(self) -> None:
        """Every file that is linked is there."""
        for target in re.findall(r"\]\(([^)#]+)\)", README):
            self.assertTrue((ROOT / target).exists(), target)


ADDED_TO = {
    testing.Server: object,
    testing.ServerConnection: object,
    testing.WebSocketTestCase: unittest.TestCase,
    testing.FakeClock: object,
    testing.Recorder: wssync.WebSocketDelegate,
    testing.Event: tuple,
    testing.Cassette: object,
}
"""A class of the kit -> the class whose names need no word here."""


class TestingTests(unittest.TestCase):
    chapter = section("Testing")

    def test_every_public_name_is_there(self) -> None:
        """Everything in `wssync.testing.__all__`, and the methods and properties that the classes of the kit add."""
        names = set(testing.__all__).union(*(self.added(kind) for kind in ADDED_TO))
        self.assertEqual(sorted(names - code_words(self.chapter)), [])

    def test_each_table_has_what_its_module_has(self) -> None:
        """The names on the left of the tables of handlers, openings and faults are all there are, and no other."""
        from wssync.testing import authentication, faults, handlers, openings, tunnel

        for title, modules in (
            ("handlers", [handlers]),
            ("openings", [openings, authentication, tunnel]),
            ("faults", [faults]),
        ):
            with self.subTest(title):
                public = {name for module in modules for name in module.__all__} & set(testing.__all__)
                kinds = {name for name in public if name[0].isupper()}
                self.assertEqual(self.calls(title), public - kinds)

    def test_the_tables_of_classes_name_what_they_have(self) -> None:
        """Nothing on the left that is no method or property."""
        for kind in ADDED_TO:
            if f"| `{kind.__name__}` |" in self.chapter:
                self.assertEqual(self.calls(f"`{kind.__name__}`") - self.added(kind), set())

    @staticmethod
    def added(kind: type) -> Set[str]:
        """The public names of a class that its base from elsewhere has not; also those that only an object has."""
        names = set(dir(kind))
        if kind is testing.ServerConnection:
            with Server() as server, wssync.connect(server.url):
                names = set(dir(server.connections[0]))
        return {name for name in names if not name.startswith("_")} - set(dir(ADDED_TO[kind]))

    def calls(self, title: str) -> Set[str]:
        """The names in the first column of the table with that title, without their arguments."""
        rows = self.chapter.partition(f"\n| {title} |")[2].partition("\n\n")[0].splitlines()[2:]
        codes = re.findall(r"`([^`]+)`", "\n".join(row.split(" | ")[0] for row in rows))
        self.assertTrue(codes, title)
        return {re.sub(r"\(.*", "", code, flags=re.DOTALL) for code in codes}

    def test_the_signatures_are_true(self) -> None:
        """Those of the server and the cassette, as they are shown."""
        for kind in (testing.Server, testing.Cassette):
            found = re.search(rf"`{kind.__name__}(\([^`]+\))`", self.chapter)
            assert found is not None
            shown = [part.partition("=")[::2] for part in re.split(r", (?![^(]*\))", found[1][1:-1]) if part != "*"]
            known = [
                (each.name, "" if each.default is each.empty else getattr(each.default, "__name__", repr(each.default)))
                for each in inspect.signature(kind).parameters.values()
            ]
            self.assertEqual([(name, value.replace('"', "'")) for name, value in shown], known)

    def test_the_cassette_is_what_is_recorded(self) -> None:
        """The file of the conversation that the text tells of, but for the address of the server."""
        conversation = script([expect("hello"), "hello yourself", echo])
        with Server(conversation) as server, tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "chat.json")
            with Cassette(path, secrets=["token"]), wssync.connect(f"{server.url}chat?token=s3cret") as task:
                task.send("hello")
                self.assertEqual(task.receive(timeout=5), "hello yourself")
            recorded = path.read_text(encoding="utf-8").replace(server.url, "wss://example.com/")
        self.assertEqual(blocks("json"), [recorded])
