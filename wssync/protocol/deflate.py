"""permessage-deflate: negotiating it, compressing, and inflating with a bound (RFC 7692).

Two DEFLATE streams run beside a connection, one each way, and each side may ask that the other keeps its window small
or forgets it after every message. So a parameter always belongs to a *sender*: `client_...` to the client's compressor
and the server's inflater. `DeflateParameters.window_bits(role)` asks by sender, which is what lets both roles share
this code.

The inflater never makes more than one byte above the limit it is given, whatever the data promise: DEFLATE reaches 1 to
1032, and a bound that is tested afterwards is no bound (RFC 6455 section 10.4).

Two things `zlib` cannot do are met here, both within the RFC. It cannot compress with a window of 256 bytes: messages
then go out uncompressed, as any message may. And after a block marked final it forgets the window: the next block
starts with an empty one, so a sender that still refers to what came before (none known does) gets a data error, never a
wrong text.
"""

from __future__ import annotations

from wssync.errors import MessageTooBig, ProtocolError
from wssync.frozen import Frozen
from wssync.hints import TYPE_CHECKING, Dict, List, Optional, Sequence, Tuple
from wssync.protocol.frames import Role

if TYPE_CHECKING:
    import zlib

    from wssync.protocol.extensions import Extension, Parameter

__all__ = [
    "Compressor",
    "DeflateOptions",
    "DeflateParameters",
    "EXTENSION",
    "Inflater",
    "accept",
    "agree",
    "offer",
]

EXTENSION = "permessage-deflate"
"""The name in `Sec-WebSocket-Extensions`."""

_TAIL = b"\x00\x00\xff\xff"  # what every flushed message ends with and does not send (RFC 7692 section 7.2.1)
_LARGEST_WINDOW = 15
_UNSUPPORTED_WINDOW = 8  # zlib.compressobj refuses it for raw streams
_STEP = 4096  # input given at once behind a final block, so that a run of them is not copied over and over

_FLAGS = ("server_no_context_takeover", "client_no_context_takeover")
_WINDOWS = {str(bits): bits for bits in range(8, _LARGEST_WINDOW + 1)}


class DeflateOptions(Frozen):
    """What to ask for and how to compress; a frozen value.

    `client_max_window_bits` and `server_max_window_bits` bound the windows (8 to 15, the base-two logarithm of bytes).
    `None` does not offer the parameter: the server then cannot bound our window, or is not asked to bound its own. The
    `..._no_context_takeover` flags ask that a side forgets its window after every message: less memory, worse
    compression.

    `level` and `mem_level` are zlib's. Of messages of 1 KiB, two kinds of JSON, level 4 leaves 34 and 17 percent in 24
    and 11 microseconds; level 3 leaves 34 and 18 percent in the same time, level 1 39 and 20 percent in three quarters
    of it, level 6 31 and 16 percent in twice as much. `mem_level` 5 compresses messages as well as 8 and saves 112 KiB
    a connection. Messages below `threshold` bytes go out uncompressed: the headers of the packet that carries them (IP,
    TCP, TLS) are longer than anything that could be saved.

    Raises `ValueError` for a number out of range and `TypeError` for what is no integer.
    """

    client_max_window_bits: Optional[int] = _LARGEST_WINDOW
    server_max_window_bits: Optional[int] = None
    client_no_context_takeover: bool = False
    server_no_context_takeover: bool = False
    level: int = 4
    mem_level: int = 5
    threshold: int = 64

    def _check(self) -> None:
        for name in ("client_max_window_bits", "server_max_window_bits"):
            if getattr(self, name) is not None:
                self._check_range(name, 8, _LARGEST_WINDOW)
        self._check_range("level", -1, 9)
        self._check_range("mem_level", 1, 9)
        self._check_range("threshold", 0, None)
        for name in _FLAGS:
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} is a bool, not {type(getattr(self, name)).__name__}")

    def _check_range(self, name: str, lowest: int, highest: Optional[int]) -> None:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{name} is an int, not {type(value).__name__}")
        if value < lowest or (highest is not None and value > highest):
            raise ValueError(f"{name} must be {lowest} " + ("or more" if highest is None else f"to {highest}"))


class DeflateParameters(Frozen):
    """What both sides have agreed on (RFC 7692 section 7.1)."""

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int = _LARGEST_WINDOW
    client_max_window_bits: int = _LARGEST_WINDOW

    def window_bits(self, sender: Role) -> int:
        """The window of what this side sends, 8 to 15."""
        return self.client_max_window_bits if sender is Role.CLIENT else self.server_max_window_bits

    def forgets(self, sender: Role) -> bool:
        """Whether this side starts every message with an empty window."""
        return self.client_no_context_takeover if sender is Role.CLIENT else self.server_no_context_takeover


# Negotiation


