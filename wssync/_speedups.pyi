from typing import Any, Callable, List, Optional, Tuple, Union

_Buffer = Union[bytes, bytearray, memoryview]

def cut_messages(data: bytes, position: int, limit: Optional[int], messages: List[Any], /) -> Tuple[int, int]: ...
def encode_frame(first: int, payload: _Buffer, key: Optional[bytes], /) -> bytes: ...
def mask(data: _Buffer, key: bytes, offset: int = 0, /) -> bytes: ...
def mask_into(target: bytearray, start: int, data: _Buffer, key: bytes, /) -> None: ...
def receive_messages(
    descriptor: int, most: int, limit: Optional[int], messages: List[Any], rest: List[Any], /
) -> Tuple[int, int]: ...

class Express:
    sent: int
    wire_sent: int
    messages_sent: int
    def __init__(
        self,
        outbox: Any,
        lock: Any,
        flush: Callable[[], object],
        fresh_keys: Callable[[], bytes],
        compress: Optional[Callable[[bytes], Optional[bytes]]],
        descriptor: int,
        flags: int,
        /,
    ) -> None: ...
    def send_at_once(self, first: int, payload: bytes, /) -> Any: ...
    def rest(self) -> Optional[Tuple[int, bytes]]: ...
    def forget(self) -> None: ...
