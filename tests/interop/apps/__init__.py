"""The servers' side of the interop tests, one file for each way of writing a server."""
