"""The threads of one connection: opening it, reading and draining it, keeping its deadlines, ending it once.

Where the microseconds of one echo go: 16 bytes, `send` and then `receive` in one thread, client and server on one core
(CPython 3.13, Linux 6.18, AMD EPYC; the quietest of many rounds):

| step                                                   | pure Python | accelerated |
| ------------------------------------------------------ | ----------- | ----------- |
| four system calls, two switches between the processes  | 18 to 19    | 18 to 19    |
| `send`: the frame, with its masking                    | 1.25        | 0.06        |
| `send`: all else                                       | 1.35        | 0.3         |
| ... of it: what the kernel took goes on record         | 0.36        |             |
| ... of it: the write role                              | 0.15        |             |
| `receive`: the message cut out of the bytes            | 0.16        | 0.12        |
| `receive`: all else                                    | 1.65        | 0.9         |
| ... of it: the clock                                   | 0.09        |             |
| together, as measured                                  | 25.4        | 18.9        |

What the steps do not add up to is lost where the other process has been through the caches. Times belong to a machine;
`tests/bench/test_work.py` counts calls, locks and system calls of an echo instead, and holds them.
"""
