"""Passwords from `~/.netrc`, for those who ask for it."""

from __future__ import annotations

from ..errors import AuthenticationFailed
from ..hints import Dict, Optional, Tuple
from .credentials import Credential, CredentialPersistence

__all__ = ["NetrcFile"]


class NetrcFile:
    """The netrc file at `path`; by default that of the environment variable NETRC, else `~/.netrc`.

    It is read when it is first asked, with the standard library's `netrc`, which refuses `~/.netrc` if others may read
    it. A file that is not there has no entries. Only entries that name the machine count: the `default` entry would
    give a password to every server that asks for one, and a redirect can lead to any.
    """

    def __init__(self, path: Optional[str] = None) -> None:
        self._path = path

    def find(self, host: str) -> Optional[Credential]:
        """What it has for that host, which is in lower case; `None` if nothing.

        AuthenticationFailed if the file cannot be used; its message has the name of the file and the line, and nothing
        that stands in it.
        """
        login, _, password = self._hosts().get(host, (None, None, None))
        if host == "default" or not (login or password):
            return None
        try:
            return Credential(login or "", password or "", CredentialPersistence.NONE)
        except ValueError as error:
            why = str(error)
        raise self._failure(why)

    def _hosts(self) -> Dict[str, Tuple[Optional[str], Optional[str], Optional[str]]]:
        import netrc

        try:
            return {name.lower(): entry for name, entry in netrc.netrc(self._given_path()).hosts.items()}
        except FileNotFoundError:
            return {}
        except netrc.NetrcParseError as error:
            # Other messages quote what was not understood, which may be a password.
            why = error.msg if error.msg.startswith("~/.netrc") else f"line {error.lineno} is not understood"
        except OSError as error:
            why = error.strerror or "it cannot be read"
        except UnicodeError:
            why = "it is no text"
        raise self._failure(why)  # out here, or the error with the quotation would be its context

    def _given_path(self) -> Optional[str]:
        import os

        return self._path or os.environ.get("NETRC") or None

    def _failure(self, why: str) -> AuthenticationFailed:
        return AuthenticationFailed(f"the netrc file {self._given_path() or '~/.netrc'} cannot be used: {why}")
