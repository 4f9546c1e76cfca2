"""Run the GUI tests, or those named: `python -m tests.gui [NAMES...] [-k Wx]`."""

from __future__ import annotations

import sys
from typing import List, Optional

from tests.gui import loops
from tests.runner import run_modules


def main(arguments: Optional[List[str]] = None) -> int:
    """The command; its exit status."""
    modules = (loops,)
    return run_modules("gui", "wssync in the loops of GUI toolkits.", modules, arguments)


if __name__ == "__main__":
    sys.exit(main())
