"""How each proxy is started. A gateway is a function of (stack) that returns where it listens and what it wrote down.

What it starts is put on the stack. User and password are those of `USER` and `PASSWORD`, in ASCII, where it asks.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import unittest
from contextlib import ExitStack
from pathlib import Path
from typing import Callable, List, NamedTuple, Optional

from tests.interop.peers import APPS
from tests.interop.starting import (
    OPENSSL_LIMIT,
    authority_file,
    need_library,
    need_program,
    new_folder,
    run,
    server_certificate,
)
from tests.processes import Argument, Program, free_port, run_command

__all__ = [
    "PASSWORD",
    "REALM",
    "USER",
    "Gateway",
    "StartGateway",
    "asyncssh",
    "haproxy",
    "microsocks",
    "mitmproxy",
    "squid",
    "squid_basic",
    "squid_digest",
]

USER = "keeper"
PASSWORD = "p%a:s/s@w?rd"
"""With all that a URL makes special."""

REALM = "a gate"


class Gateway(NamedTuple):
    """A proxy on `port`. `log` is where it says what it was asked, `authority` a file with who signs for it."""

    scheme: str
    port: int
    program: Program
    log: Optional[Path] = None
    authority: Optional[Path] = None

    @property
    def url(self) -> str:
        """Without a password."""
        return f"{self.scheme}://localhost:{self.port}"


StartGateway = Callable[[ExitStack], Gateway]

SQUID = """\
http_port 127.0.0.1:{port}
pid_filename none
cache deny all
cache_log {folder}/cache.log
coredump_dir {folder}
hosts_file {folder}/hosts
pinger_enable off
netdb_filename none
shutdown_lifetime 0 seconds
# The request that it was given, with all of its fields.
logformat whole %>rm %>ru %>Hs %>h
access_log stdio:{folder}/access.log whole
{authentication}
acl forbidden dstdomain forbidden.test
acl loopback dst 127.0.0.0/8
http_access deny forbidden
{condition}
http_access allow loopback
http_access deny all
"""

SQUID_HELPERS = Path("/usr/lib/squid")
"""Where Debian has the programs that look passwords up."""

SQUID_HOSTS = "127.0.0.1 localhost origin.test\n"
"""Names that the proxy alone knows."""


def squid(stack: ExitStack) -> Gateway:
    """squid, open to all."""
    return _squid(stack, "", lambda folder: "")


def squid_basic(stack: ExitStack) -> Gateway:
    """squid that asks for a password by Basic."""

    def write(folder: Path) -> str:
        command = [need_program("openssl"), "passwd", "-apr1", PASSWORD]
        return f"{USER}:{run_command(command, seconds=OPENSSL_LIMIT).strip()}\n"

    return _squid(stack, "basic_ncsa_auth", write)


def squid_digest(stack: ExitStack) -> Gateway:
    """squid that asks for a password by Digest, whose only algorithm is MD5."""
    secret = hashlib.md5(f"{USER}:{REALM}:{PASSWORD}".encode()).hexdigest()
    return _squid(stack, "digest_file_auth -c", lambda folder: f"{USER}:{REALM}:{secret}\n")


def _squid(stack: ExitStack, helper: str, write: Callable[[Path], str]) -> Gateway:
    program = need_program("squid")
    folder = new_folder(stack)
    port = free_port()
    authentication = condition = ""
    if helper:
        if not (SQUID_HELPERS / helper.split()[0]).exists():
            raise unittest.SkipTest(f"squid has no {SQUID_HELPERS / helper}")
        file = folder / "passwords"
        file.write_text(write(folder))
        scheme = helper.partition("_")[0]
        authentication = (
            f"auth_param {scheme} program {SQUID_HELPERS / helper} {file}\n"
            f"auth_param {scheme} children 1\n"
            f"auth_param {scheme} realm {REALM}\n"
            "acl known proxy_auth REQUIRED"
        )
        condition = "http_access deny !known"
    (folder / "hosts").write_text(SQUID_HOSTS)
    configuration = folder / "squid.conf"
    configuration.write_text(SQUID.format(port=port, folder=folder, authentication=authentication, condition=condition))
    if os.geteuid() == 0:
        for each in (folder, *folder.iterdir()):
            shutil.chown(each, "proxy")  # as which squid, started by root, works
    # The service name is that of its shared memory, which two squids must not have in common.
    started = run(stack, port, [program, "-N", "-f", configuration, "-n", f"wssync{port}"], folder=folder)
    return Gateway("http", port, started, folder / "access.log")


HAPROXY = """\
global
    maxconn 100
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
listen front
    bind 127.0.0.1:{port} ssl crt {certificate}
    server behind 127.0.0.1:{behind}
"""


def haproxy(stack: ExitStack) -> Gateway:
    """An `https:` proxy: HAProxy takes TLS off, and squid behind it asks for a password by Basic."""
    program = need_program("haproxy")
    behind = squid_basic(stack)
    folder = new_folder(stack)
    port = free_port()
    configuration = folder / "haproxy.cfg"
    configuration.write_text(HAPROXY.format(port=port, certificate=server_certificate(), behind=behind.port))
    started = run(stack, port, [program, "-db", "-f", configuration], folder=folder)
    return Gateway("https", port, started, behind.log, authority_file())


def microsocks(stack: ExitStack) -> Gateway:
    """microsocks: SOCKS 5 with a password (RFC 1929)."""
    program = need_program("microsocks")
    folder = new_folder(stack)
    port = free_port()
    started = run(stack, port, [program, "-i", "127.0.0.1", "-p", port, "-u", USER, "-P", PASSWORD], folder=folder)
    return Gateway("socks5", port, started, started.log_file)


def asyncssh(stack: ExitStack) -> Gateway:
    """asyncssh: SOCKS 4a, and 5 without a password, as SSH clients have it."""
    need_library("asyncssh")
    folder = new_folder(stack)
    port = free_port()
    started = run(stack, port, [sys.executable, APPS / "socks_over_ssh.py", port], folder=folder)
    return Gateway("socks4a", port, started, started.log_file)


def mitmproxy(stack: ExitStack, authority: str) -> Gateway:
    """mitmproxy, which ends TLS and begins its own, under certificates that it makes itself.

    It trusts servers for which `authority` signs. `Gateway.authority` is who signs for it.
    """
    program = need_program("mitmdump")
    folder = new_folder(stack)
    port = free_port()
    options = [f"confdir={folder}", f"ssl_verify_upstream_trusted_ca={authority}"]
    settings = [word for option in options for word in ("--set", option)]
    command: List[Argument] = [program, "--listen-host", "127.0.0.1", "--listen-port", port]
    command += settings
    started = run(stack, port, command, folder=folder)
    return Gateway("http", port, started, started.log_file, folder / "mitmproxy-ca-cert.pem")
