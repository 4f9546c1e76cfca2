"""The rules of the house hold in the tree, and each of them can be broken.

The rules are functions of `tests.architecture`. Every class below tries one: first on a few lines that break it, then
on lines that only look so, then on the tree.
"""

from __future__ import annotations

import textwrap
import unittest
from pathlib import Path
from typing import Dict, List, Set, Tuple
from unittest import mock

from tests import architecture as house

SOURCE = list(house.modules_below(house.ROOT / "wssync"))
TESTS = list(house.modules_below(house.ROOT / "tests"))


def code(text: str) -> str:
    return textwrap.dedent(text).lstrip("\n")


def is_package(module: house.Module) -> bool:
    return module.path.name == "__init__.py"


class ArchitectureTestCase(unittest.TestCase):
    def assertNoFindings(self, findings: List[str]) -> None:
        if findings:
            self.fail("\n".join(["the house's rules are broken:", *findings]))

    def assertFinds(self, findings: List[str], *expected: str) -> None:
        self.assertEqual(len(findings), len(expected), findings)
        for finding, pattern in zip(findings, expected):
            self.assertRegex(finding, pattern)


class DirectionTests(ArchitectureTestCase):
    def test_an_import_upwards_is_found(self) -> None:
        """Each way of writing an import is seen, within functions and under TYPE_CHECKING too."""
        for text in (
            "from ..engine import connection",
            "from ..engine.connection import Connection",
            "from .. import engine",
            "import wssync.engine",
            "from wssync.engine import connection",
            "from wssync import engine",
            "if TYPE_CHECKING:\n    from ..engine import connection",
            "def late():\n    from ..engine import connection",
        ):
            with self.subTest(text):
                self.assertFinds(house.direction("transport.dial", text), "transport may not import engine")

    def test_an_import_of_the_public_names_from_below_is_found(self) -> None:
        """Only what stands above it may import the package itself."""
        for text in ("import wssync", "from wssync import connect", "from . import connect", "from . import __all__"):
            with self.subTest(text):
                self.assertFinds(house.direction("session", text), "session may not import __init__")
        self.assertNoFindings(house.direction("cli.interactive", "import wssync"))
        self.assertNoFindings(house.direction("testing.case", "from .. import connect"))

    def test_an_import_downwards_is_none(self) -> None:
        """A part may import what stands before it, and itself."""
        text = "from ..errors import TimedOut\nfrom .. import errors\nfrom .clock import Clock\nimport socket"
        self.assertNoFindings(house.direction("transport.dial", text))
        self.assertNoFindings(house.direction("session", "from .task import WebSocketTask"))
        self.assertNoFindings(house.direction("__init__", "from .session import Session\nfrom . import errors"))
        self.assertNoFindings(house.direction("protocol", "from .frames import mask", is_package=True))

    def test_a_package_is_read_as_a_package(self) -> None:
        """In `engine/__init__.py` one dot means `engine` and two mean the package above it."""
        self.assertFinds(house.direction("engine", "from ..task import Task", is_package=True), "may not import task")

    def test_executors_stand_aside(self) -> None:
        """`executors` knows `strand` and `errors`; the engine and what is above it may know `strand`, which knows no
        executor.
        """
        self.assertFinds(house.direction("executors", "from .protocol import urls"), "executors may not import prot")
        self.assertFinds(house.direction("transport.dial", "from .. import executors"), "transport may not import exec")
        self.assertFinds(house.direction("delegate", "from .executors import x"), "delegate may not import executors")
        self.assertNoFindings(house.direction("executors", "from .errors import WebSocketError"))
        self.assertFinds(house.direction("strand", "from .executors import x"), "strand may not import executors")
        self.assertFinds(house.direction("engine.loop", "from ..executors import x"), "engine may not import executors")
        self.assertFinds(house.direction("transport.dial", "from ..logs import log"), "transport may not import logs")
        self.assertNoFindings(house.direction("executors", "from .strand import Preparable"))
        self.assertNoFindings(house.direction("task", "from .strand import Strand"))

    def test_the_accelerator_is_behind_the_protocol(self) -> None:
        """Only `protocol`, where it is switched off, and the engine, for the system calls, may name `_speedups`."""
        for text in ("from .. import _speedups", "from wssync._speedups import mask", "import wssync._speedups"):
            with self.subTest(text):
                self.assertFinds(house.direction("transport.stream", text), "transport may not import _speedups")
                self.assertNoFindings(house.direction("protocol.speed", text))

    def test_a_module_without_a_place_is_found(self) -> None:
        """A new part must be given its place in the order."""
        self.assertFinds(house.direction("helpers", ""), "helpers has no place")

    def test_the_tree(self) -> None:
        """No module of the package imports upwards."""
        for module in SOURCE:
            with self.subTest(module.name):
                self.assertNoFindings(house.direction(module.name, module.text, is_package=is_package(module)))


