"""The public names."""

from __future__ import annotations

import re
import subprocess
import sys
import unittest
from pathlib import Path
from typing import List

import wssync
from wssync.testing import Server, echo

ROOT = Path(__file__).resolve().parents[1]


class PackageTests(unittest.TestCase):
    def test_every_public_name_is_there(self) -> None:
        """And has a docstring of its own or is an enumeration or an exception with one."""
        for name in wssync.__all__:
            with self.subTest(name):
                self.assertTrue(getattr(wssync, name).__doc__)

    def test_nothing_else_looks_public(self) -> None:
        """What is no module and has no underscore is in `__all__`."""
        found = {name for name in vars(wssync) if not name.startswith("_") and not self._is_internal(name)}
        self.assertEqual(found | (set(vars(wssync)["_LATE"]) - {"executors"}), set(wssync.__all__))

    @staticmethod
    def _is_internal(name: str) -> bool:
        return name in ("annotations", "TYPE_CHECKING") or isinstance(getattr(wssync, name), type(sys))

    def test_the_version(self) -> None:
        """Three numbers."""
        self.assertRegex(wssync.__version__, r"^\d+\.\d+\.\d+")

    def test_importing_it_starts_nothing_and_loads_no_toolkit(self) -> None:
        """No thread, no `wssync.testing`, no asyncio, no toolkit, no trustme."""
        script = (
            "import sys, threading, wssync\n"
            "loaded = set(sys.modules) & {'asyncio', 'tkinter', 'trustme', 'wssync.testing'}\n"
            "print(threading.active_count(), sorted(loaded))"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=60, check=True
        )
        self.assertEqual(done.stdout, "1 []\n")

    LATE = (
        "ast asyncio base64 certifi concurrent.futures copy dataclasses datetime email hashlib hmac http.client idna "
        "importlib.resources inspect ipaddress json logging queue random ssl string struct tempfile traceback "
        "urllib.parse weakref wssync.auth wssync.cookies.exchange wssync.executors wssync.metrics.values "
        "wssync.transport.tls wssync.transport.trust zlib"
    )
    """What only TLS, international names, compression, callbacks, passwords, cookies or the log need."""

    def test_an_import_loads_little(self) -> None:
        """The rest is loaded with what needs it."""
        self.assertEqual(self.loaded_by("wssync.connect"), [])

    def test_a_plain_connection_loads_little(self) -> None:
        """What an import puts off is not what every connection needs: opened, used and closed, it is still away."""
        for compression, needed in ((None, []), ("deflate", ["zlib"])):
            with self.subTest(compression), Server(echo, compression=compression) as server:
                work = f"task = wssync.connect({server.url!r}); task.send('x'); print(task.receive()); task.close()"
                self.assertEqual(self.loaded_by(work, "x\n"), needed)

    def loaded_by(self, work: str, said: str = "") -> List[str]:
        late = self.LATE
        if sys.version_info >= (3, 11):  # before, annotations need both; nothing else does
            late += " re typing"
        script = f"import sys, wssync; {work}; print(*sorted(set(sys.modules) & set({late.split()!r})))"
        done = subprocess.run(
            [sys.executable, "-S", "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=60, check=True
        )
        self.assertTrue(done.stdout.startswith(said))
        return done.stdout[len(said) :].split()

    def test_executors_need_no_import_of_their_own(self) -> None:
        """`wssync.executors` is there once somebody names it; what is not there is an AttributeError, as everywhere."""
        script = (
            "import sys, wssync\n"
            "before = 'wssync.executors' in sys.modules\n"
            "print(before, wssync.executors.SerialExecutor.__name__, 'wssync.executors' in sys.modules)"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=60, check=True
        )
        self.assertEqual(done.stdout, "False SerialExecutor True\n")
        with self.assertRaisesRegex(AttributeError, "module 'wssync' has no attribute 'conect'"):
            wssync.conect  # type: ignore[attr-defined] # noqa: B018

    def test_the_tour_of_the_docstring_names_real_things(self) -> None:
        """Every call in it exists."""
        calls = re.findall(r"\b(task|wssync|result)\.(\w+)\(", wssync.__doc__ or "")
        places = {"task": wssync.WebSocketTask, "wssync": wssync, "result": wssync.Result}
        self.assertTrue(calls)
        for place, name in calls:
            self.assertTrue(callable(getattr(places[place], name)))
