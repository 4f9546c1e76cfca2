"""The Autobahn Testsuite judges the client, and the test server: `python -m tests.conformance`.

`expected.json` and `expected_server.json` are golden: every case with the two verdicts that the client, and the server,
got when somebody last looked at all of them and agreed (`--update` writes them). A run fails where a verdict differs,
for better or for worse, so that nothing changes unseen.
"""