class CycleTests(ArchitectureTestCase):
    def graph(self, **texts: str) -> Dict[str, Set[str]]:
        return house.import_graph(
            [house.Module(f"engine.{name}", Path(f"{name}.py"), text) for name, text in texts.items()]
        )

    def test_a_circle_is_found(self) -> None:
        """Modules of one part that import each other by a detour are a finding."""
        graph = self.graph(a="from .b import x", b="from . import c", c="from wssync.engine.a import y")
        self.assertFinds(house.cycles(graph), r"^engine\.a -> engine\.b -> engine\.c -> engine\.a$")

    def test_a_diamond_is_none(self) -> None:
        """Two ways to the same module are no circle."""
        graph = self.graph(a="from . import b, c", b="from .d import x", c="from .d import x", d="")
        self.assertNoFindings(house.cycles(graph))

    def test_what_is_compiled_imports_nothing(self) -> None:
        """It has no source to read, and is not taken for the package itself."""
        self.assertEqual(self.graph(a="from wssync._speedups import mask"), {"engine.a": set()})

    def test_the_tree(self) -> None:
        """No modules of the package import each other."""
        self.assertNoFindings(house.cycles(house.import_graph(SOURCE)))


class PurityTests(ArchitectureTestCase):
    def test_impure_imports_are_found(self) -> None:
        """Sockets, threads, clocks and logs are not for the protocol, however they are imported."""
        for text in ("import time", "from socket import socket", "import concurrent.futures", "def f(): import ssl"):
            with self.subTest(text):
                self.assertFinds(house.purity("protocol.frames", text), "the protocol is pure")

    def test_elsewhere_they_are_none(self) -> None:
        """The rule is the protocol's alone, and not about modules that only look alike."""
        self.assertNoFindings(house.purity("transport.dial", "import socket"))
        self.assertNoFindings(house.purity("protocol.frames", "import os\nfrom .time import x\ntime = 1"))

    def test_the_tree(self) -> None:
        """Nothing in protocol/ imports what has side effects."""
        for module in SOURCE:
            with self.subTest(module.name):
                self.assertNoFindings(house.purity(module.name, module.text))


class TypingTests(ArchitectureTestCase):
    def test_imports_of_typing_are_found(self) -> None:
        """In any form and at any place."""
        for text in (
            "from typing import Any",
            "import typing",
            "if TYPE_CHECKING:\n    from typing import Protocol",
            "def late():\n    import typing",
        ):
            with self.subTest(text):
                self.assertFinds(
                    house.typing_imports("transport.dial", text), r"takes typing\S* from typing and not fr"
                )

    def test_elsewhere_they_are_none(self) -> None:
        """The words come from one module, and what loads much else may load this too."""
        self.assertNoFindings(
            house.typing_imports("transport.dial", "from ..hints import Any\nimport typing_extensions")
        )
        for name in ("hints", "testing.case", "cli.console"):
            self.assertNoFindings(house.typing_imports(name, "from typing import Any"))
        self.assertTrue(house.typing_imports("hintsight", "from typing import Any"))

    def test_the_tree(self) -> None:
        """No module on the way to a connection imports typing."""
        for module in SOURCE:
            with self.subTest(module.name):
                self.assertNoFindings(house.typing_imports(module.name, module.text))


