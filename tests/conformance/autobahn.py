"""The judges: `wstest` of the Autobahn Testsuite, and kosoku where that cannot run.

`wstest` is the authority. It runs on CPython 2.7 only, so it gets a virtual environment in a cache folder
(`~/.cache/wssync-autobahn`, or what WSSYNC_AUTOBAHN names), made by the last virtualenv that knows that version; the
package has C parts, so a compiler is needed once. kosoku is a younger implementation of the same cases and reports, for
machines without Python 2.7; where the two differ, `wstest` is right.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import wssync
from tests.processes import Argument, Program, ProgramFailed, Settings, cache_folder, free_port, run_command

__all__ = ["AGENT", "REPORT", "Judge", "find_judge"]

AGENT = "wssync"
"""What the judged is called in the report."""

REPORT = "index.json"
"""The file of the report that has the verdicts."""

AUTOBAHN = "autobahntestsuite==25.10.1"
VIRTUALENV = "virtualenv==20.15.1"

INSTALLATION_LIMIT = 600
"""Seconds for each step of the installation; on two cores the longest, compiling, takes about 25."""

EXAMINATION_LIMIT = 2400
"""Seconds for all cases against a server; they take about ten minutes."""

LAUNCHER = """\
# `wstest` binds 0.0.0.0 whatever host the URL names; this binds the loopback interface alone.
import autobahntestsuite.fuzzing as fuzzing
listen = fuzzing.listenWS
fuzzing.listenWS = lambda factory, context=None: listen(factory, context, interface="127.0.0.1")
from autobahntestsuite.wstest import run
run()
"""

KOSOKU = "from kosoku._cli import main; main()"

FOREIGN = {"PYTHONPATH": None, "PYTHONHOME": None, "PYTHONWARNINGS": None}
"""Settings for this interpreter that must not reach the other one."""


class Judge(NamedTuple):
    """What judges clients (as a server) and servers (as a client): the interpreter that has it, and which it is."""

    name: str
    python: Path

    @property
    def client_compression(self) -> Union[str, wssync.DeflateOptions]:
        """What the client is to offer so that most cases are judged.

        kosoku 0.1.0 leaves out sections 2, 5 and 6 of family 13 for a client that does not offer
        `client_no_context_takeover`.
        """
        if self.name == "wstest":
            return "deflate"
        return wssync.DeflateOptions(client_no_context_takeover=True, threshold=0)

    @property
    def server_compression(self) -> Union[str, wssync.DeflateOptions]:
        """What the server is to agree to so that most cases are judged; see `unjudged`."""
        return "deflate" if self.name == "wstest" else wssync.DeflateOptions(threshold=0)

    @property
    def unjudged(self) -> Tuple[str, ...]:
        """The behaviours that say something of the judge, not of the judged.

        kosoku 0.1.0 stumbles over its own text (ERROR) where the other side sends a message of family 12 or 13 that
        would not shrink without compression.
        """
        return () if self.name == "wstest" else ("ERROR", "UNIMPLEMENTED")

    def start(self, folder: Path, cases: Sequence[str], certificate: Optional[Path] = None) -> Program:
        """The judge of clients as a program that listens, and writes its report into `folder` when it is asked to.

        `cases` are numbers or, with an asterisk, all numbers that begin so. With `certificate`, a PEM file of key and
        chain, it speaks TLS.
        """
        port = free_port()
        specification = {
            "url": f"{'wss' if certificate else 'ws'}://127.0.0.1:{port}",
            **({"key": str(certificate), "cert": str(certificate)} if certificate else {}),
        }
        command = self._command("fuzzingserver", folder, cases, f"127.0.0.1:{port}", specification)
        return Program(command, port=port, folder=folder, environment=self._environment)

    def examine(self, url: str, folder: Path, cases: Sequence[str]) -> str:
        """Run `cases` against the server at `url`, and return the text of the report, which is left in `folder`.

        ProgramFailed if the judge writes none. In it the server has the name of its header field `Server`.
        """
        command = self._command("fuzzingclient", folder, cases, url, {"servers": [{"url": url}]})
        file = folder / REPORT
        try:
            run_command(command, seconds=EXAMINATION_LIMIT, folder=folder, environment=self._environment)
        except ProgramFailed:
            if not file.exists():  # else it is kosoku, whose exit status is a verdict as well
                raise
        return file.read_text(encoding="utf-8")

    @property
    def _environment(self) -> Settings:
        return FOREIGN if self.name == "wstest" else None

    def _command(
        self, mode: str, folder: Path, cases: Sequence[str], address: str, specification: Mapping[str, object]
    ) -> List[Argument]:
        """How it is called; `specification` is what `wstest` is told about the other side, in a file."""
        if self.name == "kosoku":
            chosen = [word for case in cases for word in ("-i", case)]
            return [self.python, "-c", KOSOKU, "-m", mode, "-o", folder, *chosen, address]
        common = {"outdir": str(folder), "cases": list(cases), "exclude-cases": [], "exclude-agent-cases": {}}
        file = folder / "specification.json"
        file.write_text(json.dumps({**common, **specification}))
        return [self.python, "-c", LAUNCHER, "-m", mode, "-s", file, "-u", "0"]


def find_judge() -> Judge:
    """`wstest`, installed now if it was not, else kosoku. ProgramFailed says why there is neither."""
    try:
        return Judge("wstest", _install_wstest(cache_folder("wssync-autobahn", "WSSYNC_AUTOBAHN")))
    except ProgramFailed as error:
        reason = str(error)
    print(f"wstest cannot run: {reason}", flush=True)
    if importlib.util.find_spec("kosoku") is None:
        raise ProgramFailed(f"neither wstest ({reason}) nor kosoku (not installed) can run")
    return Judge("kosoku", Path(sys.executable))


def _install_wstest(cache: Path) -> Path:
    """The interpreter of an environment that has `wstest`."""
    environment = cache / "venv"
    python = environment / "bin" / "python"
    if _has_wstest(python):
        return python
    original = _python27()
    shutil.rmtree(environment, ignore_errors=True)
    packages = cache / "virtualenv"
    print(f"installing wstest into {cache}", flush=True)
    _install([original, "-m", "pip", "install", "-q", "--target", packages, "--upgrade", VIRTUALENV])
    _install([original, "-m", "virtualenv", "-q", environment], path=str(packages))
    _install([python, "-m", "pip", "install", "-q", AUTOBAHN])
    return python


def _install(command: Sequence[Argument], path: Optional[str] = None) -> None:
    run_command(command, seconds=INSTALLATION_LIMIT, environment={**FOREIGN, "PYTHONPATH": path})


def _has_wstest(python: Path) -> bool:
    if not python.exists():
        return False
    try:
        run_command([python, "-c", "import autobahntestsuite.wstest"], seconds=60, environment=FOREIGN)
    except ProgramFailed:
        return False
    return True


def _python27() -> Path:
    """An interpreter of CPython 2.7 that has pip: what WSSYNC_PYTHON27 names, pyenv's, or one on the path."""
    for candidate in _candidates():
        try:
            run_command([candidate, "-m", "pip", "--version"], seconds=60, environment=FOREIGN)
        except ProgramFailed:
            continue
        return Path(candidate)
    raise ProgramFailed("no CPython 2.7 with pip was found")


def _candidates() -> Iterator[str]:
    named = os.environ.get("WSSYNC_PYTHON27")
    if named:
        yield named
    if shutil.which("pyenv"):
        root = Path(run_command(["pyenv", "root"], seconds=30).strip())
        yield from sorted(str(python) for python in root.glob("versions/2.7.*/bin/python2.7"))
    found = shutil.which("python2.7")
    if found:
        yield found
