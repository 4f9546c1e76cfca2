"""The figures of the README's table of executors: `python -m tests.gui.costs [NAMES...]`."""

from __future__ import annotations

import json
import sys
import unittest
from typing import List

from tests.gui.starting import APPS, LIMIT, start

NAMES = ("serial", "queue", "tk", "tk-without-files", "pyside6", "pyqt6", "wx", "glib", "asyncio")


def main(names: List[str]) -> None:
    """Print a line for each."""
    print("executor            one of many, CPU us   alone, us")
    for name in names or NAMES:
        try:
            with start(name, APPS / "cost.py", name) as process:
                found = json.loads(process.communicate(timeout=LIMIT)[0])
        except unittest.SkipTest as reason:
            print(f"{name:<19} skipped: {reason}")
        else:
            print(f"{name:<19} {found['flood']:>19.2f} {found['alone']:>11.1f}")


if __name__ == "__main__":
    main(sys.argv[1:])
