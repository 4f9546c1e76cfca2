"""What the parts of these tests need to be started: libraries, programs, folders of their own, certificates.

What cannot run here raises `unittest.SkipTest` with the reason.
"""

from __future__ import annotations

import atexit
import datetime
import functools
import importlib.util
import os
import shutil
import ssl
import sys
import tempfile
import unittest
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Mapping, NamedTuple, Optional, Sequence

from tests.processes import Argument, Program, run_command

__all__ = [
    "NGINX_HEAD",
    "Certificate",
    "authority_file",
    "certificate",
    "client_certificate",
    "need_library",
    "need_program",
    "new_folder",
    "run",
    "self_signed_certificate",
    "server_certificate",
    "stranger_certificate",
    "trusting_context",
]

NAMES = ("localhost", "127.0.0.1")
"""What certificates stand for unless a test wants another one."""

OPENSSL_LIMIT = 60
"""Seconds for a command of openssl, which takes a moment."""


class Certificate(NamedTuple):
    """A certificate for 127.0.0.1 and localhost, made for this run: a PEM file of key and chain, and who trusts it."""

    file: Path
    context: ssl.SSLContext


NGINX_HEAD = """\
daemon off;
pid nginx.pid;
error_log stderr warn;
worker_processes 1;
events {{}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
"""
"""How a configuration of nginx begins: in the foreground, with all that it writes in its own folder."""


def need_library(name: str) -> None:
    """SkipTest without it."""
    if importlib.util.find_spec(name) is None:
        raise unittest.SkipTest(f"the library {name} is not installed")


def need_program(name: str) -> str:
    """Its path; SkipTest without it. It may have come with this Python, or lie where only root's PATH leads."""
    more = (str(Path(sys.executable).parent), "/usr/sbin", "/usr/local/sbin")
    path = shutil.which(name) or shutil.which(name, path=os.pathsep.join(more))
    if path is None:
        raise unittest.SkipTest(f"the program {name} is not installed")
    return path


def run(
    stack: ExitStack,
    port: int,
    arguments: Sequence[Argument],
    *,
    folder: Optional[Path] = None,
    environment: Optional[Mapping[str, Optional[str]]] = None,
) -> Program:
    """Start a program that listens on `port`; it ends with the stack."""
    place = folder or new_folder(stack)
    return stack.enter_context(Program(arguments, port=port, folder=place, environment=environment))


def new_folder(stack: ExitStack) -> Path:
    """A folder that goes with the stack."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wssync-interop-")))
    folder.chmod(0o755)  # nginx, started by root, works as another user
    return folder


# -- certificates ------------------------------------------------------------------------------------------------------


@functools.cache
def _folder() -> Path:
    """Where the certificates of this run are."""
    need_library("trustme")
    folder = Path(tempfile.mkdtemp(prefix="wssync-interop-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.cache
def _authority(name: str) -> Any:
    """A certificate authority; "trusted" is the one that clients are told to trust."""
    folder = _folder()
    import trustme  # missing, it skips the tests over TLS alone

    authority = trustme.CA(organization_name=f"wssync {name}")
    authority.cert_pem.write_to_path(str(folder / f"{name}.pem"))
    return authority


def authority_file() -> Path:
    """The certificate of the authority that is trusted, PEM."""
    _authority("trusted")
    return _folder() / "trusted.pem"


def trusting_context() -> ssl.SSLContext:
    """A client's context that trusts that authority and no other."""
    return ssl.create_default_context(cafile=str(authority_file()))


@functools.cache
def certificate() -> Certificate:
    """The certificate of all peers of this run."""
    return Certificate(server_certificate(), trusting_context())


def server_certificate(*names: str, begins: float = 0, ends: float = 1) -> Path:
    """A PEM file of key and chain for these names, by the trusted authority, good for these days from now."""
    return _issue("trusted", names or NAMES, begins, ends)


def stranger_certificate() -> Path:
    """The same by an authority that nobody trusts."""
    return _issue("unknown", NAMES, 0, 1)


def client_certificate(authority: str = "trusted") -> Path:
    """A PEM file of key and chain for a client, whose name is "A client"; "unknown" is nobody's authority."""
    return _issue(authority, ("client@example.com",), 0, 1, common_name="A client")


@functools.cache
def _issue(authority: str, names: Sequence[str], begins: float, ends: float, **options: Any) -> Path:
    now = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=5)
    first, last = (now + datetime.timedelta(days=days) for days in (begins, ends))
    issued = _authority(authority).issue_cert(*names, not_before=first, not_after=last, **options)
    handle, path = tempfile.mkstemp(".pem", dir=_folder())
    os.close(handle)
    issued.private_key_and_cert_chain_pem.write_to_path(path)
    return Path(path)


@functools.cache
def self_signed_certificate() -> Path:
    """A PEM file of key and certificate, which nobody has signed but itself."""
    key, own, both = (_folder() / name for name in ("self.key", "self.crt", "self.pem"))
    command = [need_program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    run_command([*command, *subject, "-keyout", key, "-out", own], seconds=OPENSSL_LIMIT)
    both.write_bytes(key.read_bytes() + own.read_bytes())
    return both
