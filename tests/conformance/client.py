"""The client under test, as the Autobahn Testsuite wants it: it echoes every data message until the connection ends."""

from __future__ import annotations

import ssl
import tempfile
import threading
from pathlib import Path
from typing import Optional, Sequence, Tuple, Union

import wssync
from tests.conformance.autobahn import AGENT, REPORT, Judge
from tests.conformance.progress import Progress
from tests.conformance.verdicts import Verdicts, parse_report

__all__ = ["EchoClient", "judge_client"]

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


def judge_client(judge: Judge, folder: Path, cases: Sequence[str], tls: bool) -> Verdicts:
    """Run `cases`, numbers or patterns, against the judge's server, which writes its report into `folder`."""
    with tempfile.TemporaryDirectory() as secrets:
        certificate, context = _certificate(Path(secrets)) if tls else (None, None)
        client = EchoClient(compression=judge.client_compression, context=context)
        with judge.start(folder, cases, certificate) as server:
            _echo_all(client, f"{'wss' if tls else 'ws'}://127.0.0.1:{server.port}")
            # The server writes it while, or shortly after, it answers that it did.
            text = server.read_when_complete(folder / REPORT, ending="}")
            if not text:
                raise SystemExit(f"the server wrote no report; it said: {server.output[-1500:]}")
    return parse_report(text)


def _certificate(folder: Path) -> Tuple[Path, ssl.SSLContext]:
    """A fresh certificate for the server, and the context of a client that trusts it alone."""
    import trustme  # only this mode needs it

    authority = trustme.CA()
    file = folder / "server.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    return file, context


def _echo_all(client: EchoClient, base: str) -> None:
    count = int(client.get_text(f"{base}/getCaseCount"))
    progress = Progress(count)
    for number in range(1, count + 1):
        client.echo(f"{base}/runCase?case={number}&agent={AGENT}")
        progress.step()
    client.echo(f"{base}/updateReports?agent={AGENT}")
