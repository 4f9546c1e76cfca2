"""Tests of `wssync.auth`."""