def offer(options: DeflateOptions) -> str:
    """Write the offer of a client; `permessage-deflate; client_max_window_bits` unless the options say more."""
    parameters: List[Parameter] = [(name, None) for name in _FLAGS if getattr(options, name)]
    if options.server_max_window_bits is not None:
        parameters.append(("server_max_window_bits", str(options.server_max_window_bits)))
    bits = options.client_max_window_bits
    if bits is not None:
        parameters.append(("client_max_window_bits", None if bits == _LARGEST_WINDOW else str(bits)))
    return _format(parameters)


def agree(options: DeflateOptions, parameters: Sequence[Parameter]) -> DeflateParameters:
    """Read the server's answer to `offer(options)`; the client's half.

    Raises `ValueError`, which must fail the connection, for a parameter that is unknown, repeated, has a bad value, or
    does not answer the offer. A server may bind itself, and ask the client to forget its window, without having been
    asked (sections 7.1.1 and 7.1.2.1); it may bound the client's window only if that was offered (7.1.2.2).
    """
    given = _read_parameters(parameters)
    if "client_max_window_bits" in given:
        if options.client_max_window_bits is None:
            raise ValueError("client_max_window_bits was not offered (RFC 7692 section 7.1.2.2)")
        if given["client_max_window_bits"] is None:
            raise ValueError("client_max_window_bits in a response needs a value (RFC 7692 section 7.1.2.2)")
    if options.server_no_context_takeover and "server_no_context_takeover" not in given:
        raise ValueError("server_no_context_takeover was asked for and not granted (RFC 7692 section 7.1.1.1)")
    server_bits = given.get("server_max_window_bits") or _LARGEST_WINDOW
    if server_bits > (options.server_max_window_bits or _LARGEST_WINDOW):
        raise ValueError("server_max_window_bits is larger than asked for (RFC 7692 section 7.1.2.1)")
    return DeflateParameters(
        server_no_context_takeover="server_no_context_takeover" in given,
        client_no_context_takeover=options.client_no_context_takeover or "client_no_context_takeover" in given,
        server_max_window_bits=server_bits,
        client_max_window_bits=_smaller(options.client_max_window_bits, given.get("client_max_window_bits")),
    )


def accept(options: DeflateOptions, offers: Sequence[Extension]) -> Optional[Tuple[DeflateParameters, str]]:
    """Choose the first offer of a client that can be accepted; the server's half.

    Returns the parameters and the value of the response's `Sec-WebSocket-Extensions`, or `None` to go on uncompressed.
    An offer with an unknown, repeated or bad parameter is passed over (section 7.1), and so are other extensions.
    """
    for name, parameters in offers:
        if name != EXTENSION:
            continue
        try:
            offered = _read_parameters(parameters)
        except ValueError:
            continue
        return _answer(options, offered)
    return None


def _answer(options: DeflateOptions, offered: Dict[str, Optional[int]]) -> Tuple[DeflateParameters, str]:
    """Grant everything that was asked for, and bind both sides as the options want and the offer allows."""
    client_bits = _LARGEST_WINDOW
    if "client_max_window_bits" in offered:
        client_bits = _smaller(options.client_max_window_bits, offered["client_max_window_bits"])
    agreed = DeflateParameters(
        server_no_context_takeover=options.server_no_context_takeover or "server_no_context_takeover" in offered,
        client_no_context_takeover=options.client_no_context_takeover or "client_no_context_takeover" in offered,
        server_max_window_bits=_smaller(options.server_max_window_bits, offered.get("server_max_window_bits")),
        client_max_window_bits=client_bits,
    )
    response: List[Parameter] = [(name, None) for name in _FLAGS if getattr(agreed, name)]
    if agreed.server_max_window_bits < _LARGEST_WINDOW or "server_max_window_bits" in offered:
        response.append(("server_max_window_bits", str(agreed.server_max_window_bits)))
    if client_bits < _LARGEST_WINDOW:
        response.append(("client_max_window_bits", str(client_bits)))
    return agreed, _format(response)


def _smaller(ours: Optional[int], theirs: Optional[int]) -> int:
    return min(ours or _LARGEST_WINDOW, theirs or _LARGEST_WINDOW)


def _format(parameters: Sequence[Parameter]) -> str:
    return "; ".join([EXTENSION] + [name if value is None else f"{name}={value}" for name, value in parameters])


def _read_parameters(parameters: Sequence[Parameter]) -> Dict[str, Optional[int]]:
    """Check what holds for offers and responses alike: known names, each once, with a value of the right form."""
    given: Dict[str, Optional[int]] = {}
    for name, value in parameters:
        if name in given:
            raise ValueError(f"{name} is repeated (RFC 7692 section 7.1)")
        given[name] = _read_parameter(name, value)
    return given


def _read_parameter(name: str, value: Optional[str]) -> Optional[int]:
    if name in _FLAGS:
        if value is not None:
            raise ValueError(f"{name} takes no value (RFC 7692 section 7.1.1)")
        return None
    if name not in ("client_max_window_bits", "server_max_window_bits"):
        raise ValueError(f"{name!r} is no parameter of {EXTENSION} (RFC 7692 section 7.1)")
    if value is None and name == "client_max_window_bits":
        return None
    if value not in _WINDOWS:
        raise ValueError(f"{name} must be 8 to 15 without leading zeros, not {value!r} (RFC 7692 section 7.1.2)")
    return _WINDOWS[value]


