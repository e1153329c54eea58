"""An emulated board: QEMU, its media as overlays over what was flashed, its console on a socket.

A run begins with ``QemuPower.on`` and ends with ``off``, or with the death of this process, unless it is to stay
(``flexkit power on``). Then ``state.json`` in the run-time folder says how to reach it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from flexkit import paths, proc, whole
from flexkit.boards.schema import Board, Emulator
from flexkit.deadline import Deadline
from flexkit.drivers.protocols import ConsolePort, Power, Reset
from flexkit.drivers.qmp import Qmp
from flexkit.errors import BoardLost, Busy, MissingTool
from flexkit.link.transport import SocketTransport

PROGRAM = "qemu-system-aarch64"
DIE_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL")
_PORT_ATTEMPTS = 3
_PORT_TAKEN = "Could not set up host forwarding rule"
_SOCKET_PATH_MAX = 100
_TAIL_LINES = 4
_POLL_SECONDS = 0.05
_OPTIONS = "iommu_platform=on,disable-legacy=on,romfile="


def runtime_folder(name: str) -> Path:
    """Where sockets of an instance lie while it runs: short, since a socket's path is limited. Not made.

    It is the instance's of this ledger (``paths.state()``): whoever keeps another has other boards of these names.
    """
    own = f"{name}-{zlib.crc32(str(paths.state().resolve()).encode()):08x}"
    base = os.environ.get("XDG_RUNTIME_DIR")
    if base and len(f"{base}/flexkit/{own}/console") < _SOCKET_PATH_MAX and os.access(base, os.W_OK):
        return Path(base) / "flexkit" / own
    return Path(tempfile.gettempdir()) / f"flexkit-{os.getuid()}" / own


def media_folder(name: str, flavour: str) -> Path:
    """Where the flashed media of an instance lie. Not made."""
    return paths.state() / "media" / name / flavour


def free_port() -> int:
    """A TCP port of this host that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def command(
    board: Board,
    media: Mapping[str, Path],
    folder: Path,
    ssh_port: int,
    extra: Sequence[str] = (),
    tftp: Path | None = None,
) -> list[str]:
    """QEMU's command line. ``media``: a qcow2 file for each medium of the board; ``tftp``: a folder that the board can
    load from. It starts stopped: ``cont`` by QMP."""
    if board.emulator is None:
        raise ValueError(f"{board.name} is not an emulated board")
    words = [PROGRAM, "-nodefaults", "-no-user-config", "-display", "none", "-S"]
    words += ["-name", board.name, "-machine", board.emulator.machine, "-cpu", board.cpu.model]
    words += ["-smp", str(board.cpu.cores), "-m", f"{board.memory.dram_size >> 20}M"]
    words += _media_words(board, board.emulator, media)
    serve = f",tftp={tftp}" if tftp else ""
    words += ["-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{ssh_port}-:22{serve}"]
    words += ["-device", f"virtio-net-pci,netdev=net,{_OPTIONS}"]
    words += ["-chardev", f"socket,id=console,path={folder / 'console'},server=on,wait=off"]
    words += ["-serial", "chardev:console", "-qmp", f"unix:{folder / 'qmp'},server=on,wait=off"]
    return [*words, *extra]


def _media_words(board: Board, emulator: Emulator, media: Mapping[str, Path]) -> list[str]:
    """Each medium on the bus that the board file gives it, in its order."""
    words: list[str] = []
    flashes = 0
    for medium in board.media:
        file = f"format=qcow2,file={media[medium.name]}"
        if medium.bus == "pflash":
            words += ["-drive", f"if=pflash,unit={flashes},{file}"]
            flashes += 1
        else:
            throttle = f"throttling.bps-read={emulator.storage_read_bytes_per_second}"
            words += ["-drive", f"if=none,id={medium.name},{file},{throttle}"]
            words += ["-device", f"virtio-blk-pci,drive={medium.name},{_OPTIONS}"]
    return words


@dataclass(frozen=True)
class Running:
    """A board that runs: what ``state.json`` says. ``started`` is the process's start time in clock ticks, so that a
    process number used again is not taken for it."""

    pid: int
    started: int
    flavour: str
    build: str
    ssh_port: int
    qmp: str
    console: str
    overlays: tuple[str, ...]

    def alive(self) -> bool:
        return self.started == _start_time(self.pid)


