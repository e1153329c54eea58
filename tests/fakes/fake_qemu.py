"""A stand-in for qemu-system-aarch64: its monitor, its console, and behind that a real agent. What it does beside is
said by $FAKE_QEMU (see BEHAVIOURS). ``install`` puts it on a PATH."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

BEHAVIOURS = {
    "": "boots, and an agent answers",
    "silent": "never says a word",
    "dies-in-kernel": "ends while the kernel boots",
    "dies-soon": "ends a moment after the agent is ready",
    "console-vanishes": "its console goes a moment after the agent is ready, the rest runs on",
    "port-taken": "cannot have its port, ever",
    "port-taken-once": "cannot have its first port",
    "stuck-in-bl2": "says BL1 and BL2, then nothing",
}
BOOT = ("NOTICE:  BL1: v2.12.1", "NOTICE:  BL2: v2.12.1", "NOTICE:  BL31: v2.12.1")
KERNEL = ("[    0.000000] Linux version 6.12.117-flexkit", "flexkit: userspace")


def install(folder: Path, agent: Path) -> Path:
    """A folder for the head of PATH."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "qemu-system-aarch64"
    program.write_text(f'#!/bin/sh\nFAKE_AGENT={agent} exec {sys.executable} {Path(__file__).resolve()} "$@"\n')
    program.chmod(0o755)
    return folder


class Fake:
    def __init__(self, words: list[str]) -> None:
        line = " ".join(words)
        self.behaviour = os.environ.get("FAKE_QEMU", "")
        self.console_path = self._find(r"id=console,path=([^,]+)", line)
        self.qmp_path = self._find(r"unix:([^,]+)", line)
        self.port = int(self._find(r"hostfwd=tcp:127.0.0.1:(\d+)", line))
        self.agent: subprocess.Popen[bytes] | None = None

    @staticmethod
    def _find(pattern: str, line: str) -> str:
        found = re.search(pattern, line)
        assert found is not None, f"{pattern} is not in {line}"
        return found[1]

    def main(self) -> None:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        if self._port_taken():
            sys.exit(f"qemu-system-aarch64: Could not set up host forwarding rule 'tcp:127.0.0.1:{self.port}-:22'")
        console, qmp = self._listen(self.console_path), self._listen(self.qmp_path)
        try:
            self._serve_monitor_until_cont(qmp)
            self._boot(console, qmp)
        finally:
            if self.agent is not None:
                self.agent.kill()
                self.agent.wait()

    def _port_taken(self) -> bool:
        if self.behaviour != "port-taken-once":
            return self.behaviour == "port-taken"
        mark = Path(self.qmp_path).parent / "tried"
        first = not mark.exists()
        mark.touch()
        return first

    @staticmethod
    def _listen(path: str) -> socket.socket:
        server = socket.socket(socket.AF_UNIX)
        server.bind(path)
        server.listen()
        return server

    @staticmethod
    def _monitor(server: socket.socket) -> list[str]:
        """One client of the monitor, to its end; the commands it gave."""
        client, _ = server.accept()
        given = []
        with client, client.makefile("rwb") as stream:
            stream.write(b'{"QMP": {}}\n')
            stream.flush()
            for line in stream:
                given.append(json.loads(line)["execute"])
                stream.write(b'{"event": "NOISE"}\n{"return": {}}\n')
                stream.flush()
        return given

    def _serve_monitor_until_cont(self, qmp: socket.socket) -> None:
        while "cont" not in self._monitor(qmp):
            pass

    def _boot(self, console: socket.socket, qmp: socket.socket) -> None:
        cable, _ = console.accept()
        if self.behaviour == "silent":
            time.sleep(3600)
        self._say(cable, *BOOT[:2])
        if self.behaviour == "stuck-in-bl2":
            time.sleep(3600)
        self._say(cable, BOOT[2], KERNEL[0])
        if self.behaviour == "dies-in-kernel":
            sys.exit("qemu: fatal: lockup")
        self._say(cable, KERNEL[1])
        master, slave = pty.openpty()
        self.agent = subprocess.Popen([os.environ["FAKE_AGENT"], "--console", os.ttyname(slave)])
        self._pump(console, qmp, cable, master)

    @staticmethod
    def _say(cable: socket.socket, *lines: str) -> None:
        for line in lines:
            cable.sendall(f"{line}\r\n".encode())

    def _pump(self, console: socket.socket, qmp: socket.socket, cable: socket.socket | None, master: int) -> None:
        end = time.monotonic() + (1.0 if self.behaviour == "dies-soon" else 3600)
        while time.monotonic() < end:
            if self.behaviour == "console-vanishes" and time.monotonic() > end - 3599 and cable is not None:
                cable.close()
                cable = None
            ready, _, _ = select.select([console, qmp, master, *([cable] if cable else [])], [], [], 0.2)
            if qmp in ready:
                self._monitor(qmp)
            if console in ready:
                cable, _ = console.accept()
            if master in ready:
                data = os.read(master, 65536)
                if cable is not None:
                    cable.sendall(data)
            if cable is not None and cable in ready:
                data = cable.recv(65536)
                if data:
                    os.write(master, data)
                else:
                    cable = None


if __name__ == "__main__":
    Fake(sys.argv[1:]).main()
