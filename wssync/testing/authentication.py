"""Openings that ask for a password: Basic (RFC 7617) and Digest (RFC 7616).

    Server(opening=digest("user", "secret", algorithm="MD5"))
    Server(opening=[basic("user", "secret", proxy=True), proxy()])

A request with the right password goes on to the next opening or to the regular answer; any other is answered 401 with
`WWW-Authenticate`, and with a body that says what was wrong with its Authorization. With `proxy=True` these are 407,
`Proxy-Authenticate` and `Proxy-Authorization`, for whatever request comes. Each connection has one request here, so a
client answers the challenge on a new connection; an opening remembers its nonces from one to the next.

They are classes in lower case, like `functools.partial`: functions of the connection that can be looked at, and whose
`repr()` does not show the password.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Sequence

from ..protocol.challenges import check_text, quote, to_octets
from .openings import turn_down
from .verifying import DigestVerifier, Refused, Verdict, find_credentials

if TYPE_CHECKING:
    from .connection import ServerConnection
    from .handlers import Handler

__all__ = ["Scheme", "basic", "digest", "either"]


class Scheme(ABC):
    """A way of asking for a password. It is an opening."""

    proxy: bool

    @abstractmethod
    def challenge(self, stale: bool = False) -> str:
        """The value of WWW-Authenticate or Proxy-Authenticate."""

    @abstractmethod
    def judge(self, values: Sequence[str], method: str, target: str) -> Verdict:
        """Judge the values of all Authorization or Proxy-Authorization fields of a request."""

    def __call__(self, connection: ServerConnection) -> None:
        """Let a request with the right password pass, and answer any other with the challenge."""
        _admit([self], connection)


@dataclass(eq=False)
class basic(Scheme):
    """Ask for this user and password by Basic authentication (RFC 7617), with `charset="UTF-8"`.

    ValueError for a colon in the user name, which could not be told from the one behind it, and for control characters;
    TypeError for what is no text.
    """

    user: str
    password: str = field(repr=False)
    realm: str = "wssync"
    proxy: bool = False

    def __post_init__(self) -> None:
        for name, value in (("user name", self.user), ("password", self.password), ("realm", self.realm)):
            check_text(name, value)
        if ":" in self.user:
            raise ValueError("a user name for Basic authentication has no colon (RFC 7617 section 2)")

    def challenge(self, stale: bool = False) -> str:
        """The value of WWW-Authenticate or Proxy-Authenticate; nothing here can be stale."""
        return f'Basic realm={quote(self.realm)}, charset="UTF-8"'

    def judge(self, values: Sequence[str], method: str, target: str) -> Verdict:
        """Judge the values of all Authorization or Proxy-Authorization fields of a request."""
        try:
            given = base64.b64decode(find_credentials(values, "Basic").encode("latin-1"), validate=True)
        except Refused as error:
            return Verdict(str(error))
        except binascii.Error:
            return Verdict("the credentials are no base64")
        if not hmac.compare_digest(given, to_octets(f"{self.user}:{self.password}")):
            return Verdict("the user name or the password is wrong")
        return Verdict()


@dataclass(eq=False)
class digest(DigestVerifier, Scheme):
    """Ask for this user and password by Digest authentication (RFC 7616); `qop=None` is the form of RFC 2069.

    `uses=1` makes each nonce stale after one use, `uses=0` every one at once, and `expire()` all there are; a client
    that has the password is then told `stale=true`. All the choices, and what raises ValueError, are with
    `wssync.testing.verifying.DigestVerifier`.
    """

    proxy: bool = False


def either(*schemes: Scheme) -> Handler:
    """Ask for a password in several ways at once, one challenge each in this order; the client answers one of them.

    ValueError if there is none, or some are for a proxy and some are not; TypeError for what is neither `basic(...)`
    nor `digest(...)`.
    """
    for scheme in schemes:
        if not isinstance(scheme, Scheme):
            raise TypeError(f"a way to ask is basic(...) or digest(...), not {scheme!r}")
    if len({scheme.proxy for scheme in schemes}) != 1:
        raise ValueError("there must be ways to ask, and all of them for a proxy or none")

    def ask(connection: ServerConnection) -> None:
        _admit(schemes, connection)

    return ask


def _admit(schemes: Sequence[Scheme], connection: ServerConnection) -> None:
    proxy, request = schemes[0].proxy, connection.request
    values = request.headers.get_all("Proxy-Authorization" if proxy else "Authorization")
    verdicts = [scheme.judge(values, request.method, request.target) for scheme in schemes]
    if any(verdict.reason is None for verdict in verdicts):
        return
    name = "Proxy-Authenticate" if proxy else "WWW-Authenticate"
    turn_down(
        connection,
        407 if proxy else 401,
        "\n".join(dict.fromkeys(verdict.reason for verdict in verdicts if verdict.reason)),
        [(name, scheme.challenge(verdict.stale)) for scheme, verdict in zip(schemes, verdicts)],
    )
