"""Handlers that need not be written again: an echo, a conversation by heart, one handler after the other.

    server = Server(script([expect("hello"), "welcome", expect("bye")]))

A handler is any function of a connection, and so is a step of a `script` and an `opening` of the server. That is why
they compose: a script within a script is one of its steps, and so is every fault of `wssync.testing.faults`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable as AnyIterable
from collections.abc import Mapping, Set
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Callable, Iterable, Union

from ..errors import ConnectionClosed
from ..protocol.headers import printable
from .connection import ServerConnection
from .sending import Message

__all__ = ["Handler", "Step", "check_function", "check_path", "echo", "expect", "in_turn", "perform", "script"]

Handler = Callable[[ServerConnection], object]
"""What is called with each connection, in that connection's thread."""

Step = Union[Message, Handler]
"""A part of a script: a message to send, or something to do with the connection."""

SHOWN = 200
"""Characters of a message that a failure shows, half of them from its end: a megabyte would hide what went wrong."""


def echo(connection: ServerConnection) -> None:
    """The handler that sends every message back, until the client closes."""
    while True:
        connection.send(connection.receive())


def script(steps: Iterable[Step]) -> Handler:
    """Make a handler that takes these steps one after the other, the same for each connection, and then returns.

    A `str` is sent as a text message, anything like `bytes` as a binary one, and a callable is called with the
    connection: `expect("hi")`, a fault, another script, a function of the test. TypeError for any other step, and for
    one message or a mapping in the place of the list.

    When a step fails, AssertionError says which step of how many it was, with the step's own error as its
    `__cause__`. The end of the connection (`ConnectionClosed`) is no failure: it ends the script and passes on as it
    is, but see `expect`.
    """
    if isinstance(steps, (str, bytes, bytearray, memoryview, Mapping, Set)) or not isinstance(steps, AnyIterable):
        raise TypeError(f"a script is a list of steps, not one {type(steps).__name__}")
    taken = tuple(steps)
    for step in taken:
        if not callable(step) and not isinstance(step, (str, bytes, bytearray, memoryview)):
            raise TypeError(f"a step is a message or a callable, not {step!r}")

    def play(connection: ServerConnection) -> None:
        for number, step in enumerate(taken, 1):
            try:
                if callable(step):
                    perform(step, connection)
                else:
                    connection.send(step)
            except Exception as error:
                if connection.is_end(error):
                    raise
                raise AssertionError(f"step {number} of {len(taken)}: {str(error) or repr(error)}") from error

    return play


def expect(message: Message) -> Handler:
    """Make a step (or a handler) that receives the next message, however long it takes, and compares it.

    AssertionError that shows both sides if it is another message, or if the connection ends instead, whoever ended it.
    Text and binary are never equal. Pings are answered meanwhile.
    """
    if not isinstance(message, (str, bytes, bytearray, memoryview)):
        raise TypeError(f"a message is text or bytes, not {message!r}")
    expected = message if isinstance(message, str) else bytes(message)

    def receive(connection: ServerConnection) -> None:
        try:
            received = connection.receive()
        except ConnectionClosed as error:
            raise AssertionError(f"expected {_show(expected)}, but {error}") from error
        if received != expected:
            raise AssertionError(f"expected {_show(expected)}, received {_show(received)}")

    return receive


def in_turn(*handlers: Handler) -> Handler:
    """Make a handler, or an opening, that gives the first connection to the first of `handlers`, and so on.

    The last one gets all later connections. What counts is the order in which it is called, from any thread:
    `Server(opening=in_turn(refuse(503), ServerConnection.accept))` refuses once. ValueError for no handlers,
    TypeError for what is none.
    """
    if not handlers:
        raise ValueError("there is nobody whose turn it could be")
    for handler in handlers:
        check_function("handler", handler)
    counting = threading.Lock()
    waiting = list(handlers)

    def pass_on(connection: ServerConnection) -> object:
        with counting:
            handler = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return handler(connection)

    return pass_on


def check_function(kind: str, value: object) -> None:
    """TypeError unless `value` can be called; `kind` is what it was to be, "handler" or "opening"."""
    if not callable(value):
        article = "an" if kind == "opening" else "a"
        raise TypeError(
            f"{article} {kind} is a function of the connection, not {value!r}; for messages see script([...])"
        )


def check_path(path: str) -> None:
    """TypeError unless `path` is a `str`, ValueError unless it begins with its slash."""
    if not isinstance(path, str):
        raise TypeError(f"a path is a str, not {path!r}")
    if not path.startswith("/"):
        raise ValueError(f"a path begins with a slash, not like {printable(path)!r}")


def perform(function: Handler, connection: ServerConnection) -> None:
    """Call a handler, an opening or a step. TypeError if what it returns shows that nothing was done.

    That is a function which nobody calls (`lambda connection: script([...])`), a coroutine or a generator.
    """
    result = function(connection)
    name = getattr(function, "__name__", None) or repr(function)
    if isinstance(result, CoroutineType):
        result.close()  # or Python warns that nobody awaited it
    if isinstance(result, (CoroutineType, AsyncGeneratorType)):
        raise TypeError(f"{name} is asynchronous, and nobody awaits it here: it must be a plain function")
    if isinstance(result, GeneratorType):
        raise TypeError(f"{name} returned a generator, and nobody iterates over it here: it must be a plain function")
    # A Mock as a handler returns another one, and nothing was forgotten.
    if callable(result) and type(result).__module__ != "unittest.mock":
        raise TypeError(f"{name} returned a function that nobody calls: give {result!r} itself in its place")


def _show(message: Union[str, bytes]) -> str:
    shown = repr(message)
    if len(shown) <= SHOWN:
        return shown
    unit = "characters" if isinstance(message, str) else "bytes"
    return f"{shown[: SHOWN // 2]}...{shown[-SHOWN // 2 :]} ({len(message)} {unit})"
