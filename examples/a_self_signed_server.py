"""Accept one certificate that nobody vouches for, and no other one: `python a_self_signed_server.py [URL]`."""

import sys

import wssync
from wssync import AuthChallengeDisposition, AuthenticationMethod, Credential
from wssync.testing import Server


class Delegate(wssync.WebSocketDelegate):
    """Knows the fingerprint of its own server, or believes the first one it sees."""

    def __init__(self, fingerprint=None):
        self.fingerprint = fingerprint

    def session_did_receive_challenge(self, session, challenge):
        """TLS asks, before anything is sent: here about the server's certificate."""
        space = challenge.protection_space
        if space.authentication_method != AuthenticationMethod.SERVER_TRUST or challenge.error is None:
            return AuthChallengeDisposition.PERFORM_DEFAULT_HANDLING, None
        trust = space.server_trust
        if self.fingerprint not in (None, trust.fingerprint):
            return AuthChallengeDisposition.CANCEL_AUTHENTICATION_CHALLENGE, None
        self.fingerprint = trust.fingerprint
        return AuthChallengeDisposition.USE_CREDENTIAL, Credential.for_trust(trust)


with Server(tls=True) as server:
    url = sys.argv[1] if len(sys.argv) > 1 else server.url
    with wssync.connect(url, delegate=Delegate()) as task:
        task.send("hello")
        print(task.receive())
