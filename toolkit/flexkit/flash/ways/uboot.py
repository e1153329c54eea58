"""A medium that U-Boot reaches, over its serial console: chunks come by TFTP, or by YMODEM where there is no network;
the board computes the CRC of what it received, writes, reads back, and computes the CRC of that."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from flexkit.boards.schema import UBoot
from flexkit.deadline import Deadline
from flexkit.deployed.plan import Write
from flexkit.errors import BoardLost, FlashError, TimedOut
from flexkit.flash.protocol import NeedsHands, Trouble
from flexkit.flash.ways import ymodem
from flexkit.flash.ways.prompt import Prompt
from flexkit.flash.ways.storage import Storage
from flexkit.flash.ways.tool import Limits, Rescue, ToolMedium
from flexkit.flash.ways.watched import WatchedConsole
from flexkit.link.transport import Transport

_CRC = re.compile(r"==> ([0-9a-f]{8})\b")
_WORDS = re.compile(r"^([0-9a-f]{8,16}): ((?:[0-9a-f]{8} ?){1,4})", re.MULTILINE)
_MARGIN = 1 << 16
_ATTEMPTS = 3
_ALIVE_SECONDS = 6.0  # a prompt that is there answers at once; what starts is waited for after a restart
_DUMP_STEP = 1 << 14
_BITS_PER_DUMPED_BYTE = 2 * 43  # a line of 68 characters says 16 bytes; every dump is made twice

OpenConsole = Callable[[Deadline], Transport]


@dataclass(frozen=True)
class Network:
    """``folder``: what the TFTP server gives out; ``server``: its address as the board sees it, empty where DHCP says
    it; ``static``: the board's own address, empty for DHCP."""

    folder: Path
    server: str = ""
    static: str = ""


