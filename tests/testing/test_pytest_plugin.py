"""The fixtures, in runs of pytest as users have them: each run is a process of its own, in a folder of its own."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import unittest
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Set

from tests.support import cases, with_cases
from wssync.testing import Server

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = "wssync.testing.pytest_plugin"
HAS_PYTEST = importlib.util.find_spec("pytest") is not None
needs_pytest = unittest.skipUnless(HAS_PYTEST, "pytest is not installed")


class Run(NamedTuple):
    """What came of a run: its exit status, what was reported of each test, and all that was printed."""

    status: int
    reports: Dict[str, Set[str]]
    output: str


@needs_pytest
class PluginTestCase(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name).resolve()

    def run_pytest(self, text: str, *options: str, url: Optional[str] = None) -> Run:
        """Run pytest on a module `test_it.py` with this text. The plugin is named, so that nothing need be installed,
        and the plugins of the machine are left out; the working directory is where the coverage is measured.
        """
        # Compiled files are told apart by the second and the size of their source: two texts may have both in common.
        shutil.rmtree(self.folder / "__pycache__", ignore_errors=True)
        (self.folder / "test_it.py").write_text(IMPORTS + textwrap.dedent(text), encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "-rA", "--strict-markers", "-p", PLUGIN]
        command += ["-p", "no:cacheprovider", f"--rootdir={self.folder}", *options, str(self.folder / "test_it.py")]
        environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "URL": url or "ws://127.0.0.1:9/"}
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={name: value for name, value in environment.items() if name != "PYTEST_ADDOPTS"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=120,
        )
        reports: Dict[str, Set[str]] = {}
        for verdict, name in re.findall(r"^([A-Z]+) \S*test_it\.py::(\S+)", done.stdout, re.MULTILINE):
            reports.setdefault(name, set()).add(verdict)
        return Run(done.returncode, reports, done.stdout)

    def files(self) -> List[str]:
        """The files that were written, as paths in the folder."""
        found = (path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*.json"))
        return sorted(found)


IMPORTS = """\
import os
import unittest
import pytest
import wssync
from wssync.testing import echo, expect, refuse, script

URL = os.environ["URL"]

def ask(url, question, **options):
    with wssync.connect(url, timeout=10, **options) as task:
        task.send(question)
        return task.receive(timeout=10)

