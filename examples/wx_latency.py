"""How long a ping takes, in a window of wxPython: `python wx_latency.py [URL]`.

Every callback runs in the loop of wx. With `--quit-after SECONDS` the window is closed by nobody's hand.
"""

import argparse

import wx

import wssync
from wssync.executors import WxExecutor
from wssync.testing import Server


class Window(wx.Frame):
    """A list of what was measured."""

    def __init__(self, url):
        super().__init__(None, title="wssync: latency", size=(360, 300))
        self.rows = wx.ListBox(self)
        self.count = 0
        session = wssync.Session(executor=WxExecutor())
        self.task = session.websocket_task(url)
        self.task.resume()
        self.timer = wx.Timer(self)
        self.Bind(wx.EVT_TIMER, lambda event: self.task.send_ping(self.pong), self.timer)
        self.timer.Start(200)

    def pong(self, error):
        if error is None:
            self.count += 1
            self.rows.Append(f"ping {self.count}: {self.task.latency * 1000:.2f} ms")
        else:
            self.timer.Stop()
            self.rows.Append(str(error))
        self.rows.EnsureVisible(self.rows.GetCount() - 1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("url", nargs="?")
    parser.add_argument("--quit-after", type=float, metavar="SECONDS")
    options = parser.parse_args()
    with Server() as server:
        application = wx.App()
        window = Window(options.url or server.url)
        window.Show()
        if options.quit_after:
            wx.CallLater(int(options.quit_after * 1000), window.Close)
        application.MainLoop()  # when the window is closed, the task is cancelled
    print("pongs came" if window.count else "no pongs came")


main()