class UBootMedium(ToolMedium):
    """``rescue`` resets the board or switches it on, so that U-Boot comes up; None: somebody has to. ``baud``: the
    line's speed, where it has one: what is read comes over it as text. ``impatient``: a board that is found running
    something else is soon started again by ``rescue``, instead of waited for."""

    program = "U-Boot"
    proof = "read back by the board, CRC-32"
    read_step = _DUMP_STEP

    def __init__(
        self,
        name: str,
        size: int,
        uboot: UBoot,
        device: str,
        chunk: int,
        console: OpenConsole,
        network: Network | None,
        limits: Limits,
        rescue: Rescue | None = None,
        hands: str = "",
        baud: int = 0,
        impatient: bool = False,
    ) -> None:
        super().__init__(name, size, limits, hands or "switch the board off and on", rescue)
        self.read_speed = baud // _BITS_PER_DUMPED_BYTE
        self._impatient = impatient
        self._uboot = uboot
        self._storage = Storage(device, uboot.buffer, chunk + _MARGIN)
        self._open_console = console
        self._network = network
        self._line: Transport | None = None
        self._prompt: Prompt | None = None
        self._sent: Path | None = None

    def open(self, deadline: Deadline) -> None:
        """To the prompt, from wherever the board is: it is asked first, and started only if it does not answer."""
        for attempt in range(_ATTEMPTS):
            self._reach_prompt(deadline)
            try:
                self._prepare(deadline)
                return
            except Trouble:
                if attempt + 1 == _ATTEMPTS:
                    raise

    def close(self) -> None:
        self._disconnect()
        if self._sent is not None:
            self._sent.unlink(missing_ok=True)
            self._sent = None
        super().close()

    def release(self, deadline: Deadline) -> None:
        """Let the board boot from what was written. If it does not hear that, it stays at its prompt: no harm."""
        with suppress(Trouble, TimedOut):
            self._ask().start(self._uboot.boot, deadline.within(self._limits.call, "boot"))

    def write(self, offset: int, data: bytes, deadline: Deadline) -> None:
        """What arrived in memory is checked before it is written."""
        crc = self._crc(self._storage.buffer, len(data), deadline, after=self._send(data, deadline))
        if crc != zlib.crc32(data):
            raise Trouble(f"{self.name}: a chunk arrived damaged (CRC {crc:08x} instead of {zlib.crc32(data):08x})")
        self._run(self._storage.write(offset, len(data)), deadline, moved=len(data))

    def look(self, offset: int, count: int, deadline: Deadline) -> bytes:
        crc = self._crc(self._storage.scratch, count, deadline, after=self._storage.read(offset, count))
        return crc.to_bytes(4, "big")

    def evidence(self, data: bytes) -> bytes:
        return zlib.crc32(data).to_bytes(4, "big")

    def read(self, offset: int, count: int, deadline: Deadline) -> bytes:
        """As a dump over the console: for a backup, slow, and right or refused."""
        self._run(self._storage.read(offset, count), deadline, moved=count)
        moved = self._limits.speed * count // self.read_speed if self.read_speed else 5 * count
        said = self._run(f"md.l {self._storage.scratch:x} {count // 4:x}", deadline, moved=moved)
        data = b"".join(
            int(word, 16).to_bytes(4, "little") for line in _WORDS.findall(said) for word in line[1].split()
        )
        if zlib.crc32(data) != self._crc(self._storage.scratch, count, deadline):
            raise Trouble(f"{self.name}: a dump arrived damaged")
        return data

    def settle(self, deadline: Deadline) -> None:
        """U-Boot writes through, and forgets its own block cache when the device is chosen anew."""
        self._run(self._storage.select(), deadline)

    def describe(self, write: Write) -> Sequence[str]:
        command = self._storage.write(write.offset, write.size + -write.size % self.block)
        fetch = f"tftpboot {self._storage.buffer:x}" if self._network else f"loady {self._storage.buffer:x}"
        name = write.path.name if write.path else "zeros"
        return [f"=> {fetch} {name}; {self._storage.select()}; {command}"]

    def _reach_prompt(self, deadline: Deadline) -> None:
        if self._prompt is None:
            self._connect(deadline)
        try:
            soon = self._impatient and not self._rescued
            patience = min(_ALIVE_SECONDS, self._limits.enumerate) if soon else self._limits.enumerate
            self._ask().catch(deadline.within(patience, "U-Boot's prompt"))
        except (Trouble, TimedOut) as silent:
            deadline.check()
            need = self._silence()
            self._disconnect()
            raise need from silent

    def _silence(self) -> NeedsHands:
        """What is known of a board whose boot loader does not answer."""
        words = "U-Boot's prompt does not come"
        if isinstance(self._line, WatchedConsole):
            lost = self._line.lost(words)
            return NeedsHands(f"{self.name}: {lost.message}", mend=f"{self._hands}; {lost.mend}")
        return NeedsHands(f"{self.name}: {words}", mend=self._hands)

    def _connect(self, deadline: Deadline) -> None:
        try:
            self._line = self._open_console(deadline)
            self._prompt = Prompt(self._line, self._uboot)
        except BoardLost as error:
            raise NeedsHands(f"{self.name}: {error.message}", mend=error.mend or self._hands) from error

    def _disconnect(self) -> None:
        if self._prompt is not None:
            self._prompt.close()
            self._prompt = None

    def _reset(self, deadline: Deadline) -> None:
        """By U-Boot itself, where it still listens."""
        self._ask().start("reset", deadline.within(self._limits.call, "reset"))
        self._ask().cooked()

    def recover(self, deadline: Deadline) -> None:
        with suppress(Trouble, NeedsHands):
            self.open(deadline)
            return
        self._disconnect()
        super().recover(deadline)

    def _prepare(self, deadline: Deadline) -> None:
        """Choose the device, and get the network up."""
        self._run(self._first(), deadline)
        network = self._network
        if network is None:
            return
        if network.static:
            self._run(f"setenv ipaddr {network.static}", deadline)
        else:
            self._run("setenv autoload no; dhcp", deadline)
        if network.server:
            self._run(f"setenv serverip {network.server}", deadline)

    def _first(self) -> str:
        """virtio has to be looked for once, behind PCI too."""
        select = self._storage.select()
        return f"pci enum; virtio scan; {select}" if select.startswith("virtio") else select

    def _send(self, data: bytes, deadline: Deadline) -> str:
        """Bring a chunk into memory, or return the command that will."""
        if self._network is None:
            self._send_ymodem(data, deadline)
            return ""
        name = f"flexkit-{self.name}.bin"
        self._sent = self._network.folder / name
        try:
            self._sent.write_bytes(data)
        except OSError as error:
            raise FlashError(f"{self._sent}: {error.strerror}", mend="see to the TFTP server's folder") from error
        return f"tftpboot {self._storage.buffer:x} {name}"

    def _send_ymodem(self, data: bytes, deadline: Deadline) -> None:
        prompt = self._ask()
        limit = deadline.within(self._limits.seconds(len(data)), "YMODEM")
        prompt.start(f"loady {self._storage.buffer:x}", limit)
        try:
            ymodem.send("chunk", data, prompt.write, prompt.take, limit)
        except (ymodem.NotTaken, TimedOut) as error:
            deadline.check()
            raise Trouble(f"{self.name}: YMODEM: {error}") from error
        finally:
            prompt.cooked()
        prompt.catch(limit)

    def _crc(self, address: int, count: int, deadline: Deadline, after: str = "") -> int:
        """What the board computes over its memory, once ``after`` has succeeded: never over what lay there before."""
        first = f"{after} && " if after else ""
        found = _CRC.search(self._run(f"{first}crc32 {address:x} {count:x}", deadline, moved=2 * count))
        if found is None:
            raise Trouble(f"{self.name}: U-Boot does not say the CRC")
        return int(found.group(1), 16)

    def _run(self, command: str, deadline: Deadline, moved: int = 0) -> str:
        deadline.check()
        try:
            return self._ask().run(command, deadline.within(self._limits.seconds(moved), command))
        except TimedOut as late:
            deadline.check()
            raise Trouble(f"{self.name}: {late.message}") from late

    def _ask(self) -> Prompt:
        if self._prompt is None:
            raise Trouble(f"{self.name}: there is no console")
        return self._prompt
