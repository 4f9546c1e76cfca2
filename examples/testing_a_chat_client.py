"""A chat client as people write them, and its tests: `python testing_a_chat_client.py`."""

import json
import unittest

import wssync
from wssync.testing import Recorder, WebSocketTestCase, echo, expect, hold_pongs, script

JOIN, HELLO, ANSWER = '{"join": "ada"}', '{"from": "bob", "text": "hello ada"}', '{"say": "hello bob"}'


class ChatClient:
    """Joins a chat under a name, speaks, and waits for what others say."""

    def __init__(self, url, name, **options):
        self.task = wssync.connect(url, ["chat.v1"], timeout=10, **options)
        self._send(join=name)

    def _send(self, **fields):
        self.task.send(json.dumps(fields))

    def say(self, text):
        self._send(say=text)

    def next_line(self):
        """What the next person says; `None` if nobody says anything for a minute."""
        try:
            line = json.loads(self.task.receive(timeout=60))
        except TimeoutError:
            return None
        return f"<{line['from']}> {line['text']}"

    def leave(self):
        self.task.close(1000, "bye")


class ChatClientTests(WebSocketTestCase):
    """A script is the server's side of a conversation; what goes otherwise fails the test, in the server too."""

    def join(self, handler, **options):
        self.serve(handler, protocols=["chat.v1"])
        client = ChatClient(self.server.url, "ada", **options)
        self.addCleanup(client.task.cancel)
        return client

    def test_a_conversation(self):
        """We join, bob greets us, and we greet him."""
        client = self.join(script([expect(JOIN), HELLO, expect(ANSWER)]))
        self.assertEqual(client.next_line(), "<bob> hello ada")
        client.say("hello bob")
        self.assertClosed(client.task, 1000)

    def test_what_is_sent(self):
        """An echo shows what the client sends, and `server` who came."""
        client = self.join(echo)
        client.say("hello bob")
        self.assertReceives(client.task, JOIN)
        self.assertReceives(client.task, ANSWER)
        self.assertNoMessage(client.task)
        self.assertEqual(self.server.connections[0].protocol, "chat.v1")

    def test_being_thrown_out(self):
        """The server's Close ends the wait for a line, with its code and reason."""
        client = self.join(script([expect(JOIN), lambda connection: connection.close(4001, "flooding")]))
        with self.assertRaisesRegex(wssync.ConnectionClosed, "flooding"):
            client.next_line()
        self.assertClosed(client.task, 4001, "flooding")

    def test_a_quiet_chat(self):
        """A minute passes when the test says so: no test waits for it."""
        clock = self.use_fake_clock()
        client = self.join(echo, configuration=wssync.SessionConfiguration(ping_interval=None))
        self.assertReceives(client.task, JOIN)
        clock.advance_on_wait(60)
        self.assertIsNone(client.next_line())

    def test_a_dead_server(self):
        """After 20 seconds of silence the client pings, and 20 seconds later it gives up."""
        clock = self.use_fake_clock()
        client = self.join(script([expect(JOIN), hold_pongs, echo]))
        clock.advance(20)
        self.server.connections[0].wait_for_ping()
        clock.advance(20)
        self.assertClosed(client.task, 1006)

    def test_leaving(self):
        """The delegate hears this, in this order, and nothing else."""
        recorder = Recorder()
        self.join(echo, delegate=recorder).leave()
        recorder.assert_next("did_create_task")
        recorder.assert_next("did_open", "chat.v1")
        recorder.assert_next("did_close", 1000, None)
        recorder.assert_next("did_complete", None)
        recorder.assert_next("session_did_become_invalid", None)
        recorder.assert_exhausted()


if __name__ == "__main__":
    unittest.main()
