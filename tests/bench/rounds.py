"""Runs the clients against the server, round by round."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, NamedTuple, Optional, Sequence

from tests.bench.cold import Cold, takes_part
from tests.bench.figures import Results
from tests.bench.rows import ACCELERATED, APART, CASES, FLOOR, FREE, PURE, Case
from tests.bench.server import NoServer, Server

__all__ = ["Plan", "run"]

ROOT = Path(__file__).resolve().parents[2]

PATIENCE = 15.0
"""Seconds that an answer may take, besides those that are measured."""

COLD = ("import", "size")


class Plan(NamedTuple):
    """What to run: names of clients and of cases, how many rounds, how many seconds to measure each time."""

    clients: Sequence[str]
    cases: Sequence[str]
    rounds: int
    seconds: float


class Client:
    """A client's process. `about` is what it said of itself."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.clients", name],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid
        self.about = self._read(PATIENCE)

    def ask(self, order: Dict[str, Any], seconds: float) -> Dict[str, Any]:
        """Its answer to an order. One that does not answer is ended."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
        except OSError:
            return self._ended()
        return self._read(seconds + PATIENCE)

    def _read(self, seconds: float) -> Dict[str, Any]:
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], seconds)[0]:
            self.stop()
            return {"failed": f"no answer within {seconds:g} seconds"}
        line = self._process.stdout.readline()
        if not line:
            return self._ended()
        answer: Dict[str, Any] = json.loads(line)
        return answer

    def _ended(self) -> Dict[str, Any]:
        self.stop()
        return {"failed": f"the process ended with status {self._process.returncode}"}

    @property
    def is_running(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()


class _Race:
    """One run of a plan."""

    def __init__(self, plan: Plan, server: Optional[Server], no_server: str, cold: Cold) -> None:
        self.plan = plan
        self.server = server
        self.no_server = no_server
        self.cold = cold
        self.results = Results()
        self._running: Dict[str, Client] = {}
        self._absent: Dict[str, Dict[str, Any]] = {}
        self._cores = sorted(os.sched_getaffinity(0))

    def meet(self) -> None:
        """Start every client once, to learn which are there."""
        for name in self.plan.clients:
            client = self._running[name] = Client(name)
            if "version" in client.about:
                self.results.versions[name] = client.about["version"]
            else:
                self._absent[name] = client.about

    def round(self, number: int) -> None:
        """Each case by each client, beginning with another client each round."""
        turn = number % len(self.plan.clients)
        order = [*self.plan.clients[turn:], *self.plan.clients[:turn]]
        for case in self.plan.cases:
            for client in order:
                if _takes_part(client, CASES[case]) and not self.results.has_given_up(client, case):
                    self.results.add(client, case, self._answer(client, case))

    def _answer(self, client: str, name: str) -> Dict[str, Any]:
        case = CASES[name]
        if client in self._absent:
            return self._absent[client]
        if case.kind in COLD:
            return self.cold.answer(case.kind, client)
        if self.server is None:
            return {"skipped": self.no_server}
        if case.tls and self.server.secure_url is None:
            return {"skipped": self.server.insecurity}
        return self._ask(client, case, self.server)

    def _ask(self, name: str, case: Case, server: Server) -> Dict[str, Any]:
        client = Client(name) if case.fresh else self._running[name]
        if not client.is_running:
            client = self._running[name] = Client(name)
        self._pin(client.pid, server.pid, case.cores)
        url = server.secure_url if case.tls else server.url
        ca = server.ca_file if case.tls else None
        order = {"case": case._asdict(), "url": url, "ca": ca, "seconds": self.plan.seconds}
        answer = client.ask(order, self.plan.seconds)
        if case.fresh:
            client.stop()
        return answer

    def _pin(self, client: int, server: int, cores: str) -> None:
        """Give client and server their cores, all threads that are there; new ones take after them."""
        first, last = self._cores[0], self._cores[-1]
        for pid, own in ((client, first), (server, last if cores == APART else first)):
            for thread in os.listdir(f"/proc/{pid}/task"):
                with contextlib.suppress(ProcessLookupError):
                    os.sched_setaffinity(int(thread), self._cores if cores == FREE else [own])

    def stop(self) -> None:
        """End every process."""
        for client in self._running.values():
            client.stop()


def _takes_part(client: str, case: Case) -> bool:
    """Whether the case means anything for this client; if not, nothing is missing where there is no figure."""
    if case.kind in COLD:
        return takes_part(case.kind, client)
    if client == FLOOR:
        return case.has_floor
    return not case.ours or client in (PURE, ACCELERATED)


def run(plan: Plan, folder: Path, tell: Callable[[str], None]) -> Results:
    """Run the plan; files are made in `folder`. `tell` hears how it goes on."""
    with contextlib.ExitStack() as stack:
        server, no_server = None, ""
        try:
            server = stack.enter_context(Server(folder))
        except NoServer as error:
            no_server = str(error)
            tell(f"without a server: {no_server}")
        race = _Race(plan, server, no_server, Cold(folder / "bytecode"))
        stack.callback(race.stop)
        race.meet()
        for number in range(plan.rounds):
            race.round(number)
            tell(f"round {number + 1} of {plan.rounds}")
    return race.results
