"""The whole suite, or the tests named: `python -m tests [NAMES...]`.

Conformance, interop, stress and sanitize are programs of their own (`python -m tests.conformance` and so on): they need
other software or much time.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import List, Optional

from tests.runner import Options, load, report, run, watch


def main(arguments: Optional[List[str]] = None) -> int:
    """Run the tests named in `arguments` (default: the command line's), or all; the exit status."""
    options = Options("tests", "Run the suite of wssync.").parse_args(arguments)
    watch()
    suite = load(options.names, options.patterns, Path(__file__).resolve().parent)
    return report("tests", run(suite, options).counts())


if __name__ == "__main__":
    sys.exit(main())
