"""Credentials for later tasks (Apple: `URLCredentialStorage`)."""

from __future__ import annotations

import threading

from ..hints import Dict, Optional
from .credentials import Credential, CredentialPersistence
from .spaces import ProtectionSpace

__all__ = ["CredentialStorage"]

_KEPT = (CredentialPersistence.FOR_SESSION, CredentialPersistence.PERMANENT)
_shared_lock = threading.Lock()
_shared: Optional[CredentialStorage] = None


class CredentialStorage:
    """Credentials by protection space and user, in memory alone: nothing is ever written to disk.

    Credentials without a user (trust, identities, tokens), and those whose persistence is `NONE` or `SYNCHRONIZABLE`,
    are not stored; that is no error. Any thread may call any method. `repr()` shows how many there are.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._credentials: Dict[ProtectionSpace, Dict[str, Credential]] = {}
        self._defaults: Dict[ProtectionSpace, Credential] = {}

    @staticmethod
    def shared() -> CredentialStorage:
        """The one of the process, which `SessionConfiguration.default()` uses; made when it is first asked for."""
        global _shared
        with _shared_lock:
            if _shared is None:
                _shared = CredentialStorage()
            return _shared

    @property
    def all_credentials(self) -> Dict[ProtectionSpace, Dict[str, Credential]]:
        """A copy of all there is: space -> user -> credential."""
        with self._lock:
            return {space: dict(users) for space, users in self._credentials.items()}

    def credentials(self, space: ProtectionSpace) -> Dict[str, Credential]:
        """A copy of those for the space, by user."""
        with self._lock:
            return dict(self._credentials.get(space, ()))

    def set(self, credential: Credential, space: ProtectionSpace) -> None:
        """Store it, in place of one of the same user; the first one of a space becomes its default."""
        self._store(credential, space, as_default=False)

    def remove(self, credential: Credential, space: ProtectionSpace) -> None:
        """Forget it, as a default too. It must be the same in all, not only in its user; else nothing happens."""
        with self._lock:
            users = self._credentials.get(space, {})
            if users.get(credential.user or "") == credential:
                del users[credential.user or ""]
                if not users:
                    del self._credentials[space]
            if self._defaults.get(space) == credential:
                del self._defaults[space]

    def default_credential(self, space: ProtectionSpace) -> Optional[Credential]:
        """The default for the space, `None` without one."""
        with self._lock:
            return self._defaults.get(space)

    def set_default_credential(self, credential: Credential, space: ProtectionSpace) -> None:
        """Store it, and make it the default of the space."""
        self._store(credential, space, as_default=True)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._credentials.clear()
            self._defaults.clear()

    def _store(self, credential: Credential, space: ProtectionSpace, *, as_default: bool) -> None:
        if not isinstance(credential, Credential):
            raise TypeError(f"a Credential can be stored, not {type(credential).__name__}")
        if not isinstance(space, ProtectionSpace):
            raise TypeError(f"a credential is stored for a ProtectionSpace, not {type(space).__name__}")
        if credential.user is None or credential.persistence not in _KEPT:
            return
        with self._lock:
            users = self._credentials.setdefault(space, {})
            replaced = users.get(credential.user)
            users[credential.user] = credential
            if as_default or space not in self._defaults or self._defaults[space] == replaced:
                self._defaults[space] = credential

    def __repr__(self) -> str:
        with self._lock:
            number = sum(map(len, self._credentials.values()))
        return f"<CredentialStorage with {number} credentials>"