def _start_time(pid: int) -> int:
    """When a process started (clock ticks since boot), 0 when there is none or it is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return 0
    return 0 if fields[0] == "Z" else int(fields[19])


def running(name: str) -> Running | None:
    """The run of an instance that is under way, or None. What a dead one left behind is not believed."""
    try:
        found = json.loads((runtime_folder(name) / "state.json").read_text())
        state = Running(**{**found, "overlays": tuple(found["overlays"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return state if state.alive() else None


class QemuPower(Power, Reset, ConsolePort):
    """Power, reset and console of one emulated instance. The caller holds the instance's lock.

    ``stay``: the board goes on when this process ends. ``tftp``: a folder that it can load from.
    """

    revives = False

    def __init__(
        self,
        board: Board,
        name: str,
        flavour: str,
        build: str,
        *,
        stay: bool = False,
        extra: Sequence[str] = (),
        tftp: Path | None = None,
    ) -> None:
        self.board = board
        self.name = name
        self.flavour = flavour
        self.build = build
        self.folder = runtime_folder(name)
        self.ssh_port = 0
        self._stay = stay
        self._extra = tuple(extra)
        self._tftp = tftp
        self._process: subprocess.Popen[bytes] | None = None
        self._attached: Running | None = None
        self._overlays: dict[str, Path] = {}

    def attach(self, state: Running) -> None:
        """Take over a board that another process started."""
        self._attached = state
        self.ssh_port = state.ssh_port
        self._overlays = {Path(path).stem.split("-")[0]: Path(path) for path in state.overlays}

    def is_on(self, deadline: Deadline) -> bool | None:
        return self._lives()

    def _lives(self) -> bool:
        if self._attached is not None:
            return self._attached.alive()
        return self._process is not None and self._process.poll() is None

    def why_dead(self) -> str:
        """Empty while it runs, else what ended it."""
        if self._lives():
            return ""
        status = self._process.poll() if self._process is not None else None
        ending = "" if status is None else f" with status {status}"
        said = self._stderr_tail()
        return f"the emulator ended{ending}" + (f" ({said})" if said else "")

    def on(self, deadline: Deadline) -> None:
        """Let the cores run."""
        self.prepare(deadline)
        with self.monitor(deadline) as monitor:
            monitor.execute("cont", deadline)

    def prepare(self, deadline: Deadline) -> None:
        """Start it stopped at its first instruction, so that nothing it says is missed."""
        if self._lives():
            return
        self._prepare(deadline)
        for attempt in range(_PORT_ATTEMPTS):
            self.ssh_port = free_port()
            try:
                self._start(deadline)
                return
            except BoardLost:
                taken = _PORT_TAKEN in self._stderr_tail()
                self.off(deadline)
                if not taken:
                    raise
                if attempt + 1 == _PORT_ATTEMPTS:
                    raise Busy(f"{self.name}: port {self.ssh_port} for SSH is in use, as were others before") from None

    def monitor(self, deadline: Deadline) -> Qmp:
        """A connection to QEMU's monitor."""
        return Qmp(self.folder / "qmp", deadline)

    def open(self) -> SocketTransport:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(self.folder / "console"))
        except OSError as error:
            connection.close()
            raise BoardLost(f"{self.name}: its console does not answer: {error}") from error
        return SocketTransport(connection, self.name)

    def reset(self, deadline: Deadline) -> None:
        """A warm reset: memory survives."""
        with self.monitor(deadline) as monitor:
            monitor.execute("system_reset", deadline)

    def off(self, deadline: Deadline) -> None:
        """End it, whatever it does. Memory is gone; what it wrote to its media stays until ``discard``."""
        if self._process is not None:
            proc.stop(self._process)
            self._process = None
        if self._attached is not None:
            _end(self._attached, deadline)
            self._attached = None
        for name in ("qmp", "console", "state.json"):
            (self.folder / name).unlink(missing_ok=True)

    def discard(self) -> None:
        """Forget what the run wrote to its media."""
        for overlay in self._overlays.values():
            overlay.unlink(missing_ok=True)
        self._overlays = {}

    def keep(self) -> None:
        """Write ``state.json``, by which other processes find this board."""
        assert self._process is not None
        pid = self._process.pid
        state = Running(
            pid=pid,
            started=_start_time(pid),
            flavour=self.flavour,
            build=self.build,
            ssh_port=self.ssh_port,
            qmp=str(self.folder / "qmp"),
            console=str(self.folder / "console"),
            overlays=tuple(str(path) for path in self._overlays.values()),
        )
        whole.write_text(self.folder / "state.json", json.dumps(asdict(state)))

    def _prepare(self, deadline: Deadline) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("qmp", "console", "state.json"):
            (self.folder / name).unlink(missing_ok=True)
        media = media_folder(self.name, self.flavour)
        if self._overlays:
            return
        for stale in media.glob("*-run.qcow2"):
            stale.unlink()  # of a run that was killed: the lock says that nobody uses it
        for medium in self.board.media:
            base = media / f"{medium.name}.img"
            overlay = media / f"{medium.name}-run.qcow2"
            words = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(base), str(overlay)]
            proc.run(words, deadline, error=BoardLost)
            self._overlays[medium.name] = overlay

    def _start(self, deadline: Deadline) -> None:
        if shutil.which(PROGRAM) is None:
            raise MissingTool(f"{PROGRAM} is not installed", mend="run: flexkit doctor --fix")
        words = command(self.board, self._overlays, self.folder, self.ssh_port, self._extra, self._tftp)
        if not self._stay:
            words = [*DIE_WITH_PARENT, *words]
        with (self.folder / "stderr").open("wb") as errors:
            self._process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, start_new_session=True
            )
        self._wait_monitor(deadline.within(self.board.timeouts.power, f"power on {self.name}"))

    def _wait_monitor(self, deadline: Deadline) -> None:
        while not (self.folder / "qmp").exists() or not (self.folder / "console").exists():
            if not self._lives():
                raise BoardLost(f"{self.name}: {self.why_dead()}")
            deadline.check()
            time.sleep(_POLL_SECONDS)
        try:
            self.monitor(deadline).__exit__(None, None, None)
        except BoardLost:
            if not self._lives():
                raise BoardLost(f"{self.name}: {self.why_dead()}") from None
            raise

    def _stderr_tail(self) -> str:
        try:
            lines = (self.folder / "stderr").read_text(errors="replace").splitlines()
        except OSError:
            return ""
        return "; ".join(line.strip() for line in lines[-_TAIL_LINES:] if line.strip())


def _end(state: Running, deadline: Deadline) -> None:
    """End an emulator that is not this process's child."""
    for sig, patience in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        if not state.alive():
            return
        os.kill(state.pid, sig)
        limit = deadline.within(patience, "end the emulator")
        while state.alive() and not limit.expired:
            time.sleep(_POLL_SECONDS)
