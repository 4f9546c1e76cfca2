"""Where cookies and credentials are kept in memory: one place for the process, and one for each ephemeral configuration
(rule 95).

Nothing is made before somebody puts something in, or asks for it by name: most connections need neither.
"""

from __future__ import annotations

from ..hints import TYPE_CHECKING, Any, Callable, Optional

if TYPE_CHECKING:
    from http.cookiejar import CookieJar

    from ..auth import CredentialStorage
    from ..cookies.exchange import LateJar

__all__ = ["SHARED", "Kept", "Stores"]


def _new_storage() -> CredentialStorage:
    from ..auth import CredentialStorage

    return CredentialStorage()


def _storage_of_the_process() -> CredentialStorage:
    from ..auth import CredentialStorage

    return CredentialStorage.shared()


class Stores:
    """A cookie jar and a credential store, made when they are needed: the second by `make_storage`.

    Any thread; of two made at once, one stays.
    """

    __slots__ = ("__dict__", "_make_storage")  # the dictionary is made for a store, and not before

    def __init__(self, make_storage: Callable[[], CredentialStorage] = _new_storage) -> None:
        self._make_storage = make_storage

    @property
    def late_jar(self) -> LateJar:
        """Where the jar is, or will be."""
        made: Optional[LateJar] = getattr(self, "_late_jar", None)
        if made is None:
            from ..cookies.exchange import LateJar

            made = vars(self).setdefault("_late_jar", LateJar())  # one step: all threads get the same
        return made

    @property
    def has_jar(self) -> bool:
        """Whether there is a jar already."""
        late_jar: Optional[LateJar] = getattr(self, "_late_jar", None)
        return late_jar is not None and late_jar.peek() is not None

    @property
    def http_cookie_storage(self) -> CookieJar:
        """The jar."""
        return self.late_jar.get()

    @property
    def url_credential_storage(self) -> CredentialStorage:
        """The store."""
        made: Optional[CredentialStorage] = getattr(self, "_credentials", None)
        if made is None:
            made = vars(self).setdefault("_credentials", self._make_storage())  # one step: all threads get the same
        return made

    def forget(self) -> None:
        """Empty both."""
        jar = self.late_jar.peek()
        if jar is not None:
            jar.clear()
        self.url_credential_storage.clear()  # that of the process may have been filled by name


SHARED = Stores(_storage_of_the_process)
"""Those of `SessionConfiguration.default()` and `Session.shared()`; never written to disk."""


class Kept:
    """The default of a field of the configuration that is one of its stores, looked up when it is asked for."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, configuration: Optional[object], kind: type) -> Any:
        return getattr(stores_of(configuration), self._name)


def stores_of(configuration: Optional[object]) -> Stores:
    """The stores that this configuration has for whatever it was not given: its own, or the process's."""
    own: Stores = SHARED if configuration is None else vars(configuration).get("_stores", SHARED)
    return own
