"""A user who takes a moment to type the password, while everything else goes on: `python a_password_dialog.py`."""

import threading
from concurrent.futures import Future

import wssync
from wssync import AuthChallengeDisposition, Credential
from wssync.testing import Server, digest


def ask_the_user(title, typed):
    """A dialog, as a GUI has it: it returns at once, and calls `typed` later. This one is filled in by a timer."""
    print(title)
    threading.Timer(0.2, typed, ["user", "secret"]).start()


class Delegate(wssync.WebSocketDelegate):
    """Answers challenges, some time."""

    def did_receive_challenge(self, session, task, challenge):
        """A server or a proxy asks. The opening waits for the future, and its timeout stands still meanwhile."""
        if challenge.previous_failure_count > 2:
            return AuthChallengeDisposition.PERFORM_DEFAULT_HANDLING, None
        answer = Future()

        def typed(user, password):
            answer.set_result((AuthChallengeDisposition.USE_CREDENTIAL, Credential(user, password)))

        ask_the_user(f"A password for {challenge.protection_space.realm}, please.", typed)
        return answer


with Server(opening=digest("user", "secret", realm="the vault")) as server:
    task = wssync.connect(server.url, delegate=Delegate())
    task.send("hello")
    print(task.receive())
    task.close()
