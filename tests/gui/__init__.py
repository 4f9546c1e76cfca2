"""The executors of `wssync.executors` in the real loops of real toolkits: `python -m tests.gui`, or `tox -e gui`."""
