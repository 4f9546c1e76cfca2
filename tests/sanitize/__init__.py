"""The accelerator under AddressSanitizer and UndefinedBehaviorSanitizer: `python -m tests.sanitize`, `tox -e sanitize`.

`build` compiles it with the sanitizers into a folder of its own and starts an interpreter with their library loaded
first. `inside` is what that interpreter runs: the tests of the protocol, and then `fuzz`, which feeds both forms random
bytes for a while. `cases` judges how it ended, and plants errors in the C code to see that they are caught.
"""
