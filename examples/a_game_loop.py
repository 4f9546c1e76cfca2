"""A game that draws frame after frame and never waits for the network: `python a_game_loop.py [URL]`.

Its loop is its own, so a `QueueExecutor` keeps the callbacks until the frame comes to them.
"""

import sys
import time

import wssync
from wssync.executors import QueueExecutor
from wssync.testing import Server

FRAMES = 60
WIDTH = 40

callbacks = QueueExecutor()
ghost = [0]  # where the server has seen the player last


def moved(result):
    if result.error is None:
        ghost[0] = int(result.message)


def draw(player):
    row = ["."] * WIDTH
    row[ghost[0] % WIDTH] = "o"
    row[player % WIDTH] = "@"
    print(f"\r{''.join(row)}", end="", flush=True)


with Server() as server, wssync.Session(executor=callbacks) as session:  # the server sends everything back
    task = session.websocket_task(sys.argv[1] if len(sys.argv) > 1 else server.url)
    task.receive_each(moved)
    task.resume()
    for frame in range(FRAMES):
        until = time.monotonic() + 1 / 60
        task.send(str(frame), lambda error: None)  # a handler: it does not wait
        callbacks.run_pending()  # what has come since the last frame; it does not wait either
        draw(frame)
        time.sleep(max(0, until - time.monotonic()))
    print(f"\n{FRAMES} frames")
