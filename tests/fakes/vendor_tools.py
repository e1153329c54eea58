"""Doubles of the packaged flash tools, as real programs: they take the real ones' arguments, print what those print,
and fail as FIELD.md has it: damage what passes, claim success, hang, lose the device, exit with 0 all the same.

``install`` puts them into a folder for the PATH. The board behind them is a folder: medium.img, memory.img, mode,
faults.json, log, and usb/, which looks like the kernel's list of USB devices.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from fake_uboot import Commands, Failed, sparse_read, sparse_write

TOOLS = ("rkdeveloptool", "fastboot", "uuu", "dfu-util", "usbsdmux")
IDS = {
    "maskrom": ("2207", "350b", "ff"),
    "loader": ("2207", "350b", "ff"),
    "mass-storage": ("2207", "0010", "08"),
    "fastboot": ("18d1", "d00d", "ff"),
    "sdp": ("1fc9", "0146", "03"),
    "dfu": ("1f3a", "efe8", "fe"),
}


@dataclass(frozen=True)
class ToolFaults:
    """Probabilities in one call."""

    seed: int = 0
    corrupt: float = 0.0
    pretend: float = 0.0  # to have written
    hang: float = 0.0
    fail: float = 0.0
    vanish: float = 0.0  # the device goes off the bus
    degrade: float = 0.0  # and comes back as mass storage


class FakeBoard:
    """The board behind the doubles, as a test sees it."""

    def __init__(self, folder: Path, mode: str, faults: ToolFaults | None = None) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "medium.img").touch()
        self.faults(faults or ToolFaults())
        self.enter(mode)

    @property
    def usb(self) -> Path:
        return self.folder / "usb"

    @property
    def medium(self) -> Path:
        return self.folder / "medium.img"

    def faults(self, faults: ToolFaults) -> None:
        (self.folder / "faults.json").write_text(json.dumps(asdict(faults)))

    def enter(self, mode: str) -> None:
        """Show on USB in this mode; empty: be off."""
        enter(self.folder, mode)

    def calls(self) -> list[str]:
        path = self.folder / "log"
        return path.read_text().splitlines() if path.exists() else []

    def install(self, folder: Path) -> Path:
        """The doubles, as programs for this board, in a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        here, toolkit = Path(__file__).resolve().parent, Path(__file__).resolve().parents[2] / "toolkit"
        for name in TOOLS:
            path = folder / name
            path.write_text(
                f"#!{sys.executable} -SE\nimport sys\nsys.path[:0] = [{str(here)!r}, {str(toolkit)!r}]\n"
                f"import vendor_tools\nsys.exit(vendor_tools.main({name!r}, sys.argv[1:], {str(self.folder)!r}))\n"
            )
            path.chmod(0o755)
        return folder


def enter(folder: Path, mode: str, port: str = "1-1.4") -> None:
    (folder / "mode").write_text(mode)
    device, interface = folder / "usb" / port, folder / "usb" / f"{port}:1.0"
    for path in (device, interface):
        path.mkdir(parents=True, exist_ok=True)
        for child in path.iterdir():
            child.unlink()
        if not mode:
            path.rmdir()
    if mode:
        vendor, product, kind = IDS[mode]
        (device / "idVendor").write_text(vendor + "\n")
        (device / "idProduct").write_text(product + "\n")
        (interface / "bInterfaceClass").write_text(kind + "\n")


