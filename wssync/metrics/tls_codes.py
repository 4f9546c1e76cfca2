"""The numbers that TLS has for what `ssl` gives names to. Only metrics of a TLS connection need this."""

from __future__ import annotations

import ssl

from ..hints import Dict, Optional

__all__ = ["cipher_suite_code", "protocol_version_code"]

_VERSIONS = {"SSLv3": 0x0300, "TLSv1": 0x0301, "TLSv1.1": 0x0302, "TLSv1.2": 0x0303, "TLSv1.3": 0x0304}

_suites: Dict[str, int] = {}


def protocol_version_code(name: str) -> Optional[int]:
    """The two bytes of a version, by the name that `SSLSocket.version()` gives it; `None` for an unknown one."""
    return _VERSIONS.get(name)


def cipher_suite_code(name: str) -> Optional[int]:
    """The two bytes of a cipher suite, by the name that `SSLSocket.cipher()` gives it; `None` for an unknown one.

    OpenSSL knows the number of each: the lower half of its `id`.
    """
    if not _suites:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")  # those too that nobody should use
        _suites.update({str(suite["name"]): int(suite["id"]) & 0xFFFF for suite in context.get_ciphers()})
    return _suites.get(name)
