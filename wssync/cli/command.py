"""From the arguments to the exit status."""

from __future__ import annotations

import contextlib
import errno
import logging
import sys
from typing import Optional, Sequence, TextIO, Type, Union

import wssync
from wssync.executors import SerialExecutor
from wssync.testing import Server

from .arguments import Options, UsageError, parse
from .console import Console
from .conversation import Conversation, Problem, Status
from .filtering import Filter
from .interactive import Interactive
from .serving import serve

__all__ = ["main"]

_SECRET = ("authorization", "proxy-authorization", "cookie", "set-cookie")
_NOBODY_READS = (errno.EPIPE, errno.EINVAL)  # the latter on Windows
_USUAL_CODES = (1000, 1001, 1005)
_SILENCE = logging.NullHandler()  # what matters is said in one line; a log with tracebacks would be a second voice


def main(
    argv: Optional[Sequence[str]] = None,
    stdin: Optional[TextIO] = None,
    stdout: Optional[TextIO] = None,
    stderr: Optional[TextIO] = None,
) -> int:
    """Run the command line and return its exit status; by default with the process's own arguments and streams.

    0: closed cleanly; 1: not opened, or lost; 2: wrong usage; 130: interrupted. Each but the first and the last is
    explained by one line on `stderr`. Nothing is raised.
    """
    logging.getLogger("wssync").addHandler(_SILENCE)
    console = Console(stdin or sys.stdin, stdout or sys.stdout, stderr or sys.stderr)
    try:
        with contextlib.redirect_stdout(console.stdout), contextlib.redirect_stderr(console.stderr):
            options = parse(sys.argv[1:] if argv is None else argv)
        problem = _run(options, console)
    except SystemExit as stop:
        return int(stop.code or 0)
    except KeyboardInterrupt:
        return Status.INTERRUPTED
    if problem is None:
        return Status.CLEAN
    console.report(problem.text)
    return problem.status


def _run(options: Options, console: Console) -> Optional[Problem]:
    try:
        if options.serve:
            serve(console, options.port)
            return None
        with contextlib.ExitStack() as resources:
            url = resources.enter_context(Server()).url if options.url is None else options.url
            executor = SerialExecutor()
            resources.callback(executor.shutdown, wait=False)
            return _talk(_open(options, url, executor), options, console)
    except UsageError as error:
        return Problem(Status.USAGE, f"{error} (--help says more)")
    except wssync.HandshakeError as error:
        if options.verbose:
            _describe_response(error.response, console)
        return Problem(Status.FAILED, str(error))
    except (wssync.WebSocketError, OSError) as error:
        return Problem(Status.FAILED, str(error))


def _open(options: Options, url: str, executor: SerialExecutor) -> wssync.WebSocketTask:
    """An open task. UsageError for what is the caller's mistake, `WebSocketError` for the rest."""
    try:
        request, configuration = options.request(url), options.configuration()
        return wssync.connect(request, options.subprotocol, configuration=configuration, executor=executor)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _talk(task: wssync.WebSocketTask, options: Options, console: Console) -> Optional[Problem]:
    if options.verbose:
        _describe_opening(task, console)
    form: Union[Type[Filter], Type[Interactive]] = Interactive if console.is_interactive else Filter
    conversation = form(task, console, binary=options.binary, wait=options.wait)
    try:
        conversation.run()
    finally:
        if options.verbose:
            _describe_closing(task, console)
    return _verdict(task, conversation, console)


def _verdict(task: wssync.WebSocketTask, conversation: Conversation, console: Console) -> Optional[Problem]:
    error = conversation.output_error
    if error is not None:
        quiet = error.errno in _NOBODY_READS
        return None if quiet else Problem(Status.FAILED, f"the output cannot be written: {error.strerror or error}")
    if task.error is not None:
        return Problem(Status.FAILED, str(task.error))
    if conversation.problem is None and task.close_code not in _USUAL_CODES:
        console.report(f"the server closed the connection with {_closing(task)}")
    return conversation.problem


def _describe_opening(task: wssync.WebSocketTask, console: Console) -> None:
    host, port = task.remote_address or ("?", 0)
    console.note(f"connected to {host} port {port}")
    _describe_response(task.response, console)
    console.note(f"subprotocol: {task.protocol or 'none'}")
    console.note(f"extensions: {', '.join(task.extensions) or 'none'}")


def _describe_response(response: object, console: Console) -> None:
    """The head of a response without its secrets, if there is one."""
    if not isinstance(response, wssync.Response):
        return
    console.note(f"{response.status_code} {response.reason}")
    for name, value in response.headers.fields:
        console.note(f"    {name}: {'***' if name.lower() in _SECRET else value}")


def _describe_closing(task: wssync.WebSocketTask, console: Console) -> None:
    console.note(f"closed with {_closing(task)}")


def _closing(task: wssync.WebSocketTask) -> str:
    """The close code, its name if it has one, and the reason."""
    code = task.close_code
    name = f" {code.name}" if isinstance(code, wssync.CloseCode) else ""
    return f"{int(code)}{name}{f': {task.close_reason}' if task.close_reason else ''}"
