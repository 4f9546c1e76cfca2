"""A stand-in for a connection with TLS, as far as its sending goes."""

from __future__ import annotations

from typing import Optional

from wssync.transport.stream import Sealing, TCPStream

__all__ = ["SealedStream", "SealingStream"]


class SealingStream(TCPStream):
    """Encrypts, in a manner of speaking, what is not too long; and keeps what it is told to."""

    LONGEST = 65_550
    kept = b""

    @property
    def sealing(self) -> Sealing:
        """See `Stream.sealing`."""
        direct = super().direct
        assert direct is not None
        return Sealing(self._seal, direct, self._keep)

    def _seal(self, data: bytes) -> Optional[bytes]:
        return None if self.kept or len(data) > self.LONGEST else data

    def _keep(self, rest: bytes) -> None:
        self.kept = rest


class SealedStream(SealingStream):
    """One that has no socket of its own to give away."""

    direct = None
