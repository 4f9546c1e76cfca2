"""Sockets: how bytes get to a host and back. Nothing in this package knows what a WebSocket is."""
