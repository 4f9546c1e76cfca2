"""What a challenge is answered with (Apple: `URLCredential`, `URLCredential.Persistence`)."""

from __future__ import annotations

import enum

from ..frozen import Frozen
from ..hints import TYPE_CHECKING, Any, Optional
from .spaces import ServerTrust

if TYPE_CHECKING:
    from ..protocol.urls import WebSocketURL

__all__ = ["Credential", "CredentialPersistence"]


class CredentialPersistence(enum.IntEnum):
    """How long a credential that was accepted is kept (Apple's values).

    `NONE`: for this task alone. `FOR_SESSION` and `PERMANENT`: in the configuration's `CredentialStorage`, which is in
    memory and never written to disk. `SYNCHRONIZABLE` is Apple's name for what it shares between devices; it is not
    stored.
    """

    NONE = 0
    FOR_SESSION = 1
    PERMANENT = 2
    SYNCHRONIZABLE = 3


class Credential(Frozen):
    """The answer to a challenge: a frozen value, equal to another of the same content.

    `Credential(user, password, persistence=CredentialPersistence.FOR_SESSION)` is for Basic and Digest, over a proxy
    too. The other kinds are made by `for_trust`, `identity` and `token`, and none of them is ever stored.

    TypeError for what is no text or no persistence, ValueError for control characters (RFC 7617 section 2); the
    messages, like `repr()`, do not show what is secret. That is the password and the token, and a user name without a
    password, because keys for services are written so (`wss://key@host`).
    """

    user: Optional[str] = None
    password: Optional[str] = None
    persistence: CredentialPersistence = CredentialPersistence.FOR_SESSION
    server_trust: Optional[ServerTrust] = None
    certificate_file: Optional[str] = None
    key_file: Optional[str] = None
    scheme: Optional[str] = None
    value: Optional[str] = None

    @classmethod
    def for_trust(cls, server_trust: ServerTrust) -> Credential:
        """Accept this server's certificate, and no other (Apple: `URLCredential(trust:)`)."""
        if not isinstance(server_trust, ServerTrust):
            raise TypeError(f"the server trust is a ServerTrust, not {type(server_trust).__name__}")
        return cls(server_trust=server_trust, persistence=CredentialPersistence.NONE)

    @classmethod
    def identity(
        cls, certificate_file: str, key_file: Optional[str] = None, password: Optional[str] = None
    ) -> Credential:
        """A client certificate: the arguments of `ssl.SSLContext.load_cert_chain` (Apple: `URLCredential(identity:)`).

        `certificate_file` is a PEM file with the certificate and its chain, `key_file` one with the key if it is not
        in there too, `password` that of the key. The files are read when they are used.
        """
        import os

        certificate_file = os.fspath(certificate_file)
        key_file = None if key_file is None else os.fspath(key_file)
        return cls(None, password, CredentialPersistence.NONE, None, certificate_file, key_file)

    @classmethod
    def token(cls, scheme: str, value: str) -> Credential:
        """The answer to a scheme that wssync does not know itself: the field `Authorization: scheme value` as it is.

        `scheme` is a token such as "Bearer" or "Negotiate", `value` what stands behind it: visible ASCII and blanks.
        ValueError for anything else, control characters above all.
        """
        return cls(None, None, CredentialPersistence.NONE, None, None, None, scheme, value)

    @classmethod
    def from_url(cls, url: WebSocketURL) -> Optional[Credential]:
        """The userinfo of a URL, or `None` without one; a missing password is an empty one.

        It is for the tasks that are given this URL and is not stored for others.
        """
        if url.user is None and url.password is None:
            return None
        return cls(url.user or "", url.password or "", CredentialPersistence.NONE)

    @property
    def has_password(self) -> bool:
        """Whether it has a user and a password, as Basic and Digest need."""
        return self.user is not None and self.password is not None

    def _check(self) -> None:
        if not isinstance(self.persistence, CredentialPersistence):
            raise TypeError(f"the persistence is a CredentialPersistence, not {type(self.persistence).__name__}")
        kinds = (self.user, self.server_trust, self.certificate_file, self.scheme)
        if sum(kind is not None for kind in kinds) != 1:
            raise TypeError("a credential is either user and password, or a trust, or an identity, or a token")
        if self.scheme is not None:
            _check_token(self.scheme, self.value)
        elif self.user is not None:
            _check_text("user name", self.user)
            _check_text("password", self.password)

    def __repr__(self) -> str:
        if self.server_trust is not None:
            return f"Credential.for_trust({self.server_trust!r})"
        if self.certificate_file is not None:
            password = "" if self.password is None else ", password='***'"
            return f"Credential.identity({self.certificate_file!r}, {self.key_file!r}{password})"
        if self.scheme is not None:
            return f"Credential.token({self.scheme!r}, '***')"
        user = repr(self.user) if self.password else "'***'"
        return f"Credential({user}, '***', CredentialPersistence.{self.persistence.name})"


def _check_text(what: str, text: Any) -> None:
    from ..protocol.challenges import check_text

    check_text(what, text)


def _check_token(scheme: Any, value: Any) -> None:
    from ..protocol.headers import is_token

    _check_text("scheme", scheme)
    _check_text("token", value)
    if not is_token(scheme):
        raise ValueError("the scheme of a token is a token itself, like Bearer (RFC 9110 section 11.1)")
    if not (value.isascii() and value.strip(" ") == value and value):
        raise ValueError("a token is visible ASCII, and has no blanks around it")
