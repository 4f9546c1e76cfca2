"""The server's half of Digest access authentication (RFC 7616, and RFC 2069 where no qop is offered).

The computation and the grammar are those of `wssync.protocol`, which the client uses as well; a mistake there would
approve of itself, so the tests of both hold the vectors that the RFCs print, and answers computed once more. All the
rest is judged here alone, as strictly as the RFC says, with a reason for every refusal, since a test wants to know why.
Where common clients are looser than the RFC without harm, it is too: `algorithm="MD5"` in quotes, and a user name in
bare UTF-8.

What clients send is bytes, seen through Latin-1 one character a byte, as all header fields are. Names and passwords of
this side are text: their bytes are UTF-8 in normalization form C (RFC 7616 section 4).
"""

from __future__ import annotations

import hmac
import re
import secrets
import threading
from dataclasses import dataclass, field
from typing import Callable, Dict, NamedTuple, Optional, Sequence
from urllib.parse import unquote_to_bytes

from ..protocol.challenges import check_text, quote, read_parameter, to_octets
from ..protocol.digest import ALGORITHMS, Algorithm, find_algorithm
from ..protocol.headers import printable

__all__ = ["DigestVerifier", "Refused", "Verdict", "find_credentials"]

_SCHEME = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+)(?: +|\Z)").match
_COUNT = re.compile(r"[0-9a-f]{8}")
_EXTENDED = re.compile(r"(?i:UTF-8)'[A-Za-z0-9-]*'((?:%[0-9A-Fa-f]{2}|[!#$&+\-.^_`|~0-9A-Za-z])*)")


class Verdict(NamedTuple):
    """What credentials are worth: they are right if `reason` is `None`, else it says in a sentence what is wrong.

    `stale` ones are right but for the age of their nonce.
    """

    reason: Optional[str] = None
    stale: bool = False


class Refused(Exception):
    """Credentials that are not accepted; the message is the reason."""


class _Nonce:
    """What is known of a nonce that was given out."""

    def __init__(self) -> None:
        self.uses = 0
        self.count = 0
        self.expired = False
        self.first_cnonce: Optional[bytes] = None


def make_nonce() -> str:
    """A nonce that nobody can guess, in the characters of base64."""
    return secrets.token_urlsafe(24)


