"""Test against a real server that is needed only once: `python testing_with_a_cassette.py [URL]`.

In the first run the tests talk to the server, and the cassette is written; later runs read it and need no network.
In a repository the cassettes are committed, and the URL is that of the real server. Here a server in this process
stands in for it, unless there is a URL (of any server that echoes), and the tests run twice: once to record, and once
more to replay, when the stand-in is gone.
"""

import sys
import tempfile
import unittest
from pathlib import Path

import wssync
from wssync.testing import Cassette, Server

FOLDER = tempfile.TemporaryDirectory()
CASSETTES = Path(FOLDER.name)  # in a repository: Path(__file__).with_name("cassettes")


def repeat(url, lines, key):
    """Send each line to an echo service; what comes back."""
    with wssync.connect(url, headers={"X-Api-Key": key}, timeout=10) as task:
        for line in lines:
            task.send(line)
        return [task.receive(timeout=10) for line in lines]


class RepeatTests(unittest.TestCase):
    """What the service answers, or did when it was asked."""

    @Cassette(CASSETTES / "lines.json", secrets=["X-Api-Key"])
    def test_lines(self):
        """Each line comes back, in the order in which they were sent."""
        self.assertEqual(repeat(URL, ["one", "two"], key="s3cret"), ["one", "two"])

    def test_binary_data(self):
        """Bytes come back as bytes; the cassette may be as short as what it is about."""
        with Cassette(CASSETTES / "bytes.json", secrets=["X-Api-Key"]):
            answers = repeat(URL, [b"\x00\xff"], key="s3cret")
        self.assertEqual(answers, [b"\x00\xff"])


if __name__ == "__main__":
    with Server() as server, FOLDER:
        URL = sys.argv[1] if len(sys.argv) > 1 else server.url
        for title in ("recording", "replaying"):
            print(f"{title} {URL}", file=sys.stderr)
            if not unittest.main(argv=sys.argv[:1], exit=False).result.wasSuccessful():
                sys.exit(1)
            server.close()