class ThreadTests(ArchitectureTestCase):
    def test_makers_of_threads_are_found(self) -> None:
        """Thread, Timer and start_new_thread, as attribute, import or under another name."""
        for text in (
            "threading.Thread(target=f)",
            "from threading import Thread as T",
            "x: threading.Thread",
            "threading.Timer(1, f)",
            "_thread.start_new_thread(f, ())",
        ):
            with self.subTest(text):
                self.assertTrue(house.thread_makers("task", text))

    def test_where_threads_belong_they_are_none(self) -> None:
        """The engine, dial, the executors and testing make threads; a lock or a name in a string is no thread."""
        for name in ("engine.connection", "transport.dial", "executors", "testing.server"):
            self.assertNoFindings(house.thread_makers(name, "threading.Thread(target=f)"))
        self.assertNoFindings(house.thread_makers("task", "threading.Lock()\ntext = 'Thread'"))
        self.assertTrue(house.thread_makers("transport.dialogue", "threading.Thread()"))

    def test_the_tree(self) -> None:
        """Only those parts name Thread."""
        for module in SOURCE:
            with self.subTest(module.name):
                self.assertNoFindings(house.thread_makers(module.name, module.text))


class EngineClockTests(ArchitectureTestCase):
    def test_the_clock_and_select_are_found(self) -> None:
        """The engine reads no clock and waits on no descriptor by itself."""
        for text in (
            "time.monotonic()",
            "from time import monotonic",
            "import select",
            "select.poll",
            "import selectors",
        ):
            with self.subTest(text):
                self.assertTrue(house.engine_clock("engine.connection", text))

    def test_elsewhere_they_are_none(self) -> None:
        """transport/clock.py is where the time comes from; the engine's own names may be like it."""
        self.assertNoFindings(house.engine_clock("transport.clock", "time.monotonic()"))
        self.assertNoFindings(house.engine_clock("engine.connection", "self.clock.now()\nselected = 1"))

    def test_the_tree(self) -> None:
        """engine/ names neither time.monotonic nor select."""
        for module in SOURCE:
            with self.subTest(module.name):
                self.assertNoFindings(house.engine_clock(module.name, module.text))


class BudgetTests(ArchitectureTestCase):
    def findings(self, text: str) -> List[str]:
        return house.budgets("task", text)[0]

    def test_a_long_function_is_found(self) -> None:
        """51 lines of code, the line of `def` included; comments, blanks and the docstring do not count."""
        idle = '    """Docstring\n    of two lines."""\n\n    # comment\n' * 30
        self.assertNoFindings(self.findings("def f():\n" + idle + "    x = 1\n" * 49))
        self.assertFinds(self.findings("def f():\n" + idle + "    x = 1\n" * 50), "task.f: 51 code lines, at most 50")

    def test_a_text_counts_as_code(self) -> None:
        """Lines of a string that is used are lines of code."""
        self.assertFinds(self.findings('def f():\n    x = """\n' + "\n" * 50 + '"""\n'), "53 code lines")

    def test_a_complex_function_is_found(self) -> None:
        """Each kind of branch counts one; those of a function inside count there."""
        branches = code("""
            def f(x):
                if x and x or x:            # if, and, or: 4
                    pass
                elif x:                     # 5
                    pass
                for _ in x:                 # 6
                    pass
                while x:                    # 7
                    x = 1 if x else 2       # 8
                try:
                    pass
                except OSError:             # 9
                    pass
                x = [y for y in x if y]     # 11
                def inner():
                    return 1 if x else 2
            """)
        self.assertNoFindings(self.findings(branches + "    x or x\n"))
        self.assertFinds(self.findings(branches + "    x or x or x\n"), "task.f: 13 complexity, at most 12")

    def test_deep_nesting_is_found(self) -> None:
        """Five blocks in each other are too many; an elif is on the level of its if."""
        four = code("""
            def f():
                for x in y:
                    while x:
                        with x:
                            if x:
                                pass
                            elif y:
                                pass
                            elif z:
                                pass
            """)
        self.assertNoFindings(self.findings(four))
        deeper = " " * 20 + "try: pass\n" + " " * 20 + "finally: pass\n"
        self.assertFinds(self.findings(four + deeper), "5 nesting")

    def test_an_else_that_holds_an_if_and_more_is_a_level(self) -> None:
        """`else:` with a block inside is deeper than `elif`."""
        text = "def f():\n if a:\n  if b:\n   if c:\n    if d: pass\n    else:\n     if e: pass\n     g()\n"
        self.assertFinds(self.findings(text), "5 nesting")

    def test_many_parameters_are_found(self) -> None:
        """Seven are too many, keyword-only ones included and self not."""
        self.assertNoFindings(self.findings("class C:\n    def f(self, a, b, c, *, d, e, f): pass"))
        self.assertFinds(self.findings("def f(a, b, c, *, d, e, f, g): pass"), "task.f: 7 parameters, at most 6")

    def test_big_classes_and_modules_are_found(self) -> None:
        """Over 350 lines or 25 methods a class is too big, over 500 lines a module; a property with a setter is one."""
        methods = "".join(f"    def m{number}(self): pass\n" for number in range(24))
        both = "    @property\n    def p(self): pass\n    @p.setter\n    def p(self, value): pass\n"
        self.assertNoFindings(self.findings("class C:\n" + methods + both))
        self.assertFinds(self.findings("class C:\n" + methods + both + "    def n(self): pass\n"), "26 methods")
        self.assertNoFindings(self.findings("class C:\n" + "    x = 1\n" * 349))
        self.assertFinds(self.findings("class C:\n" + "    x = 1\n" * 350), "351 class lines")
        self.assertNoFindings(self.findings("x = 1\n" * 500))
        self.assertFinds(self.findings("x = 1\n" * 501), "task: 501 module lines")

    def test_an_exception_excuses_one_budget(self) -> None:
        """An entry of the table covers that budget of that function, and is reported as used."""
        text = "def f(a, b, c, d, e, f, g):\n" + "    x = 1\n" * 50
        with mock.patch.dict(house.BUDGET_EXCEPTIONS, {("task.f", "parameters"): "a reason"}, clear=True):
            findings, used = house.budgets("task", text)
        self.assertFinds(findings, "51 code lines")
        self.assertEqual(used, {("task.f", "parameters")})

    def test_the_tree(self) -> None:
        """Every function, class and module is within the budgets, and every exception of the table is needed."""
        used: Set[Tuple[str, str]] = set()
        for module in SOURCE:
            with self.subTest(module.name):
                findings, excused = house.budgets(module.name, module.text)
                used |= excused
                self.assertNoFindings(findings)
        self.assertEqual(used, set(house.BUDGET_EXCEPTIONS), "exceptions that nothing needs")