@dataclass(eq=False)
class DigestVerifier:
    """Asks for one user's password, and judges the answers.

    `algorithm` is MD5, SHA-256 or SHA-512-256, with "-sess" behind it or not, in any case. `qop` is "auth", or `None`
    for the form of RFC 2069, which has neither qop nor cnonce. `userhash` allows the client to send its name hashed. A
    nonce is good for `uses` accepted requests (`None`: any number), then it is stale. `opaque` is what the client must
    return as it is, `None` to send none. `make_nonce` gives each challenge its nonce.

    ValueError for what cannot be asked: an unknown algorithm, one that this Python's OpenSSL lacks (SHA-512-256 may
    be), a session without qop, control characters; TypeError for what is no text. `repr()` does not show the
    password. Any thread.
    """

    user: str
    password: str = field(repr=False)
    realm: str = "wssync"
    algorithm: str = "SHA-256"
    qop: Optional[str] = "auth"
    userhash: bool = False
    uses: Optional[int] = None
    opaque: Optional[str] = "to be returned"
    make_nonce: Callable[[], str] = field(default=make_nonce, repr=False)

    def __post_init__(self) -> None:
        for name, value in (("user name", self.user), ("password", self.password), ("realm", self.realm)):
            check_text(name, value)
        check_text("algorithm", self.algorithm)
        self._algorithm = _known_algorithm(self.algorithm)
        self.algorithm = self._algorithm.name
        if self.qop not in ("auth", None):
            raise ValueError(f"qop is 'auth' or None, not {self.qop!r}")
        if self._algorithm.is_session and self.qop is None:
            raise ValueError(f"{self.algorithm} needs the cnonce that only comes with qop (RFC 7616 section 3.4)")
        if self.uses is not None and self.uses < 0:
            raise ValueError(f"a nonce cannot be used {self.uses} times")
        self._lock = threading.Lock()
        self._nonces: Dict[str, _Nonce] = {}

    def challenge(self, stale: bool = False) -> str:
        """A new challenge, the value of WWW-Authenticate or Proxy-Authenticate (RFC 7616 section 3.3)."""
        nonce = self.make_nonce()
        with self._lock:
            self._nonces[nonce] = _Nonce()
        parameters = [f"realm={quote(self.realm)}", f"nonce={quote(nonce)}", f"algorithm={self.algorithm}"]
        if self.qop is not None:
            parameters.append(f"qop={quote(self.qop)}")
        if self.opaque is not None:
            parameters.append(f"opaque={quote(self.opaque)}")
        parameters.append("charset=UTF-8")
        parameters += ["userhash=true"] * self.userhash + ["stale=true"] * stale
        return "Digest " + ", ".join(parameters)

    def judge(self, values: Sequence[str], method: str, target: str) -> Verdict:
        """Judge the values of all Authorization (or Proxy-Authorization) fields of a request; raises nothing.

        A nonce counts as used when the credentials are right. Its count must grow with each use: the same once more is
        a replay. With "-sess" its first use fixes the cnonce of the session (RFC 7616 section 3.4.2).
        """
        try:
            given = _parse(find_credentials(values, "Digest"))
            self._check_presence(given)
            self._check_echo(given, target)
            self._check_user(given)
            with self._lock:
                nonce = self._find_nonce(given)
                self._check_response(given, method, nonce)
                return self._use(nonce, given)
        except Refused as error:
            return Verdict(str(error))

    def expire(self) -> None:
        """From now on all nonces given out so far are stale."""
        with self._lock:
            for nonce in self._nonces.values():
                nonce.expired = True

    def _check_presence(self, given: Dict[str, str]) -> None:
        with_qop = ["qop", "nc", "cnonce"]
        needed = ["realm", "nonce", "uri", "response"]
        needed += with_qop if self.qop is not None else []
        needed += ["opaque"] if self.opaque is not None else []
        for name in needed:
            if name not in given:
                raise Refused(f"{name} is missing")
        for name in with_qop:
            if name in given and name not in needed:
                raise Refused(f"{name} is given, but no qop was offered")

    def _check_echo(self, given: Dict[str, str], target: str) -> None:
        """What the challenge and the request have said already."""
        for name, value in (("realm", self.realm), ("qop", self.qop), ("opaque", self.opaque)):
            if value is not None and _octets(given[name]) != to_octets(value):
                raise Refused(f"{name} is not the one of the challenge")
        # "If this is not present, it is assumed to be MD5" (RFC 7616 section 3.3).
        if given.get("algorithm", "MD5").upper() != self.algorithm.upper():
            raise Refused("algorithm is not the one of the challenge")
        if given["uri"] != target:
            raise Refused("uri is not the target of the request")

    def _check_user(self, given: Dict[str, str]) -> None:
        if ("username" in given) == ("username*" in given):
            raise Refused("there must be either username or username*")
        hashed = given.get("userhash", "false").lower()
        if hashed not in ("true", "false"):
            raise Refused("userhash is true or false")
        expected = to_octets(self.user)
        if hashed == "true":
            if not self.userhash:
                raise Refused("userhash was not offered")
            if "username*" in given:
                raise Refused("username* does not go with userhash (RFC 7616 section 3.4)")
            expected = self._algorithm.hash(expected, to_octets(self.realm))
        name = _octets(given["username"]) if "username" in given else _extended_value(given["username*"])
        if not hmac.compare_digest(name, expected):
            raise Refused("this is not the user")

    def _find_nonce(self, given: Dict[str, str]) -> _Nonce:
        nonce = self._nonces.get(given["nonce"])
        if nonce is None:
            raise Refused("the nonce is none of this server's")
        return nonce

    def _check_response(self, given: Dict[str, str], method: str, nonce: _Nonce) -> None:
        values = {name: _octets(value) for name, value in given.items()}
        algorithm = self._algorithm
        secret = algorithm.secret(to_octets(self.user), to_octets(self.realm), to_octets(self.password))
        if algorithm.is_session:
            cnonce = values["cnonce"] if nonce.first_cnonce is None else nonce.first_cnonce
            secret = algorithm.session_secret(secret, values["nonce"], cnonce)
        between = [values[name] for name in ("nonce", "nc", "cnonce", "qop") if name in values]
        expected = algorithm.response(secret, to_octets(method), values["uri"], *between)
        if not hmac.compare_digest(values["response"], expected):
            raise Refused("the response is wrong: another password, or another calculation")

    def _use(self, nonce: _Nonce, given: Dict[str, str]) -> Verdict:
        count = given.get("nc")
        if count is not None:
            if _COUNT.fullmatch(count) is None:
                raise Refused("nc is not eight hexadecimal digits in lower case")
            if int(count, 16) <= nonce.count:
                raise Refused("nc has not grown: this is a replay")
            nonce.count = int(count, 16)
        if nonce.expired or nonce.uses == self.uses:
            return Verdict("the nonce is stale", stale=True)
        nonce.uses += 1
        if nonce.first_cnonce is None:
            nonce.first_cnonce = _octets(given.get("cnonce", ""))
        return Verdict()


def find_credentials(values: Sequence[str], scheme: str) -> str:
    """What stands behind `scheme` in the only one of these fields (RFC 9110 section 11.4); else `Refused`."""
    if not values:
        raise Refused("there are no credentials")
    if len(values) > 1:
        raise Refused("there are two fields of credentials")
    found = _SCHEME(values[0])
    if found is None:
        raise Refused("the credentials are malformed")
    if found[1].lower() != scheme.lower():
        raise Refused(f"the credentials are {printable(found[1])}, not {scheme}")
    return values[0][found.end() :]


def _parse(text: str) -> Dict[str, str]:
    """The parameters of credentials, by their names in lower case."""
    parameters: Dict[str, str] = {}
    position = 0
    while position < len(text):
        found = read_parameter(text, position)
        if found is None:
            raise Refused(f"the credentials are malformed at character {position} behind the scheme")
        if found.name in parameters:
            raise Refused(f"{printable(found.name)} is given twice")
        parameters[found.name] = found.value
        position = found.end
    return parameters


def _octets(value: str) -> bytes:
    return value.encode("latin-1")


def _extended_value(value: str) -> bytes:
    """The bytes of an ext-value (RFC 8187 section 3.2), as `username*` has it."""
    found = _EXTENDED.fullmatch(value)
    if found is None:
        raise Refused("username* is no UTF-8 in percent-encoding")
    return unquote_to_bytes(found[1])


def _known_algorithm(name: str) -> Algorithm:
    algorithm = find_algorithm(name)
    if algorithm is not None:
        return algorithm
    if name.upper().removesuffix("-SESS") in ALGORITHMS:
        raise ValueError(f"{name} is not to be had: the OpenSSL of this Python has no such hash")
    raise ValueError(f"{name!r} is none of {', '.join(ALGORITHMS)}, with or without -sess")
