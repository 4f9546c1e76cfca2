"""Tests of `wssync.auth.challenge`."""

from __future__ import annotations

import unittest

from wssync.auth import AuthChallengeDisposition, AuthenticationChallenge, Credential, ProtectionSpace
from wssync.protocol.headers import Headers
from wssync.protocol.http1 import Response


class ChallengeTests(unittest.TestCase):
    def test_apples_values(self) -> None:
        """Rule 70: the four dispositions, with Apple's numbers."""
        self.assertEqual(
            [(kind.name, kind.value) for kind in AuthChallengeDisposition],
            [
                ("USE_CREDENTIAL", 0),
                ("PERFORM_DEFAULT_HANDLING", 1),
                ("CANCEL_AUTHENTICATION_CHALLENGE", 2),
                ("REJECT_PROTECTION_SPACE", 3),
            ],
        )

    def test_a_challenge(self) -> None:
        """A value with defaults, whose `repr()` shows no secret."""
        space = ProtectionSpace("h", 80, "http", "r", "Basic")
        response = Response("ws://user:secret@h/", 401, "Unauthorized", Headers([("Set-Cookie", "secret")]))
        challenge = AuthenticationChallenge(space, Credential("user", "secret"), 1, response)
        self.assertEqual(challenge, AuthenticationChallenge(space, Credential("user", "secret"), 1, response))
        self.assertNotIn("secret", repr(challenge))
        plain = AuthenticationChallenge(space)
        self.assertEqual(
            (plain.proposed_credential, plain.previous_failure_count, plain.failure_response, plain.error),
            (None, 0, None, None),
        )


if __name__ == "__main__":
    unittest.main()