class PublicNamesTests(ArchitectureTestCase):
    def test_an_unsorted_list_is_found(self) -> None:
        """`__all__` out of order, or with a name twice, is a finding; no `__all__` is none."""
        self.assertFinds(house.sorted_exports("task", "__all__ = ['b', 'a']"), "not sorted")
        self.assertFinds(house.sorted_exports("task", "__all__ = ['a', 'a']"), "not sorted")
        self.assertNoFindings(house.sorted_exports("task", "__all__ = ['B', 'a']"))
        self.assertNoFindings(house.sorted_exports("task", "x = ['b', 'a']"))

    def test_an_undocumented_name_is_found(self) -> None:
        """A name must stand in the README as a word."""
        readme = "`connect(url)` opens; see TaskStates."
        self.assertFinds(house.undocumented(["TaskState", "connect"], readme), "does not mention TaskState")

    def test_the_list_of_the_tree(self) -> None:
        """`wssync.__all__` is there, and sorted."""
        text = (house.ROOT / "wssync" / "__init__.py").read_text(encoding="utf-8")
        self.assertTrue(house.exported(text))
        self.assertNoFindings(house.sorted_exports("__init__", text))

    def test_the_readme_names_them_all(self) -> None:
        """Every public name is in README.md."""
        names = house.exported((house.ROOT / "wssync" / "__init__.py").read_text(encoding="utf-8"))
        self.assertNoFindings(house.undocumented(names or [], (house.ROOT / "README.md").read_text(encoding="utf-8")))


class TestModulesTests(ArchitectureTestCase):
    def missing(self, name: str, text: str, *tests: str) -> List[str]:
        file = Path(f"wssync/{name}.py")
        return house.missing_test_modules([house.Module(name, file, text)], set(tests))

    def test_a_module_without_tests_is_found(self) -> None:
        """The test module has the same path and name, and `test_` before it."""
        self.assertFinds(self.missing("protocol.frames", "def f(): pass", "test_frames.py"), "no tests/protocol/test")
        self.assertNoFindings(self.missing("protocol.frames", "def f(): pass", "protocol/test_frames.py"))
        self.assertNoFindings(self.missing("__main__", "def f(): pass", "test_main.py"))
        self.assertNoFindings(self.missing("__init__", "def f(): pass", "test_init.py"))

    def test_a_module_without_code_needs_none(self) -> None:
        """A module of docstring, imports and values has nothing to test."""
        self.assertNoFindings(self.missing("__init__", "from .task import Task\n__all__ = ['Task']"))

    def test_an_excused_module_needs_none(self) -> None:
        """A module in the table of exceptions needs no test module."""
        with mock.patch.dict(house.NO_TEST_MODULE, {"protocol.frames": "a reason"}):
            self.assertNoFindings(self.missing("protocol.frames", "def f(): pass"))

    def test_the_tree(self) -> None:
        """Every module has its test module, and every excused one exists."""
        paths = {module.path.relative_to(house.ROOT / "tests").as_posix() for module in TESTS}
        self.assertNoFindings(house.missing_test_modules(SOURCE, paths))
        self.assertLessEqual(set(house.NO_TEST_MODULE), {module.name for module in SOURCE})


