"""What runs in the interpreter with the sanitizers: `python -m tests.sanitize.inside EXTENSION [--seconds N] [--seed N]
[--fuzz-only]`.

The extension is put in place before anything of `wssync` is imported, so all of it uses that one.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import sys
import threading
import unittest
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_loader
from types import ModuleType
from typing import Any, Callable, Optional, Tuple

TESTS = (
    "tests.protocol.test_speedups",
    "tests.protocol.test_rows",
    "tests.protocol.test_messages",
    "tests.protocol.test_encoder",
    "tests.engine.test_accelerated",
    "tests.engine.test_borrower",
    "tests.engine.test_borrower_long",
    "tests.engine.test_borrower_with_tls",
    "tests.engine.test_express_forms",
    "tests.engine.test_role_lock",
    "tests.engine.test_ways",
)


TIMES = 40
"""Allocations of one call of which each fails once."""


def put_in_place(file: str) -> ModuleType:
    """Load an extension as `wssync._speedups`."""
    loader = ExtensionFileLoader("wssync._speedups", file)
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    sys.modules[loader.name] = module
    return module


def run_out_of_memory(compiled: Any) -> int:
    """Let each allocation of each function fail in turn; how many did. Needs a Python with its own tests' helpers."""
    from tests.engine.lending import Lender, Unsealer, slots

    try:
        import _testcapi  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return 0
    data = b"\x81\x05Hello\x82\x05Hello\x81\x06Hell\xc3\xb6\x81\x03a\xffb"
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)  # of which each read gives one
    full, other = socket.socketpair()
    for one in (here, there, full, other):
        one.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            full.send(bytes(1 << 16))
    failures = 0
    locks, long = (compiled.RoleLock(), threading.RLock()), bytes(5000)
    borrower = compiled.Borrower(*slots())
    lenders = [Lender(compiled, here.fileno()) for _ in range(3 * TIMES)]
    for lender in lenders[:TIMES]:
        unsealer = Unsealer()
        unsealer.be_simple()
        lender.read_by(unsealer)
    calls: Tuple[Callable[[], object], ...] = (
        lambda: compiled.mask(bytearray(100), b"abcd", 1 << 40),
        lambda: compiled.encode_frame(0x82, bytearray(100), b"abcd"),
        lambda: compiled.cut_messages(data, 0, 1 << 40, []),
        lambda: _queue(compiled, data),
        *(lambda lock=lock: _send(compiled, full, lock, b"Hello") for lock in locks),
        lambda: _send(compiled, full, locks[0], long),
        compiled.RoleLock,
        *([lambda: borrower.receive(lenders.pop(), [])] * 3),
        lambda: _send(compiled, full, locks[0], long, bytes),
    )
    for call in calls:
        for number in range(TIMES):
            there.send(data[:7] if len(lenders) > 2 * TIMES else data)
            _testcapi.set_nomemory(number, number + 1)
            try:
                call()
            except MemoryError:
                failures += 1
            finally:
                _testcapi.remove_mem_hooks()
            with contextlib.suppress(BlockingIOError):
                here.recv(100)
    for one in (here, there, full, other):
        one.close()
    return failures


def _queue(compiled: Any, data: bytes) -> None:
    """Through a row and another; what memory was not there for stays where it was."""
    one, other = compiled.Row(), compiled.Row()
    compiled.cut_messages(data, 0, None, one)
    other.append("a")
    before = len(one)
    try:
        other.take(one, 2)
    finally:
        assert len(one) + len(other) == before + 1
    other.appendleft("b")
    other.appendleft("c")
    other.extend(("d", "e"))
    while other:
        assert other[0] == other.popleft()


def _send(
    compiled: Any, full: socket.socket, lock: Any, payload: bytes, seal: Optional[Callable[[bytes], bytes]] = None
) -> None:
    """Through a short way whose kernel takes nothing."""
    from tests.sanitize.fuzz import Outbox

    outbox = Outbox()
    keys = b"abcd".strip  # no function of Python's: 3.13.0 lets its code go once too often if there is no memory for it
    outbox.express = compiled.Express(outbox, lock, int, keys, None, full.fileno(), 0, seal, bytes)
    try:
        outbox.express.send_at_once(0x82, payload)
    finally:
        assert not lock._is_owned()  # else memory ran out with the role held


def main() -> int:
    """Run tests and fuzz; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.sanitize.inside")
    parser.add_argument("extension")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fuzz-only", action="store_true")
    options = parser.parse_args()
    compiled = put_in_place(options.extension)

    from tests.sanitize.fuzz import fuzz
    from wssync.protocol import speed

    assert speed.mask is compiled.mask, "another form is in use"
    if not options.fuzz_only:
        result = unittest.TextTestRunner(verbosity=0).run(unittest.defaultTestLoader.loadTestsFromNames(TESTS))
        if not result.wasSuccessful():
            return 1
        print(f"{run_out_of_memory(compiled)} allocations failed, and nothing else", flush=True)
    print(f"fuzzing with --seed {options.seed}", flush=True)
    print(f"{fuzz(compiled, options.seed, options.seconds)} calls compared", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
