"""SOCKS 4a and 5 as SSH clients offer it (`ssh -D`), by the library asyncssh: `python socks_over_ssh.py PORT`.

Both ends of the SSH connection are in this process; the far one resolves the names, and prints what it is asked for.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import asyncssh

HOST = "127.0.0.1"


class Far(asyncssh.SSHServer):
    """The far end: lets everybody in, and connects to wherever."""

    def begin_auth(self, username: str) -> bool:
        return False

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> Any:
        print(f"asked for {dest_host}:{dest_port}", flush=True)
        return True


async def main(port: int) -> None:
    """Serve until the process is stopped."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    far = await asyncssh.listen(HOST, 0, server_factory=Far, server_host_keys=[key])
    known = ([key.convert_to_public()], [], [])
    options = {"known_hosts": known, "username": "anybody", "config": None, "agent_path": None, "client_keys": None}
    async with asyncssh.connect(HOST, far.get_port(), **options) as near:
        await near.forward_socks(HOST, port)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