class DocstringTests(ArchitectureTestCase):
    def test_missing_docstrings_are_found(self) -> None:
        """The module, public classes, functions and methods need one."""
        text = "class C:\n    def m(self): pass\n    def _n(self): pass\ndef f(): pass\ndef _g(): pass\nclass _D: pass"
        self.assertFinds(house.docstrings("task", text), "^task: no", r"task\.C: no", r"task\.C\.m: no", r"task\.f: no")

    def test_setters_and_overloads_need_none(self) -> None:
        """What the getter or the implementation says holds for them."""
        text = code('''
            """M."""
            class C:
                """C."""
                @x.setter
                def x(self, value): pass
                @typing.overload
                def y(self): ...
            ''')
        self.assertNoFindings(house.docstrings("task", text))

    def test_test_methods_without_are_found(self) -> None:
        """A test says what it expects; helpers need not."""
        text = 'class T:\n  def setUp(self): pass\n  def test_a(self): pass\n  def test_b(self):\n    """B."""'
        self.assertFinds(house.test_docstrings("test_x", text), r"test_x\.T\.test_a: no docstring")

    def test_the_tree(self) -> None:
        """Every public name of the package has a docstring."""
        for module in SOURCE:
            with self.subTest(module.name):
                self.assertNoFindings(house.docstrings(module.name, module.text))

    def test_the_tests(self) -> None:
        """Every test method has one."""
        for module in TESTS:
            with self.subTest(module.name):
                self.assertNoFindings(house.test_docstrings(module.name, module.text))


class ErrorTreeTests(ArchitectureTestCase):
    drawn = '"""Errors.\n\n  Base\n    One (also ValueError)\n      Two\n    Three\n\nThat is all.\n"""\n'
    coded = code("""
        class Base(Exception): pass
        class One(Base, ValueError): pass
        class Two(One): pass
        class Three(Base): pass
        """)

    def test_the_drawing_and_the_code_agree(self) -> None:
        """Indentation is derivation, and "(also X)" is a second base."""
        self.assertNoFindings(house.error_tree(self.drawn + self.coded))

    def test_differences_are_found(self) -> None:
        """A class that is not drawn, one that is only drawn, and one at a wrong place are findings."""
        self.assertFinds(house.error_tree(self.drawn + self.coded + "class Four(Base): pass"), "Four is not in")
        self.assertFinds(house.error_tree(self.drawn + self.coded.replace("Three", "_T")), "draws Three, which is not")
        self.assertFinds(house.error_tree(self.drawn + self.coded.replace("Two(One)", "Two(Base)")), "Two derives from")
        self.assertFinds(house.error_tree(self.drawn + self.coded.replace(", ValueError", "")), "One derives from")

    def test_the_tree(self) -> None:
        """The docstring of `wssync.errors` draws its exceptions."""
        self.assertNoFindings(house.error_tree((house.ROOT / "wssync" / "errors.py").read_text(encoding="utf-8")))


