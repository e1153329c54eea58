"""YMODEM, the sending side: what U-Boot's loady takes where there is no network. Blocks of 1 KiB, CRC-16, each
acknowledged."""

from __future__ import annotations

import binascii
from collections.abc import Callable, Iterator

from flexkit.deadline import Deadline

_SOH, _STX, _EOT, _ACK, _NAK, _CAN, _WANT = b"\x01", b"\x02", b"\x04", b"\x06", b"\x15", b"\x18", b"C"
_LONG, _SHORT = 1024, 128
_PAD = b"\x1a"
_ATTEMPTS = 12
_ANSWER_SECONDS = 10.0

Read = Callable[[Deadline], bytes]
"""One byte that came, or nothing when the time is over."""


class NotTaken(Exception):
    """The other side gave up, or did not answer."""


def packets(name: str, data: bytes) -> Iterator[bytes]:
    """The header block, the data blocks, and the empty header that ends a batch is left to ``send``."""
    yield _packet(0, f"{name}\0{len(data)}".encode().ljust(_SHORT, b"\0"))
    for number, begin in enumerate(range(0, len(data), _LONG), 1):
        yield _packet(number, data[begin : begin + _LONG].ljust(_LONG, _PAD))


def _packet(number: int, body: bytes) -> bytes:
    start = _SOH if len(body) == _SHORT else _STX
    crc = binascii.crc_hqx(body, 0).to_bytes(2, "big")
    return start + bytes([number & 0xFF, ~number & 0xFF]) + body + crc


def send(name: str, data: bytes, write: Callable[[bytes], None], read: Read, deadline: Deadline) -> None:
    """Send one file and end the batch. Raises NotTaken, TimedOut."""
    _await(_WANT, read, deadline)
    for number, packet in enumerate(packets(name, data)):
        _deliver(packet, write, read, deadline)
        if number == 0:
            _await(_WANT, read, deadline)
    _deliver(_EOT, write, read, deadline)
    _await(_WANT, read, deadline)
    _deliver(_packet(0, bytes(_SHORT)), write, read, deadline)


def _deliver(packet: bytes, write: Callable[[bytes], None], read: Read, deadline: Deadline) -> None:
    """Send until it is acknowledged; a receiver that is silent or refuses gets it again."""
    for _ in range(_ATTEMPTS):
        deadline.check()
        write(packet)
        if _answer(read, deadline) == _ACK:
            return
    raise NotTaken("a block was not acknowledged")


def _answer(read: Read, deadline: Deadline) -> bytes:
    """ACK, NAK, or nothing; other bytes are noise. NotTaken when the receiver cancels."""
    limit = deadline.within(_ANSWER_SECONDS, "YMODEM")
    cancels = 0
    while not limit.expired:
        byte = read(limit)
        cancels = cancels + 1 if byte == _CAN else 0
        if cancels == 2:
            raise NotTaken("the receiver cancelled")
        if byte in (_ACK, _NAK):
            return byte
    return b""


def _await(wanted: bytes, read: Read, deadline: Deadline) -> None:
    limit = deadline.within(_ANSWER_SECONDS * _ATTEMPTS, "YMODEM")
    while read(limit) != wanted:
        if limit.expired:
            deadline.check()
            raise NotTaken("the receiver does not ask for a block")
