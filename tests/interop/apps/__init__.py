"""The other side of the interop tests: a file for each way of writing a server, and the page of a browser."""
