"""How fast wssync is beside other clients and the bare socket: `python -m tests.bench`.

A server in C (`server.c`, compiled when it is needed) does as little as it can for each message; each client is a
process of its own, told by lines of JSON what to do. In a round every case is run once by every client, one after the
other, and each round begins with another client. What a row shows is the median over the rounds: a latency in the
middle of all round trips (p50), or the CPU time of the client's process, all threads, for one message.

| module | what |
| --- | --- |
| `rows` | the cases, the rows of the table, and the ratios that are to hold |
| `figures` | medians, ratios, verdicts |
| `report` | the table, and its place in the README |
| `server` | compiles and runs `server.c` |
| `rounds` | runs the clients against it |
| `cold` | what is measured without a connection: import time, installed size |
| `clients` | one module for each client, and the loops that are measured |
| `work` | counts calls, locks and allocations in place of time; `test_work` holds the counts to bounds |

Linux alone is measured: the server needs epoll, and processes are pinned to cores. Times on a machine where something
else runs say little; ratios within one run say more, and CPU time more than the clock.
"""
