"""Certificates for `Server(tls=True)`: one certificate authority for each process, made when it is first needed.

A test of TLS needs a server whose certificate the client has a reason to trust, and nobody else may ever have a reason
to trust it. A key that is shipped with a package is known to everybody, and whoever once trusts its authority by
mistake trusts the world. So the keys are made afresh in each process and live in memory only (the `ssl` module takes a
key from nothing but a file: it lies in a private directory for the moment of the call), and the certificate speaks for
the names of the machine itself alone, for two days.

The cryptography is that of `trustme`, which comes with the extra `wssync[testing]`; plain `ws:` servers do without.
"""

from __future__ import annotations

import datetime
import functools
import os
import ssl
import tempfile
import threading
from typing import NamedTuple

__all__ = ["Certificates", "certificates", "make_server_context", "write_authority"]

NAMES = ("localhost", "127.0.0.1", "::1")
"""What the server's certificate stands for."""

LIFETIME = datetime.timedelta(days=2)
"""From an hour before it was made: clocks of one machine and its containers may differ a little."""


class Certificates(NamedTuple):
    """What one process serves with: the authority to trust, and the server's own key with its certificate, all PEM."""

    authority: bytes
    key_and_chain: bytes


_making = threading.Lock()


def certificates() -> Certificates:
    """The certificates of this process, the same at every call from any thread. `RuntimeError` without `trustme`."""
    with _making:
        return _make()


@functools.cache
def _make() -> Certificates:
    try:
        import trustme
    except ImportError as error:
        raise RuntimeError("TLS needs the extra wssync[testing]") from error
    authority = trustme.CA(organization_name="wssync.testing")
    start = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)
    server = authority.issue_cert(*NAMES, not_before=start, not_after=start + LIFETIME)
    return Certificates(authority.cert_pem.bytes(), server.private_key_and_cert_chain_pem.bytes())


def make_server_context() -> ssl.SSLContext:
    """An `SSLContext` for the server's role: TLS 1.2 and later, ALPN `http/1.1`, no certificate asked of clients.

    `RuntimeError` without `trustme`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION  # so that writing never has to wait for reading
    context.set_alpn_protocols(["http/1.1"])
    with tempfile.TemporaryDirectory(prefix="wssync-testing-") as directory:
        context.load_cert_chain(_write(directory, "server.pem", certificates().key_and_chain))
    return context


def write_authority(directory: str) -> str:
    """Write the authority's certificate into `directory` for a client to trust, and return the file's path."""
    return _write(directory, "ca.pem", certificates().authority)


def _write(directory: str, name: str, content: bytes) -> str:
    path = os.path.join(directory, name)
    with open(path, "wb") as file:
        file.write(content)
    return path
