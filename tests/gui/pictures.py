"""Take the pictures of examples that the README shows: `python -m tests.gui.pictures`. Needs ImageMagick."""

from __future__ import annotations

import sys

from tests.gui.starting import APPS, LIMIT, ROOT, start

EXAMPLES = {"tk_chat": "tk", "qt_ticker": "pyside6"}
"""Example -> its toolkit."""


def main() -> int:
    """Write the files; the worst exit status."""
    worst = 0
    for name, toolkit in EXAMPLES.items():
        example = ROOT / "examples" / f"{name}.py"
        picture = example.with_suffix(".png")
        with start(toolkit, APPS / "picture.py", toolkit, str(example), str(picture)) as process:
            output, errors = process.communicate(timeout=LIMIT)
        print(f"{picture.name}: {errors or output}", end="")
        worst = max(worst, abs(process.returncode))
    return worst


if __name__ == "__main__":
    sys.exit(main())
