"""U-Boot on a serial line that may be noisy, and the receiving side of YMODEM."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from fake_uboot import Commands, Failed, sparse_write

from flexkit.link.transport import Sink, Transport


class FakeConsole(Transport):
    """``noise``: the probability that a character is lost, changed or doubled, either way. ``deaf``: how many writes
    are lost before it listens at all."""

    def __init__(self, commands: Commands, seed: int = 0, noise: float = 0.0, deaf: int = 0) -> None:
        self.name = "ttyUSB0"
        self.commands = commands
        self.ran: list[str] = []
        self.silent = False
        self._chance = random.Random(seed)
        self._noise = noise
        self._deaf = deaf
        self._line = b""
        self._receiver: Receiver | None = None
        self._sink: Sink = lambda _: None

    def start(self, sink: Sink) -> None:
        self._sink = sink

    def close(self) -> None:
        self._sink = lambda _: None

    def write(self, data: bytes) -> None:
        if self.silent:
            return
        if self._deaf > 0:
            self._deaf -= 1
            self._say("\r\nHit any key to stop autoboot:  2 ")
            return
        if self._receiver is not None:
            self._receive(data)
            return
        for byte in self._harmed(data):
            self._key(bytes([byte]))

    def _key(self, key: bytes) -> None:
        if key == b"\x03":
            self._line = b""
            self._say("<INTERRUPT>\r\n=> ")
        elif key in (b"\n", b"\r"):
            line, self._line = self._line.decode(errors="replace"), b""
            self._say("\r\n")
            self._execute(line)
        else:
            self._line += key
            self._say(key.decode(errors="replace"))

    def _execute(self, line: str) -> None:
        self.ran.append(line)
        if line.startswith("loady"):
            self._receiver = Receiver(int(line.split()[1], 16), self.commands, self._raw)
            self._say("## Ready for binary (ymodem) download\r\n")
            self._raw(b"C")
            return
        status = 0
        for command in line.split(";"):
            if command.strip().startswith("echo "):
                self._say(command.strip()[5:].replace("$?", str(status)) + "\r\n")
                continue
            if command.strip() in ("reset", "boot"):
                self.commands.booted = command.strip()
                continue
            try:
                self._say(self.commands.run(command.replace("&&", ";")).replace("\n", "\r\n"))
                status = 0
            except (Failed, ValueError, IndexError) as error:
                self._say(str(error).replace("\n", "\r\n"))
                status = 1
        self._say("=> ")

    def _receive(self, data: bytes) -> None:
        assert self._receiver is not None
        if self._chance.random() < self._noise and len(data) > 10:
            data = data[:5] + bytes([data[5] ^ 4]) + data[6:]
        if self._receiver.feed(data):
            self._receiver = None
            self._say("=> ")

    def _raw(self, data: bytes) -> None:
        self._sink(data)

    def _say(self, text: str) -> None:
        if heard := self._harmed(text.encode()):
            self._sink(heard)

    def _harmed(self, data: bytes) -> bytes:
        out = bytearray()
        for byte in data:
            fate = self._chance.random()
            if fate >= self._noise:
                out.append(byte)
            elif fate < self._noise / 3:
                out += bytes([byte, byte])
            elif fate < 2 * self._noise / 3:
                out.append(byte ^ 0x10 if byte ^ 0x10 > 31 else byte)
        return bytes(out)


class Receiver:
    """YMODEM, the receiving side, written from the protocol's description and not from our sender."""

    def __init__(self, address: int, commands: Commands, answer: Callable[[bytes], None]) -> None:
        self._address = address
        self._commands = commands
        self._answer = answer
        self._size = -1
        self._data = b""
        self._next = 0
        self._ended = False

    def feed(self, packet: bytes) -> bool:
        """Take one packet; True at the end of the batch."""
        if packet == b"\x04":
            self._ended = True
            self._answer(b"\x06C")
            self._commands_store()
            return False
        body = packet[3:-2]
        right = len(packet) in (133, 1029) and packet[1] ^ packet[2] == 0xFF and crc16(body) == packet[-2:]
        if not right:
            self._answer(b"\x15")
            return False
        if self._ended:
            self._answer(b"\x06")
            return body.strip(b"\0") == b""
        if self._size < 0:
            self._size = int(re.split(rb"[\0 ]", body)[1])
            self._answer(b"\x06C")
            self._next = 1
            return False
        if packet[1] == self._next & 0xFF:
            self._data += body
            self._next += 1
        self._answer(b"\x06")
        return False

    def _commands_store(self) -> None:
        sparse_write(self._commands.memory, self._address, self._data[: self._size])


def crc16(data: bytes) -> bytes:
    """CRC-16 of XMODEM, bit by bit."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1
            crc &= 0xFFFF
    return crc.to_bytes(2, "big")
