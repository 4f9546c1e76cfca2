"""Which hosts are reached without a proxy.

There is no standard for `no_proxy`; each client has rules of its own. These are what users of curl, requests and Go can
expect together, with names compared by whole labels and addresses by number, never by parts of their text:

- entries are separated by commas or blanks; case and a dot at the end do not count;
- `*` is every host;
- `example.org` is that host and all below it; so is `.example.org`; `*.example.org` is those below alone. With `exact`,
  as in Apple's lists, `example.org` is that host alone;
- another `*` in an entry stands for any characters, dots too;
- `192.0.2.1`, `2001:db8::1` and `[2001:db8::1]` are addresses, `192.0.2.0/24`, `2001:db8::/32` and Apple's `169.254/16`
  networks; they are compared with a host that is written as an address, no name is looked up;
- `:port` behind a name or an address (an IPv6 one in brackets) bounds the entry to that port.

An entry that is nothing of the kind excepts nothing.
"""

from __future__ import annotations

from ..errors import InvalidURL
from ..hints import TYPE_CHECKING, Iterable, Optional, Union
from .patterns import pattern
from .proxy import explicit_port
from .urls import WebSocketURL, parse_url

if TYPE_CHECKING:
    import ipaddress

__all__ = ["is_excepted", "is_loopback", "split_entries"]

# ::ffff:127.0.0.0/104 as `parse_url` writes it.
_MAPPED_LOOPBACK = pattern(r"::ffff:7f[0-9a-f]{2}:[0-9a-f]+")
_SHORT_IPV4 = pattern(r"[0-9]{1,3}(\.[0-9]{1,3}){0,2}")


def is_loopback(url: WebSocketURL) -> bool:
    """Whether the host is this machine: `localhost` and names below it (RFC 6761 section 6.3), 127.0.0.0/8, ::1."""
    host = url.server_name
    if url.is_ip_address:
        return host == "::1" or host.startswith("127.") or _MAPPED_LOOPBACK.fullmatch(host) is not None
    return host == "localhost" or host.endswith(".localhost")


def split_entries(text: str) -> Iterable[str]:
    """The entries of a `no_proxy`."""
    return text.replace(",", " ").split()


def is_excepted(url: WebSocketURL, entries: Iterable[str], *, exact: bool = False) -> bool:
    """Whether one of the `entries`, as the module describes them, means the host (and port) of `url`."""
    return any(_means(entry.strip().lower(), url, exact) for entry in entries)


def _means(entry: str, url: WebSocketURL, exact: bool) -> bool:
    if entry == "*":
        return True
    if "/" in entry:
        return url.is_ip_address and _is_in_network(url.host, entry)
    name = entry[2:] if entry.startswith("*.") else entry.lstrip(".")
    if "*" in name:
        return _matches(url.server_name, entry)
    meant = _read(name, url.port)
    if meant is None:
        return False
    if meant.is_ip_address:
        return url.is_ip_address and _address(meant.host) == _address(url.host)
    if url.server_name == meant.server_name:
        return not entry.startswith("*.")
    is_below = url.server_name.endswith(f".{meant.server_name}")
    return is_below and (not exact or entry != name)


def _read(name: str, port: int) -> Optional[WebSocketURL]:
    """A host with or without a port, by the parser of all hosts; `None` for no host, and for another port."""
    if "@" in name or "?" in name:
        return None
    authority = f"[{name}]" if name.count(":") > 1 and not name.startswith("[") else name
    try:
        meant = parse_url(f"ws://{authority}")
    except InvalidURL:
        return None
    return meant if explicit_port(authority) in (None, port) else None


def _matches(host: str, entry: str) -> bool:
    import re

    words = [re.escape(word) for word in re.split(r"\*+", entry.rstrip("."))]
    return re.fullmatch(".*".join(words), host) is not None


def _is_in_network(host: str, entry: str) -> bool:
    import ipaddress

    base, _, length = entry.partition("/")
    if _SHORT_IPV4.fullmatch(base):
        base += ".0" * (3 - base.count("."))
    try:
        network = ipaddress.ip_network(f"{base}/{length}", strict=False)
    except ValueError:
        return False
    return _address(host) in network


def _address(host: str) -> Union[ipaddress.IPv4Address, ipaddress.IPv6Address]:
    """An IPv4 address that is written as one of IPv6 is the IPv4 address."""
    import ipaddress

    address = ipaddress.ip_address(host)
    return getattr(address, "ipv4_mapped", None) or address
