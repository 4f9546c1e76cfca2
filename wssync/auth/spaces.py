"""Who asks for a credential (Apple: `URLProtectionSpace`, `SecTrust`, `NSURLAuthenticationMethod...`)."""

from __future__ import annotations

import enum

from ..errors import CertificateError
from ..frozen import Frozen
from ..hints import Any, Dict, Optional, Tuple

__all__ = ["AuthenticationMethod", "Origin", "ProtectionSpace", "ServerTrust", "origin_of"]


_HTTP = {"ws": "http", "wss": "https"}

Origin = Tuple[str, int, str]
"""Host, port and protocol as `origin_of` has them: what an answer is for."""


def origin_of(host: str, port: int, protocol: str) -> Origin:
    """The three in their one spelling: in lower case, and "http" and "https" for `ws` and `wss`."""
    protocol = protocol.lower()
    return host.lower(), port, _HTTP.get(protocol, protocol)


class AuthenticationMethod(str, enum.Enum):
    """How one may show who one is. Each is a `str`: for HTTP the name of its scheme, in whatever case a server has it.

    A scheme that is not here is its own name as a plain `str`, "Bearer" for one. The two of TLS have a blank in them,
    which no scheme can have: a server cannot pass one off as them.
    """

    HTTP_BASIC = "Basic"
    HTTP_DIGEST = "Digest"
    NEGOTIATE = "Negotiate"
    NTLM = "NTLM"
    SERVER_TRUST = "server trust"
    CLIENT_CERTIFICATE = "client certificate"

    __str__ = str.__str__

    @classmethod
    def named(cls, scheme: str) -> str:
        """The member for a scheme of HTTP, in any case; the scheme itself where there is none."""
        known: Dict[str, str] = {member.value.lower(): member for member in cls}
        return known.get(scheme.lower(), scheme)


class ServerTrust(Frozen):
    """What a TLS server has shown, and the verdict on it: a frozen value.

    `certificates` are DER, the server's own first, then its chain where this Python can tell it. `error` is why the
    default verdict is against it, `None` if it is good. Two are equal when host, port, certificates and verdict are.
    ValueError without a certificate.
    """

    host: str
    port: int
    certificates: Tuple[bytes, ...]
    error: Optional[CertificateError] = None

    @property
    def is_trusted(self) -> bool:
        """Whether the default verdict is good."""
        return self.error is None

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the server's own certificate, in lower-case hexadecimal."""
        import hashlib

        return hashlib.sha256(self.certificates[0]).hexdigest()

    def _check(self) -> None:
        vars(self)["certificates"] = certificates = tuple(self.certificates)
        if not certificates:
            raise ValueError("a server that has shown no certificate cannot be judged")

    def _values(self) -> Tuple[Any, ...]:
        # Errors are equal to themselves alone.
        error = self.error
        verdict = None if error is None else (type(error), str(error), error.url_error_code)
        return self.host, self.port, self.certificates, verdict

    def __repr__(self) -> str:
        verdict = "trusted" if self.error is None else f"not trusted: {self.error}"
        return f"<ServerTrust {self.host}:{self.port}, sha256 {self.fingerprint}, {verdict}>"


class ProtectionSpace(Frozen):
    """Where a credential is good: a frozen value that can be the key of a mapping.

    `protocol` is "http" or "https", for `ws` and `wss` as well, and that of the proxy for a proxy; `host` is in lower
    case. `realm` is text to be read, and comes from the server as it wants it; `None` where it named none.
    `authentication_method` is an `AuthenticationMethod` or the name of another scheme. `server_trust` and
    `distinguished_names` (DER, of the issuers that the server takes) are there for the methods of TLS.
    """

    host: str
    port: int
    protocol: str
    realm: Optional[str]
    authentication_method: str
    is_proxy: bool = False
    server_trust: Optional[ServerTrust] = None
    distinguished_names: Tuple[bytes, ...] = ()

    @property
    def receives_credential_securely(self) -> bool:
        """Whether there is TLS between here and who asks."""
        return self.protocol == "https"

    def _check(self) -> None:
        own = vars(self)
        own["host"], own["port"], own["protocol"] = origin_of(self.host, self.port, self.protocol)
        own["authentication_method"] = AuthenticationMethod.named(self.authentication_method)
        own["distinguished_names"] = tuple(self.distinguished_names)