"""


class ServerTests(PluginTestCase):
    def test_it_is_there_during_the_test(self) -> None:
        """It echoes without being told, and is gone afterwards, also when the test has failed."""
        found = self.run_pytest(
            """
            seen = []

            def test_echo(websocket_server):
                seen.append(websocket_server.url)
                assert ask(websocket_server.url, "hello") == "hello"

            def test_failure(websocket_server):
                seen.append(websocket_server.url)
                assert ask(websocket_server.url, "hello") == "bye"

            def test_afterwards():
                assert len(seen) == 2
                for url in seen:
                    with pytest.raises(wssync.ConnectionRefused):
                        wssync.connect(url)
            """
        )
        expected = {"test_echo": {"PASSED"}, "test_failure": {"FAILED"}, "test_afterwards": {"PASSED"}}
        self.assertEqual((found.reports, found.status), (expected, 1), found.output)

    def test_errors_of_the_server_are_errors_of_the_test(self) -> None:
        """They are shown with the server's own traceback, unless the test has taken them."""
        found = self.run_pytest(
            """
            pytestmark = pytest.mark.websocket_server(handler=script([expect("hello"), "welcome"]))

            def test_unexpected(websocket_server):
                with pytest.raises(wssync.ConnectionClosed):
                    ask(websocket_server.url, "hallo")

            def test_expected(websocket_server):
                with pytest.raises(wssync.ConnectionClosed):
                    ask(websocket_server.url, "hallo")
                assert len(websocket_server.take_errors()) == 1
            """
        )
        expected = {"test_unexpected": {"PASSED", "ERROR"}, "test_expected": {"PASSED"}}
        self.assertEqual((found.reports, found.status), (expected, 1), found.output)
        self.assertRegex(found.output, r"AssertionError: expected 'hello', received 'hallo'")
        self.assertRegex(found.output, r"AssertionError: the server of the test has noticed errors")

    def test_the_marker_has_the_arguments(self) -> None:
        """Those of `Server`; of a class and a method, each comes from the nearest. A wrong one is an error, and so is
        one without its name."""
        found = self.run_pytest(
            """
            @pytest.mark.websocket_server(handler=script([expect("hello"), "welcome"]), protocols=["a", "b"])
            class TestMarked:
                def test_of_the_class(self, websocket_server):
                    assert ask(websocket_server.url, "hello", protocols=["b"]) == "welcome"
                    assert websocket_server.connections[0].protocol == "b"

                @pytest.mark.websocket_server(handler=echo)
                def test_of_the_method(self, websocket_server):
                    assert ask(websocket_server.url, "hi", protocols=["b"]) == "hi"
                    assert websocket_server.connections[0].protocol == "b"

            @pytest.mark.websocket_server(opening=refuse(503))
            def test_an_opening(websocket_server):
                with pytest.raises(wssync.HandshakeError):
                    ask(websocket_server.url, "hello")

            @pytest.mark.websocket_server(colour="red")
            def test_a_mistake(websocket_server):
                pass

            @pytest.mark.websocket_server(echo, tls=False)
            def test_without_its_name(websocket_server):
                pass
            """
        )
        expected = {
            "TestMarked::test_of_the_class": {"PASSED"},
            "TestMarked::test_of_the_method": {"PASSED"},
            "test_an_opening": {"PASSED"},
            "test_a_mistake": {"ERROR"},
            "test_without_its_name": {"ERROR"},
        }
        self.assertEqual((found.reports, found.status), (expected, 1), found.output)

    @unittest.skipUnless(importlib.util.find_spec("trustme"), "trustme is not installed")
    def test_tls(self) -> None:
        """`tls=True` serves wss, for clients that trust the server's own authority."""
        found = self.run_pytest(
            """
            @pytest.mark.websocket_server(tls=True)
            def test_tls(websocket_server):
                trusting = wssync.SessionConfiguration(ssl_context=websocket_server.client_ssl_context)
                assert websocket_server.url.startswith("wss://")
                assert ask(websocket_server.url, "hello", configuration=trusting) == "hello"
                with pytest.raises(wssync.CertificateError):
                    ask(websocket_server.url, "hello")
            """
        )
        self.assertEqual((found.reports, found.status), ({"test_tls": {"PASSED"}}, 0), found.output)