class Tool:
    """One call of one tool."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        counter = folder / "counter"
        number = int(counter.read_text()) + 1 if counter.exists() else 1
        counter.write_text(str(number))
        self.faults = ToolFaults(**json.loads((folder / "faults.json").read_text()))
        self.chance = random.Random(f"{self.faults.seed}:{number}")

    @property
    def mode(self) -> str:
        return (self.folder / "mode").read_text()

    def happens(self, probability: float) -> bool:
        return self.chance.random() < probability

    def harm(self, data: bytes) -> bytes:
        if not data or not self.happens(self.faults.corrupt):
            return data
        at = self.chance.randrange(len(data))
        return data[:at] + bytes([data[at] ^ 0x20]) + data[at + 1 :]

    def trouble(self) -> int | None:
        """What may happen to a call that talks to the device; an exit status, or None: it goes on."""
        if self.mode == "mass-storage":
            time.sleep(3600)  # F2: a device that enumerated as USB-MSC never answers
        if self.happens(self.faults.hang):
            time.sleep(3600)
        if self.happens(self.faults.vanish):
            enter(self.folder, "")
        if self.happens(self.faults.degrade):
            enter(self.folder, "mass-storage")
        return 1 if self.happens(self.faults.fail) or not self.mode else None

    def get(self, offset: int, count: int) -> bytes:
        return self.harm(sparse_read(self.folder / "medium.img", offset, count))

    def put(self, offset: int, data: bytes) -> None:
        if not self.happens(self.faults.pretend):
            sparse_write(self.folder / "medium.img", offset, self.harm(data))


def main(name: str, words: list[str], folder: str) -> int:
    board = Path(folder)
    with (board / "log").open("a") as log:
        log.write(" ".join([name, *words]) + "\n")
    handler = {
        "rkdeveloptool": rkdeveloptool,
        "fastboot": fastboot,
        "uuu": uuu,
        "dfu-util": dfu_util,
        "usbsdmux": usbsdmux,
    }[name]
    return handler(Tool(board), words)


def rkdeveloptool(tool: Tool, words: list[str]) -> int:
    if words[0] == "ld":
        if tool.mode in ("maskrom", "loader"):
            print(f"DevNo=1\tVid=0x2207,Pid=0x350b,LocationID=104\t{tool.mode.capitalize()}\r")
        else:
            print("not found any devices!\r")
        return 0
    status = tool.trouble()
    if status is not None:
        print("Creating Comm Object failed!\r")
        return status
    if words[0] == "rd":
        enter(tool.folder, "maskrom")
        print("Reset Device OK.\r")
    elif words[0] == "db":
        if not Path(words[1]).is_file():
            print("Opening loader failed, exiting download boot!\r")
            return 1
        enter(tool.folder, "loader")
        print("Downloading bootloader succeeded.\r")
    elif tool.mode != "loader":
        print("The device does not support this operation!\r")
        return 1
    elif words[0] == "td":
        print("Test Device OK.\r")
    elif words[0] == "wl":
        tool.put(int(words[1]) * 512, Path(words[2]).read_bytes())
        print("Write LBA from file (100%)\r")
    elif words[0] == "rl":
        Path(words[3]).write_bytes(tool.get(int(words[1]) * 512, int(words[2]) * 512))
        print("Read LBA to file (100%)\r")
    return 0


def _uboot(tool: Tool, command: str) -> int:
    try:
        Commands(tool.folder, harm=tool.harm).run(command)
    except Failed:
        return 1
    return 0


def fastboot(tool: Tool, words: list[str]) -> int:
    if words[0] == "-s":
        words = words[2:]
    if tool.mode != "fastboot":
        time.sleep(3600)  # "< waiting for any device >"
    status = tool.trouble()
    if status is not None:
        print("FAILED (Write to device failed (No such device))", file=sys.stderr)
        return status
    if words[0] == "stage":
        sparse_write(
            tool.folder / "memory.img", int(os.environ["FAKE_BUFFER"], 16), tool.harm(Path(words[1]).read_bytes())
        )
    elif words[0] == "oem":
        assert words[1].startswith("run:")
        if tool.happens(tool.faults.pretend):
            return 0
        if _uboot(tool, " ".join(words[1:])[4:]):
            print("FAILED (remote: '')", file=sys.stderr)
            return 1
    elif words[0] == "getvar":
        path = tool.folder / f"env.fastboot.{words[1]}"
        if not path.exists():
            print(f"getvar:{words[1]} FAILED (remote: 'Variable not implemented')", file=sys.stderr)
            return 1
        print(f"{words[1]}: {path.read_text()}", file=sys.stderr)
    print("Finished. Total time: 0.001s", file=sys.stderr)
    return 0


def uuu(tool: Tool, words: list[str]) -> int:
    while words[0] in ("-m", "-v"):
        words = words[2:] if words[0] == "-m" else words[1:]
    status = tool.trouble()
    if status is not None:
        print("Error: Failed to open usb device")
        return 255
    if words[0] == "SDPS:":
        enter(tool.folder, "fastboot")
    elif tool.mode != "fastboot":
        time.sleep(3600)  # "Wait for Known USB Device Appear..."
    elif words[1] == "download":
        sparse_write(
            tool.folder / "memory.img", int(os.environ["FAKE_BUFFER"], 16), tool.harm(Path(words[3]).read_bytes())
        )
    elif words[1] == "ucmd":
        if tool.happens(tool.faults.pretend):
            return 0
        if _uboot(tool, " ".join(words[2:])):
            print("Fail (Bulk(R):LIBUSB_ERROR)")
            return 255
    elif words[1] == "getvar":
        path = tool.folder / f"env.fastboot.{words[2]}"
        print(f"1:4>Start Cmd:FB: getvar {words[2]}\n{path.read_text() if path.exists() else ''}1:4>Okay (0.002s)")
    return 0


def dfu_util(tool: Tool, words: list[str]) -> int:
    print("dfu-util 0.11")
    status = tool.trouble()
    if status is not None or tool.mode != "dfu":
        print("No DFU capable USB device available", file=sys.stderr)
        return 74
    options = dict(zip(words[::2], words[1::2], strict=False))
    if "-e" in words or "-l" in words:
        return 0
    offset, size = json.loads((tool.folder / "settings.json").read_text())[options["-a"]]
    if "-U" in options:
        Path(options["-U"]).write_bytes(tool.get(offset, size))
    else:
        tool.put(offset, Path(options["-D"]).read_bytes())
        print("Done!")
    return 0


def usbsdmux(tool: Tool, words: list[str]) -> int:
    (tool.folder / "mux").write_text(words[1])
    return 0
