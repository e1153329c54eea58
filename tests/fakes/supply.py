"""A board on a bench, as its lab file sees it: a supply that is switched by commands, a serial port that comes and goes
with it, SSH on a port of its own. What hangs on the supply is QEMU, and the tool is not told.

``python supply.py on|off|state FOLDER``: what FOLDER/words.json starts, FOLDER/pid is.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from flexkit import boards, proc
from flexkit.boards import Board, Instance
from flexkit.deadline import Deadline
from flexkit.drivers import qemu

_OFF_SECONDS = 10.0


def wire(instance: Instance, flavour: str, folder: Path, ssh_port: int) -> None:
    """Put the media that were flashed for ``instance`` into the board, and its serial port at FOLDER/tty."""
    media = {}
    for medium in instance.type.media:
        base = qemu.media_folder(instance.name, flavour) / f"{medium.name}.img"
        media[medium.name] = folder / f"{medium.name}.qcow2"
        words = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(base), str(media[medium.name])]
        proc.run(words, Deadline(30, "media"))
    _start_with(folder, qemu.command(instance.type, media, folder, ssh_port))


def _start_with(folder: Path, words: list[str]) -> None:
    """What the supply is to start: the emulator, running from its first instruction, its console a terminal."""
    words.remove("-S")
    at = words.index("-chardev")
    words[at + 1] = f"pty,id=console,path={folder / 'tty'}"
    at = words.index("-qmp")
    del words[at : at + 2]
    (folder / "words.json").write_text(json.dumps(words))


def wire_blank(board: Board, folder: Path, ssh_port: int) -> None:
    """A board as it comes out of its box: nothing on any medium. Its firmware's flash is FOLDER/pflash.img, as in a
    programmer; a TFTP server gives out FOLDER/tftp."""
    (folder / "tftp").mkdir()
    media = {}
    for medium in board.media:
        kind = "raw" if medium.bus == "pflash" else "qcow2"
        media[medium.name] = folder / f"{medium.name}.{'img' if kind == 'raw' else kind}"
        words = ["qemu-img", "create", "-q", "-f", kind, str(media[medium.name]), str(medium.size)]
        proc.run(words, Deadline(30, "media"))
    words = qemu.command(board, media, folder, ssh_port, tftp=folder / "tftp")
    raw = str(media["pflash"])
    _start_with(folder, [word.replace(f"format=qcow2,file={raw}", f"format=raw,file={raw}") for word in words])


def commands(folder: Path) -> tuple[str, str]:
    """What switches the supply ({}: on or off), and what tells its state."""
    command = f"{sys.executable} {Path(__file__).resolve()}"
    return f"{command} {{}} {folder}", f"{command} state {folder}"


def lab_file(folder: Path, name: str, board: str, ssh_port: int) -> Path:
    """A lab file that describes this board as if it were hardware."""
    assert boards.load(board)
    switch, state = commands(folder)
    path = folder / "lab.toml"
    path.write_text(f"""
[board.{name}]
type = "{board}"
serial = "{folder / "tty"}"
baud = 1_500_000
ssh = "127.0.0.1:{ssh_port}"

[board.{name}.power]
driver = "command"
on = "{switch.format("on")}"
off = "{switch.format("off")}"
state = "{state}"
""")
    return path


def _running(folder: Path) -> int:
    """The process on the supply; 0: it is off."""
    try:
        pid, started = map(int, (folder / "pid").read_text().split())
    except (OSError, ValueError):
        return 0
    return pid if _start_time(pid) == started else 0


def _start_time(pid: int) -> int:
    """Clock ticks since this host's boot: a process number used again is another process. 0: none, or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0
    return 0 if fields[0] == "Z" else int(fields[19])


def _on(folder: Path) -> None:
    if _running(folder):
        return
    (folder / "tty").unlink(missing_ok=True)
    words = json.loads((folder / "words.json").read_text())
    with (folder / "log").open("ab") as log:
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    (folder / "pid").write_text(f"{child.pid} {_start_time(child.pid)}")


def _off(folder: Path) -> None:
    limit = Deadline(_OFF_SECONDS, "off")
    while pid := _running(folder):
        os.kill(pid, signal.SIGKILL)
        limit.check()
        time.sleep(0.02)
    (folder / "tty").unlink(missing_ok=True)


def main(action: str, folder: Path) -> int:
    if action == "state":
        return 0 if _running(folder) else 1
    {"on": _on, "off": _off}[action](folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
