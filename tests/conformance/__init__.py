"""The Autobahn Testsuite judges the client: `python -m tests.conformance`.

`expected.json` is golden: every case with the two verdicts that the client got when somebody last looked at all of them
and agreed (`--update` writes it). A run fails where a verdict differs, for better or for worse, so that nothing changes
unseen.
"""