class CassetteTests(PluginTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.server = Server(self.answer)
        self.server.start()
        self.addCleanup(self.server.close)

    @staticmethod
    def answer(connection: Any) -> None:
        while True:
            connection.send("re: " + connection.receive())

    def test_it_records_and_replays(self) -> None:
        """The first run talks to the server and writes a file beside the module; the next reads it, without a server,
        also where recording is forbidden."""
        text = """
            def test_greeting(websocket_cassette):
                assert ask(URL, "hello") == "re: hello"
            """
        for options in ((), (), ("--websocket-no-record",)):
            found = self.run_pytest(text, *options, url=self.server.url)
            self.assertEqual((found.reports, found.status), ({"test_greeting": {"PASSED"}}, 0), found.output)
            self.assertEqual(self.files(), ["cassettes/test_it/test_greeting.json"])
            self.server.close()
        self.assertEqual(len(self.server.requests), 1)

    def test_a_mismatch_shows_both_sides(self) -> None:
        """What was recorded and what came, besides the failure that it led to, also in a fixture; a conversation that
        is not had at all is a mismatch too."""
        text = """
            def test_greeting(websocket_cassette):
                assert ask(URL, "{}") == "re: hello"

            def test_nothing(websocket_cassette):
                assert {} or ask(URL, "hello")

            @pytest.fixture
            def greeting(websocket_cassette):
                return ask(URL, "{}")

            def test_of_a_fixture(greeting):
                pass
            """
        self.run_pytest(text.format("hello", 0, "good morning"), url=self.server.url)
        found = self.run_pytest(text.format("hallo", 1, "good evening"), url=self.server.url)
        expected = {
            "test_greeting": {"FAILED", "ERROR"},
            "test_nothing": {"PASSED", "ERROR"},
            "test_of_a_fixture": {"ERROR"},
        }
        self.assertEqual((found.reports, found.status), (expected, 1), found.output)
        self.assertRegex(found.output, r'recorded: \{"client": "hello"\}')
        self.assertRegex(found.output, r'came:     \{"client": "hallo"\}')
        self.assertRegex(found.output, r'came:     \{"client": "good evening"\}')
        self.assertEqual(len(self.server.requests), 3)

    def test_recording_can_be_forbidden(self) -> None:
        """Then a missing file is an error, and nobody reaches the server."""
        found = self.run_pytest(
            """
            def test_greeting(websocket_cassette):
                ask(URL, "hello")
            """,
            "--websocket-no-record",
            url=self.server.url,
        )
        self.assertEqual((found.reports, found.status), ({"test_greeting": {"ERROR"}}, 1), found.output)
        self.assertIn("there is no cassette", found.output)
        self.assertEqual((self.files(), self.server.requests), ([], []))

    def test_only_what_passed_is_recorded(self) -> None:
        """Not a test that fails, in itself or before it began, is skipped midway, or is interrupted."""
        found = self.run_pytest(
            """
            def test_failure(websocket_cassette):
                assert ask(URL, "hello") == "something else"

            def test_skipped(websocket_cassette):
                ask(URL, "hello")
                pytest.skip("no time")

            @pytest.fixture
            def broken(websocket_cassette):
                ask(URL, "hello")
                raise ValueError("broken")

            def test_broken(broken):
                pass

            @pytest.mark.usefixtures("websocket_cassette")
            class Tests(unittest.TestCase):
                def test_failure(self):
                    self.assertEqual(ask(URL, "hello"), "something else")

                def test_success(self):
                    self.assertEqual(ask(URL, "hello"), "re: hello")

            def test_success(websocket_cassette):
                assert ask(URL, "hello") == "re: hello"

            def test_without():
                assert ask(URL, "hello") == "re: hello"

            def test_interrupted(websocket_cassette):
                ask(URL, "hello")
                raise KeyboardInterrupt
            """,
            url=self.server.url,
        )
        self.assertEqual(found.status, 2, found.output)
        self.assertEqual(len(self.server.requests), 8)
        self.assertEqual(
            self.files(), ["cassettes/test_it/Tests.test_success.json", "cassettes/test_it/test_success.json"]
        )

    def test_the_marker_says_where_and_what_is_secret(self) -> None:
        """`path` counts from the folder of the module; `secrets` are left out of the file."""
        text = """
            pytestmark = pytest.mark.websocket_cassette(secrets=["token"])

            @pytest.mark.websocket_cassette(path="kept/one.json")
            def test_one(websocket_cassette):
                assert ask(URL + "?token=s3cret", "hello") == "re: hello"

            @pytest.mark.websocket_cassette(path="two.json")
            def test_two(websocket_cassette):
                assert ask(URL + "?token=s3cret", "hello") == "re: hello"
            """
        for _ in range(2):
            found = self.run_pytest(text, url=self.server.url)
            self.assertEqual((found.status, self.files()), (0, ["kept/one.json", "two.json"]), found.output)
        for name in self.files():
            self.assertNotIn("s3cret", (self.folder / name).read_text(encoding="utf-8"))
        self.assertEqual(len(self.server.requests), 2)

    def test_each_test_has_its_own_file(self) -> None:
        """Classes, parameters and what only differs in them; the names hold on every file system."""
        text = """
            @pytest.mark.parametrize("text", ["a", "A", "a/b", "a:b", "\\u00e9", "", "." * 300])
            def test_each(websocket_cassette, text):
                assert ask(URL, text) == "re: " + text

            class TestMore:
                def test_each(self, websocket_cassette):
                    assert ask(URL, "more") == "re: more"
            """
        for _ in range(2):
            found = self.run_pytest(text, url=self.server.url)
            self.assertEqual(found.status, 0, found.output)
        self.assertEqual(len(self.server.requests), 8)
        names = [name.rpartition("/")[2] for name in self.files()]
        self.assertEqual(len({name.lower() for name in names}), 8)
        self.assertLessEqual({"test_each-a.json", "TestMore.test_each.json"}, set(names))
        for name in names:
            self.assertRegex(name, r"\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,120}\.json\Z")


class ReadmeTests(PluginTestCase):
    def test_the_module_that_is_shown(self) -> None:
        """It passes, its cassette being the one that is shown, and with no network."""
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        (module,) = (
            block
            for block in re.findall(r"^```python\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)
            if "pytest" in block
        )
        (cassette,) = re.findall(r"^```json\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)
        path = self.folder / "cassettes" / "test_it" / "test_the_real_one.json"
        path.parent.mkdir(parents=True)
        path.write_text(cassette, encoding="utf-8")
        found = self.run_pytest(module, "--websocket-no-record")
        self.assertEqual((found.status, len(found.reports)), (0, 3), found.output)


class InstalledTests(PluginTestCase):
    def test_pytest_tells_about_it(self) -> None:
        """The markers, the fixtures and the option are in pytest's own lists."""
        for option, words in (
            ("--markers", ("@pytest.mark.websocket_server(*, handler", "@pytest.mark.websocket_cassette(*, path")),
            ("--fixtures", ("websocket_server", "websocket_cassette")),
            ("--help", ("--websocket-no-record",)),
        ):
            found = self.run_pytest("", option)
            for word in words:
                with self.subTest(word):
                    self.assertIn(word, found.output)

    def test_pytest_finds_it(self) -> None:
        """The package's entry point leads to this module."""
        lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
        place = lines.index("[project.entry-points.pytest11]")
        self.assertEqual(lines[place + 1].partition(" #")[0].rstrip(), f'wssync = "{PLUGIN}"')


@needs_pytest
@with_cases
class NameTests(unittest.TestCase):
    @cases(
        plain=("test_it", "test_it"),
        capitals_in_the_name=("TestIt.test_HTTP", "TestIt.test_HTTP"),
        parameters=("test_it[a-1.5]", "test_it-a-1.5"),
        capitals_in_parameters=("test_it[A]", "test_it-A-1c04bc42"),
        no_parameter=("test_it[]", "test_it-aa5a4723"),
        brackets_in_parameters=("test_it[a]]", "test_it-a-"),
        a_device_of_windows=("con", "con-"),
        a_device_with_more=("nul.test_it", "nul.test_it-"),
        a_character_that_files_have_not=("test_it[a/b]", "test_it-a-b-"),
        another_one=("test_it[a:b]", "test_it-a-b-"),
        half_a_character=("test_it[\ud800]", "test_it-"),
        a_long_one=("test_" + "x" * 200, "test_" + "x" * 95 + "-"),
    )
    def test_a_name_becomes_the_name_of_a_file(self, name: str, expected: str) -> None:
        """Plain names stay what they are; others are made plain and get eight digits of what they were."""
        from wssync.testing.pytest_plugin import _safe

        found = _safe(name)
        digits = found[len(expected) :]
        self.assertEqual(found[: len(expected)], expected)
        self.assertRegex(digits, r"\A([0-9a-f]{8})?\Z")
        self.assertEqual(bool(digits), expected.endswith("-"))
        self.assertEqual(_safe(name), found)

    def test_different_names_become_different_names(self) -> None:
        """Also where a file system takes capitals for small letters."""
        from wssync.testing.pytest_plugin import _safe

        names = ["t[a/b]", "t[a:b]", "t[a-b]", "t[a]", "t[A]", "t[a]]", "t[a.]", "t[.a]", "t[]", "t", "t[\n]", "t[\t]"]
        names += ["t[" + "x" * 200 + end for end in ("y]", "z]")]
        self.assertEqual(len({_safe(name).lower() for name in names}), len(names))


del PluginTestCase