# Messages


class Compressor:
    """Compresses the messages that one side sends. Not thread-safe; only whoever may write uses it.

    The stream (some 150 KiB) is made with the first message that needs it.
    """

    def __init__(self, parameters: DeflateParameters, role: Role, options: DeflateOptions) -> None:
        import zlib  # here, because most connections are not compressed

        self._zlib = zlib
        self._bits = parameters.window_bits(role)
        self._forgets = parameters.forgets(role)
        self._options = options
        self._stream: Optional[zlib._Compress] = None

    def compress(self, payload: bytes) -> Optional[bytes]:
        """Give the payload of one compressed message, or `None` if this one should go out uncompressed."""
        if len(payload) < self._options.threshold or self._bits == _UNSUPPORTED_WINDOW:
            return None
        stream = self._stream or self._make_stream()
        data = stream.compress(payload) + stream.flush(self._zlib.Z_SYNC_FLUSH)
        if not self._forgets:
            self._stream = stream
        elif len(data) - len(_TAIL) >= len(payload):
            return None  # allowed only because nobody's window has seen it
        return data[: -len(_TAIL)]

    def _make_stream(self) -> zlib._Compress:
        options = self._options
        return self._zlib.compressobj(options.level, self._zlib.DEFLATED, -self._bits, options.mem_level)


class Inflater:
    """Inflates the messages that the peer sends, piece by piece. Not thread-safe; only whoever may read uses it.

    `role` is our own. One message is any number of `inflate` and then one `finish`. After an error it must not be used
    again.
    """

    def __init__(self, parameters: DeflateParameters, role: Role) -> None:
        import zlib

        self._zlib = zlib
        self._bits = parameters.window_bits(role.peer)
        self._forgets = parameters.forgets(role.peer)
        self._stream: Optional[zlib._Decompress] = None  # None: at the start of a stream, nothing read yet
        self._size = 0
        self._is_fed = False  # whether this message has brought anything yet

    def copy(self) -> Inflater:
        """Give an inflater that goes on from here and leaves this one as it is. About a microsecond."""
        twin: Inflater = Inflater.__new__(Inflater)
        twin.__dict__.update(self.__dict__)
        twin._stream = None if self._stream is None else self._stream.copy()
        return twin

    def inflate(self, data: bytes, limit: Optional[int]) -> bytes:
        """Inflate the next piece of a message, of which `limit` bytes at most may come out in all (`None`: any number).

        Raises `MessageTooBig` as soon as one byte more is known of, and `ProtocolError` with code 1007 for data that
        are no DEFLATE: the frame was in order and its content is not what RSV1 says it is (RFC 6455 section 7.4.1; RFC
        7692 section 7.2.2 names no code).
        """
        room = 0 if limit is None else limit + 1 - self._size  # zlib reads 0 as "no bound"; it is never below 1 here
        try:
            made = self._inflate(data, room)
        except self._zlib.error as exc:
            raise ProtocolError(f"a compressed message is damaged: {exc} (RFC 7692 section 7.2.2)", code=1007) from exc
        self._size += len(made)
        if limit is not None and self._size > limit:
            raise MessageTooBig(
                f"a message of more than {limit} bytes after decompression", size=self._size, limit=limit
            )
        return made

    def finish(self, limit: Optional[int]) -> bytes:
        """End the message and give what was still in the stream. Raises as `inflate` does.

        The tail belongs behind a message's own last bits. A payload of no byte (an empty message should have one) has
        none, nor has one that ended with a final block: there it would be read as the start of the next message.
        """
        made = self.inflate(_TAIL, limit) if self._is_fed and self._stream is not None else b""
        self._is_fed = False
        self._size = 0
        if self._forgets:
            self._stream = None
        return made

    def _inflate(self, data: bytes, room: int) -> bytes:
        if not data:
            return b""
        self._is_fed = True
        if self._stream is None:
            self._stream = self._zlib.decompressobj(-self._bits)
        made = self._stream.decompress(data, room)
        return self._go_on(self._stream, made, room) if self._stream.eof else made

    def _go_on(self, stream: zlib._Decompress, made: bytes, room: int) -> bytes:
        """A block marked final ends zlib's stream, not the message: what follows begins another (section 7.2.3.4)."""
        parts, total = [made], len(made)
        rest = stream.unused_data
        self._stream = None
        position = 0
        while position < len(rest) and (not room or total < room):
            self._stream = stream = self._stream or self._zlib.decompressobj(-self._bits)
            piece = rest[position : position + _STEP]
            made = stream.decompress(piece, room and room - total)
            parts.append(made)
            total += len(made)
            position += len(piece) - len(stream.unused_data)
            if stream.eof:
                self._stream = None
        return b"".join(parts)
