"""A chat in a window of Tk: `python tk_chat.py [URL]`.

Every callback runs in the loop of Tk, so it may touch the widgets. With `--quit-after SECONDS` the window is closed by
nobody's hand.
"""

import argparse
import tkinter
from tkinter import scrolledtext

import wssync
from wssync.executors import TkExecutor
from wssync.testing import Server


class Chat(wssync.WebSocketDelegate):
    """The window; it hears how its task goes."""

    def __init__(self, root, url):
        root.title("wssync: a chat")
        root.geometry("480x320")
        root.minsize(320, 160)
        self.status = tkinter.StringVar(root, "connecting ...")
        self.lines = scrolledtext.ScrolledText(root, state="disabled", wrap="word", width=1, height=1)
        self.entry = tkinter.Entry(root)
        self.entry.bind("<Return>", lambda event: self.say(self.entry.get()))
        tkinter.Label(root, textvariable=self.status, anchor="w").pack(side="bottom", fill="x", padx=6)
        self.entry.pack(side="bottom", fill="x", padx=6, pady=6)
        self.lines.pack(fill="both", expand=True, padx=6, pady=(6, 0))
        self.entry.focus()
        session = wssync.Session(delegate=self, executor=TkExecutor(root))
        self.task = session.websocket_task(url)
        self.task.receive_each(self.received)
        self.task.resume()

    def did_open(self, session, task, protocol):
        self.status.set("connected; type a line and press Return")
        self.say("hello")

    def did_complete(self, session, task, error):
        self.status.set(f"disconnected: {error}" if error else "disconnected")

    def say(self, line):
        self.entry.delete(0, "end")
        self.show("you", line)
        self.task.send(line, lambda error: error and self.show("not sent", str(error)))

    def received(self, result):
        if result.error is None:
            self.show("server", result.message)

    def show(self, who, text):
        self.last = f"{who}: {text}"
        self.lines.configure(state="normal")
        self.lines.insert("end", f"{self.last}\n")
        self.lines.configure(state="disabled")
        self.lines.see("end")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("url", nargs="?")
    parser.add_argument("--quit-after", type=float, metavar="SECONDS")
    options = parser.parse_args()
    with Server() as server:  # it sends everything back
        root = tkinter.Tk()
        chat = Chat(root, options.url or server.url)
        if options.quit_after:
            root.after(int(options.quit_after * 1000), root.destroy)
        root.mainloop()  # when the window is closed, the task is cancelled
    print(chat.last)


main()
