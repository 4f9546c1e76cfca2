"""What README.md shows is true: its programs run, its tables have every name, and nothing that is not there."""

from __future__ import annotations

import dataclasses
import re
import unittest
from pathlib import Path
from typing import List, Set

import wssync
from tests import architecture
from tests.test_examples import OUTPUT, run
from wssync.cli.arguments import _talk_parser
from wssync.executors import QueueExecutor, SerialExecutor
from wssync.testing import Server

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> List[str]:
    """The code blocks in that language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def section(title: str) -> str:
    """The text below a heading, up to the next."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", README, re.DOTALL | re.MULTILINE)
    assert found is not None, title
    return found[1]


def code_words(text: str) -> Set[str]:
    """The words that are marked as code."""
    return {word for code in re.findall(r"`([^`\n]+)`", text) for word in re.findall(r"\w+", code)}


class ProgramTests(unittest.TestCase):
    def test_the_programs_are_the_examples(self) -> None:
        """The Python blocks are hello.py, handlers.py and unittest_example.py, to the letter."""
        names = ("hello", "handlers", "unittest_example")
        files = [(ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8") for name in names]
        self.assertEqual(blocks("python"), files)

    def test_the_programs_run(self) -> None:
        """Each block runs against a server, and prints what its example prints."""
        for name, block in zip(("hello", "handlers", "unittest_example"), blocks("python")):
            with self.subTest(name), Server() as server:
                compile(block, "README.md", "exec")
                path = ROOT / "examples" / f"{name}.py"
                self.assertTrue(run(path, server.url).endswith(OUTPUT[name]))

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
        known = set(wssync.__all__) | {"with", "str", "bytes", "headers", "status_code", "timeout_interval"}
        values = (wssync.CloseCode, wssync.TaskState, wssync.Result, wssync.SessionConfiguration)
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
        for kind in (SerialExecutor, QueueExecutor):
            self.assertIn(kind.__name__, README)

    def test_the_links_lead_somewhere(self) -> None:
        """Every file that is linked is there."""
        for target in re.findall(r"\]\(([^)#]+)\)", README):
            self.assertTrue((ROOT / target).exists(), target)
