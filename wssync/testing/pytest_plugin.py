"""Fixtures for pytest, which finds this module by its entry point as soon as wssync is installed.

    def test_it_echoes(websocket_server):
        with wssync.connect(websocket_server.url) as task:
            task.send("hello")
            assert task.receive(timeout=5) == "hello"

    @pytest.mark.websocket_cassette(secrets=["token"])
    def test_the_real_one(websocket_cassette):
        ...  # talks to the real server in the first run, and to cassettes/<module>/<test>.json ever after

A test's fixtures live in its own process and for as long as the test, so tests may be spread over processes as pytest
(or pytest-xdist) likes. pytest 7.0 is the first with what is used here. Nothing else of wssync imports this module, or
needs pytest.

A fixture does not see how its test ended, but a cassette has to: the conversation of a test that failed must not be
what is expected of it from then on. The reports know.
"""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional

import pytest

if TYPE_CHECKING:
    from .cassette import Cassette
    from .server import Server

__all__ = ["websocket_cassette", "websocket_server"]

MARKERS = (
    "websocket_server(*, handler, tls, protocols, compression, opening, maximum_message_size): "
    "what the server of the fixture websocket_server is made of, as the arguments of wssync.testing.Server.",
    "websocket_cassette(*, path, secrets): where the fixture websocket_cassette keeps its file (relative to the folder "
    "of the test module), and what it leaves out besides credentials.",
)

LONGEST = 100
"""Characters of a file's name, without its ending: file systems take 255 bytes, and some a whole path of 260."""

_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)
"""What Windows takes for a device, whatever comes behind a point."""

_Outcome = Optional[BaseException]
_outcomes = pytest.StashKey[List[_Outcome]]()
"""How the phases of a test went that can tell whether it passed."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option `--websocket-no-record`."""
    parser.getgroup("wssync").addoption(
        "--websocket-no-record",
        action="store_true",
        help="record no cassette: a test whose cassette is missing fails, and no network is reached",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    for line in MARKERS:
        config.addinivalue_line("markers", line)


@pytest.fixture
def websocket_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A wssync.testing.Server that echoes, started, and closed after the test.

    The arguments of the marker `websocket_server` are those of Server, by name; where several markers apply, the
    nearest decides about each argument. What a handler or an opening has raised, or a client's breach of the protocol,
    is an error of the test, unless the test has taken it by `take_errors()`.
    """
    from .server import Server

    with Server(**_options(request.node, "websocket_server")) as server:
        yield server
    errors = server.take_errors()
    if errors:
        raise AssertionError(
            f"the server of the test has noticed errors (`take_errors` is for expected ones): {errors!r}"
        ) from errors[0]


@pytest.fixture
def websocket_cassette(request: pytest.FixtureRequest) -> Iterator[Cassette]:
    """A wssync.testing.Cassette that is active during the test: it records in the first run, and replays ever after.

    Its file is cassettes/<module>/<test>.json beside the test module, or what the marker `websocket_cassette` has as
    `path`; the other arguments of the marker are those of Cassette. A test that fails, or is skipped, records nothing.
    With --websocket-no-record none does, and a missing file is an error.
    """
    from .cassette import Cassette

    node = request.node
    options = _options(node, "websocket_cassette")
    path = os.path.join(node.path.parent, options.pop("path", None) or _default_path(node))
    if request.config.getoption("websocket_no_record"):
        options["record"] = False
    cassette = Cassette(path, **options)
    cassette.__enter__()
    yield cassette
    error = _error_of(node)
    cassette.__exit__(None if error is None else type(error), error, None)


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Note how a test with a cassette went; whether there is a report, and which, is for others to say."""
    if "websocket_cassette" not in getattr(item, "fixturenames", ()) or call.when == "teardown":
        return
    if call.when == "call" or call.excinfo is not None:
        item.stash.setdefault(_outcomes, []).append(call.excinfo and call.excinfo.value)


def _error_of(node: pytest.Item) -> _Outcome:
    """What the test has raised, if it has; KeyboardInterrupt if it did not come to its end."""
    outcomes = node.stash.get(_outcomes, [KeyboardInterrupt()])
    node.stash[_outcomes] = []  # the item lives on, and with an exception all that its frames hold would
    return next((error for error in outcomes if error is not None), None)


def _options(node: pytest.Item, name: str) -> Dict[str, Any]:
    """The arguments of all markers of that name, each from the nearest marker that has it.

    They have names: `pytest.mark.x(f)` is taken by pytest for a decorated test `f`, so a handler alone never arrives.
    """
    options: Dict[str, Any] = {}
    for marker in node.iter_markers(name):
        if marker.args:
            raise TypeError(f"the arguments of the marker {name} are given by name, not like {marker.args[0]!r}")
        options = {**marker.kwargs, **options}
    return options


def _default_path(node: pytest.Item) -> str:
    """cassettes/<module>/<Class.test[parameters]>.json"""
    names = [part.name for part in node.listchain() if isinstance(part, pytest.Class)]
    return os.path.join("cassettes", _safe(node.path.stem), f"{_safe('.'.join([*names, node.name]))}.json")


def _safe(name: str) -> str:
    """A file's name for this name: the same one on every file system, and not the same for two.

    What is no plain name becomes one, with a digest of what it was. So does one whose parameters have capitals, since
    `test[a]` and `test[A]` may be one file.
    """
    whole = re.sub(r"\[(.*)\]\Z", r"-\1", name, flags=re.DOTALL)
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", whole)[:LONGEST].strip(".-")
    parameters = name.partition("[")[2]
    if plain == whole and parameters == parameters.lower() and _RESERVED.fullmatch(plain) is None:
        return plain
    return f"{plain}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
