"""Tests of `wssync.executors`: the toolkits here are stand-ins, `tests/gui` has the real ones."""
