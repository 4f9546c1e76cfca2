"""What a task can tell of its work: how far it is, while it works, and how it went, at its end.

`Progress` is asked; `TaskMetrics` comes once, by `did_finish_collecting_metrics`. A `Collector` makes it of the events
of the trace, of which it keeps an instant each: no date is made, and nothing of this package but `Progress` is loaded,
for a task whose delegate has no such method.
"""

from .progress import Progress

__all__ = ["Progress"]
