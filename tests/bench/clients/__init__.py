"""The clients: what is measured, and the loops that measure it.

`python -m tests.bench.clients NAME` is one client as a process. It prints one line of JSON about itself and then
answers each line, an order, with one line, an answer:

    {"figures": {"p50": 8.9}}       what was measured
    {"skipped": "no TLS"}           the client cannot do this
    {"failed": "..."}               it should, and did not

The libraries are imported by name, since they are not installed where the types are checked.
"""
