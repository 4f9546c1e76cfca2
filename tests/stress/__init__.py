"""Many schedules, many threads, much data: what can only be found by doing it very often (`python -m tests.stress`)."""
