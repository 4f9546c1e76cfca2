"""A program that is told to stop closes its connection in a friendly way first: `python stopping_on_a_signal.py`."""

import signal

import wssync
from wssync.testing import Server


def announce(connection):
    for number in range(3):
        connection.send(f"message {number}")
    connection.receive()  # until the client closes


with Server(announce) as server, wssync.connect(server.url) as task:
    before = signal.signal(signal.SIGTERM, lambda *_: task.close(wssync.CloseCode.GOING_AWAY))
    for message in task:  # ends quietly when the closing handshake is done
        print(message)
        if message == "message 2":
            signal.raise_signal(signal.SIGTERM)  # as somebody else does, at any moment
    signal.signal(signal.SIGTERM, before)
    print("closed with", int(task.close_code))
