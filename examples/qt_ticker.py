"""Prices that change many times a second, in a window of Qt: `python qt_ticker.py`.

With PySide6 or PyQt6. Every callback runs in the loop of Qt. With `--quit-after SECONDS` the window is closed by
nobody's hand.
"""

import argparse
import itertools
import json
import random
import time

try:
    from PySide6 import QtCore, QtWidgets
except ImportError:
    from PyQt6 import QtCore, QtWidgets

import wssync
from wssync.executors import QtExecutor
from wssync.testing import Server

NAMES = ["Apples", "Bananas", "Cherries", "Dates", "Elderberries"]


def market(connection):
    """The server: five prices that walk at random, a thousand times a second."""
    prices = dict.fromkeys(NAMES, 100.0)
    while True:
        name = random.choice(NAMES)
        prices[name] *= random.uniform(0.99, 1.01)
        connection.send(json.dumps({"name": name, "price": round(prices[name], 2)}))
        time.sleep(0.001)


class Ticker(QtWidgets.QTableWidget):
    """The window: a row for each name."""

    def __init__(self, url):
        super().__init__(len(NAMES), 2)
        self.setWindowTitle("wssync: a ticker")
        self.resize(360, 240)
        self.setHorizontalHeaderLabels(["Price", "Change"])
        self.setVerticalHeaderLabels(NAMES)
        for header in (self.horizontalHeader(), self.verticalHeader()):
            header.setSectionResizeMode(QtWidgets.QHeaderView.ResizeMode.Stretch)
        self.setFocusPolicy(QtCore.Qt.FocusPolicy.NoFocus)
        for row, column in itertools.product(range(len(NAMES)), range(2)):
            item = QtWidgets.QTableWidgetItem("-")
            item.setTextAlignment(QtCore.Qt.AlignmentFlag.AlignRight | QtCore.Qt.AlignmentFlag.AlignVCenter)
            self.setItem(row, column, item)
        self.count = 0
        session = wssync.Session(executor=QtExecutor())
        self.task = session.websocket_task(url)
        self.task.receive_each(self.received)
        self.task.resume()

    def received(self, result):
        if result.error is not None:
            self.setWindowTitle(str(result.error))
            return
        self.count += 1
        message = json.loads(result.message)
        row, price = NAMES.index(message["name"]), message["price"]
        color = QtCore.Qt.GlobalColor.darkGreen if price >= 100 else QtCore.Qt.GlobalColor.darkRed
        for column, text in enumerate((f"{price:.2f}", f"{price - 100:+.2f}")):
            self.item(row, column).setText(text)
            self.item(row, column).setForeground(color)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quit-after", type=float, metavar="SECONDS")
    options = parser.parse_args()
    with Server(market) as server:
        application = QtWidgets.QApplication([])
        ticker = Ticker(server.url)
        ticker.show()
        if options.quit_after:
            QtCore.QTimer.singleShot(int(options.quit_after * 1000), ticker.close)
        application.exec()  # when the window is closed, the task is cancelled
    print("prices came" if ticker.count else "no prices came")


main()
