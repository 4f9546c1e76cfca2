"""Authentication (Apple: `URLCredential`, `URLProtectionSpace`, `URLAuthenticationChallenge`, `URLCredentialStorage`).

The values that users meet are loaded with the package. What reads challenges and computes answers is loaded when there
is one to be read: `authenticator` with `answers`, and `netrc_file`.
"""

from __future__ import annotations

from .challenge import AuthChallengeDisposition, AuthenticationChallenge
from .credentials import Credential, CredentialPersistence
from .spaces import AuthenticationMethod, ProtectionSpace, ServerTrust
from .storage import CredentialStorage

__all__ = [
    "AuthChallengeDisposition",
    "AuthenticationChallenge",
    "AuthenticationMethod",
    "Credential",
    "CredentialPersistence",
    "CredentialStorage",
    "ProtectionSpace",
    "ServerTrust",
]