class PragmaTests(ArchitectureTestCase):
    def test_a_pragma_without_a_reason_is_found(self) -> None:
        """Two words at least say why; a string that has the words in it is no pragma."""
        bare = "#" + " pragma: no cover"
        self.assertFinds(house.pragmas("task", f"x = 1  {bare}"), "task:1: .* gives no reason")
        self.assertFinds(house.pragmas("task", f"x = 1  {bare} - why"), "gives no reason")
        self.assertFinds(house.pragmas("task", "x = 1  #" + " pragma: no branch"), "gives no reason")
        self.assertNoFindings(house.pragmas("task", f"x = 1  {bare} (Windows only)"))
        self.assertNoFindings(house.pragmas("task", f"x = '{bare}'"))

    def test_an_ignored_type_without_a_reason_is_found(self) -> None:
        """So does a `type: ignore`."""
        ignore = "#" + " type: ignore[attr-defined, misc]"
        self.assertFinds(house.pragmas("task", f"x = 1  {ignore}"), "gives no reason")
        self.assertNoFindings(house.pragmas("task", f"x = 1  {ignore}  # the stubs lack it"))

    def test_tests_may_ignore_types(self) -> None:
        """A test hands over wrong types on purpose, and its name says so."""
        self.assertNoFindings(house.pragmas("test_x", "x = 1  #" + " type: ignore[arg-type]", types=False))
        self.assertFinds(house.pragmas("test_x", "x = 1  #" + " pragma: no cover", types=False), "gives no reason")

    def test_the_tree(self) -> None:
        """Every exclusion in the package has its reason."""
        for module in SOURCE:
            with self.subTest(module.name):
                self.assertNoFindings(house.pragmas(module.name, module.text))

    def test_the_tests(self) -> None:
        """So has everything in the tests that is left out of the coverage."""
        for module in TESTS:
            with self.subTest(module.name):
                self.assertNoFindings(house.pragmas(module.name, module.text, types=False))


class SleepTests(ArchitectureTestCase):
    def test_sleeping_is_found(self) -> None:
        """time.sleep, called, handed on or imported."""
        for text in ("time.sleep(1)", "from time import sleep", "f(time.sleep)", "await asyncio.sleep(1)"):
            with self.subTest(text):
                self.assertTrue(house.sleeping("test_x", text))
        self.assertNoFindings(house.sleeping("test_x", "event.wait(1)\nself.sleep()\ntext = 'time.sleep'"))

    def test_the_tests(self) -> None:
        """No test sleeps."""
        for module in TESTS:
            with self.subTest(module.name):
                self.assertNoFindings(house.sleeping(module.name, module.text))


class OwnServerTests(ArchitectureTestCase):
    def findings(self, text: str, name: str = "test_x") -> List[str]:
        return house.own_servers(name, text)[0]

    def test_a_listening_socket_is_found(self) -> None:
        """Made by the socket module or by those that build on it, however they are imported."""
        for text in (
            "with socket.create_server(address) as listener: pass",
            "from socket import create_server",
            "self.listener.listen()",
            "import socketserver",
            "from http.server import HTTPServer",
            "from http import server",
            "await asyncio.start_server(f)",
        ):
            with self.subTest(text):
                self.assertIn("wssync.testing has a server", self.findings(text)[0])

    def test_the_servers_part_is_found(self) -> None:
        """What of the protocol only a server needs: its role, its half of the handshake."""
        for text in (
            "Encoder(Role.SERVER)",
            "frames.Role.SERVER",
            "from wssync.protocol.handshake import answer",
            "from wssync.protocol.http1 import parse_request_head",
        ):
            with self.subTest(text):
                self.assertIn("wssync.testing has a server", self.findings(text)[0])

    def test_the_shipped_server_is_none(self) -> None:
        """Nor is anything that only has such a name."""
        self.assertNoFindings(self.findings("with Server(opening=refuse(403)) as server: server.refuse_connections()"))
        self.assertNoFindings(
            self.findings("def listen(c): answer = c.receive()\nself.serve(listen)\nrole = Role.CLIENT")
        )

    def test_an_exception_is_reported_as_used(self) -> None:
        """An entry of the table excuses a module, or a package with all that is in it, and no other."""
        with mock.patch.dict(house.MAY_SERVE, {"a.b": "a reason"}, clear=True):
            for name in ("a.b", "a.b.test_c"):
                self.assertEqual(house.own_servers(name, "import socketserver"), ([], {"a.b"}))
                self.assertEqual(house.own_servers(name, "import socket"), ([], set()))
            self.assertFinds(self.findings("import socketserver", "a.bc"), "^a.bc:1: names socketserver")

    def test_the_tests(self) -> None:
        """The suite has one server, the one that is shipped, and every exception of the table is needed."""
        used: Set[str] = set()
        for module in TESTS:
            with self.subTest(module.name):
                findings, excused = house.own_servers(module.name, module.text)
                used |= excused
                self.assertNoFindings(findings)
        self.assertEqual(used, set(house.MAY_SERVE), "exceptions that nothing needs")
