"""Say hello to a server and print its answer: `python hello.py [URL]`."""

import sys

import wssync
from wssync.testing import Server

with Server() as server:  # an echo server in this process, for when there is no URL
    url = sys.argv[1] if len(sys.argv) > 1 else server.url
    with wssync.connect(url) as task:  # open, or raise why not; closed at the end of the block
        task.send("hello")
        print(task.receive(timeout=10))
