"""The threads of one connection: opening it, reading and draining it, keeping its deadlines, ending it once.

Where the microseconds of one echo go: 16 bytes, `send` and then `receive` in one thread, client and server on one core
(CPython 3.13, Linux 6.18, AMD EPYC; the quietest of many rounds):

| step                                                   | pure Python | accelerated |
| ------------------------------------------------------ | ----------- | ----------- |
| the same by a bare socket in Python: four system calls | 18.7        | 18.7        |
| and two switches between the processes                 |             |             |
| `send`: the frame, with its masking                    | 0.9         |             |
| `send`: all else                                       | 1.6         |             |
| ... of it: the write role                              | 0.15        |             |
| `receive`: the message cut out of the bytes            | 0.16        |             |
| `receive`: all else                                    | 1.65        |             |
| ... of it: the clock                                   | 0.09        |             |
| `send` and `receive`, each one call of C               |             | 0.3         |
| together, as measured                                  | 26.9        | 19.0        |

What the steps do not add up to is lost where the other process has been through the caches. Times belong to a machine;
`tests/bench/test_work.py` counts calls, locks and system calls of an echo instead, and holds them.
"""
