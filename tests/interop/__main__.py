"""Run the interop tests, or those named: `python -m tests.interop [NAMES...] [-k Nginx]`."""

from __future__ import annotations

import sys
from typing import List, Optional

from tests.interop import clients, openings, proxied, secured, servers
from tests.runner import run_modules


def main(arguments: Optional[List[str]] = None) -> int:
    """The command; its exit status."""
    modules = (clients, servers, openings, proxied, secured)
    return run_modules("interop", "wssync against other people's servers and clients.", modules, arguments)


if __name__ == "__main__":
    sys.exit(main())
