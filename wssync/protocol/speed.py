"""The four functions that have a compiled form, in the form to use: `from wssync.protocol.speed import mask`.

Compiled, where `wssync._speedups` was built (it is optional) and the environment does not say `WSSYNC_PURE_PYTHON=1`;
otherwise those of `frames`, which do the same. What they do is said there.
"""

from __future__ import annotations

import os

__all__ = ["ACCELERATED", "cut_messages", "encode_frame", "mask", "mask_into"]

ACCELERATED = os.environ.get("WSSYNC_PURE_PYTHON") != "1"
"""Whether it is the compiled form."""

if ACCELERATED:
    try:
        from wssync._speedups import cut_messages, encode_frame, mask, mask_into
    except ImportError:  # not built, or not for this interpreter
        ACCELERATED = False

if not ACCELERATED:
    from wssync.protocol.frames import cut_messages, encode_frame, mask, mask_into
