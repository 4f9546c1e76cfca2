"""The client under test, as the Autobahn Testsuite wants it: it echoes every data message until the connection ends."""

from __future__ import annotations

import ssl
import threading
from typing import Optional, Union

import wssync

__all__ = ["EchoClient"]

CASE_LIMIT = 300.0
"""Seconds after which a case is cancelled: the slowest take about one minute on a slow machine, and one that hangs must
not take the others with it."""


class EchoClient:
    """wssync's blocking client with the limits off that the cases go beyond (messages of 16 MiB, no pings of ours)."""

    def __init__(
        self, *, compression: Union[str, wssync.DeflateOptions], context: Optional[ssl.SSLContext] = None
    ) -> None:
        changes = {} if context is None else {"ssl_context": context}
        self._configuration = wssync.SessionConfiguration.ephemeral().replace(
            maximum_message_size=None, ping_interval=None, compression=compression, **changes
        )

    def get_text(self, url: str) -> str:
        """The one text message that the server answers a question with."""
        with wssync.connect(url, configuration=self._configuration, timeout=30) as task:
            answer = task.receive(timeout=30)
        assert isinstance(answer, str)
        return answer

    def echo(self, url: str) -> None:
        """Run one case. Never raises for what the server did: the verdict is the server's."""
        try:
            task = wssync.connect(url, configuration=self._configuration, timeout=CASE_LIMIT)
        except wssync.WebSocketError:
            return
        alarm = threading.Timer(CASE_LIMIT, task.cancel)
        alarm.start()
        try:
            with task:
                for message in task:
                    task.send(message)
        except wssync.WebSocketError:
            pass
        finally:
            alarm.cancel()
