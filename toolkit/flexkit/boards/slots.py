"""A pair of slots, of which U-Boot boots one: what the sector says that chooses, and the script that reads it.

    state sector   magic, slot (0: a, 1: b), tries left; 32 bits each, little endian
    tries          GOOD: the slot came up; n: a trial that may start n times more; 0: the other slot from now on

The host switches with one try left. A slot that does not come up is left at the next start, whatever became of the
host; one that does is marked good. A sector of another magic means slot a.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from flexkit.boards.medium import Medium, MediumRegion
from flexkit.boards.schema import Board

SECTOR = 512
GOOD = 0xFFFF_FFFF
SLOTS = ("a", "b")
ARGUMENT = "flexkit.slot"
"""The kernel's argument that says which slot it came from."""
_MAGIC = 0x3153_4B46
_FORMAT = struct.Struct("<III")


@dataclass(frozen=True)
class State:
    """What the state sector says."""

    slot: str = SLOTS[0]
    tries: int = GOOD

    def pack(self) -> bytes:
        """The sector."""
        return _FORMAT.pack(_MAGIC, SLOTS.index(self.slot), self.tries).ljust(SECTOR, b"\0")


def unpack(sector: bytes) -> State:
    """The state, as U-Boot's script would take it."""
    magic, slot, tries = _FORMAT.unpack_from(sector)
    return State(SLOTS[slot == 1], tries) if magic == _MAGIC else State()


@dataclass(frozen=True)
class Pair:
    """Where a board's pair lies."""

    medium: Medium
    regions: dict[str, MediumRegion]
    state: MediumRegion


def pair_of(board: Board) -> Pair | None:
    """The board's pair of slots, None: it has none."""
    for medium in board.media:
        by_slot: dict[str, MediumRegion] = {region.slot: region for region in medium.regions if region.slot}
        if by_slot:
            return Pair(medium, {name: by_slot[name] for name in SLOTS}, by_slot["state"])
    return None


def other(slot: str) -> str:
    """The slot that is not this one."""
    return SLOTS[1 - SLOTS.index(slot)]


def choosing_script(pair: Pair, buffer: int) -> str:
    """What U-Boot runs first: it takes the slot that the state says, counts a trial, and goes to the other one when a
    trial is used up or a slot has no script. ``buffer``: memory for the sector."""
    partitions = {name: pair.medium.partitions.index(region) + 1 for name, region in pair.regions.items()}
    sector, slot, tries = pair.state.offset // SECTOR, buffer + 4, buffer + 8
    write = f"${{devtype}} write {buffer:x} {sector:x} 1"
    return f"""\
${{devtype}} dev ${{devnum}}
mw.l {buffer:x} 0
${{devtype}} read {buffer:x} {sector:x} 1
setenv fk_slot a; setenv fk_other b
if itest.l *{buffer:x} == {_MAGIC:x}; then
  if itest.l *{tries:x} == 0; then
    if itest.l *{slot:x} == 1; then mw.l {slot:x} 0; else mw.l {slot:x} 1; fi
    mw.l {tries:x} {GOOD:x}
    {write}
    echo flexkit: the slot did not come up, back to the other
  elif itest.l *{tries:x} != {GOOD:x}; then
    setexpr.l fk_tries *{tries:x} - 1
    mw.l {tries:x} ${{fk_tries}}
    {write}
  fi
  if itest.l *{slot:x} == 1; then setenv fk_slot b; setenv fk_other a; fi
fi
setenv fk_part_a {partitions["a"]:x}; setenv fk_part_b {partitions["b"]:x}
for fk_name in ${{fk_slot}} ${{fk_other}}; do
  echo flexkit: slot ${{fk_name}}
  setenv fk_slot ${{fk_name}}
  if test ${{fk_name}} = a; then setenv fk_part ${{fk_part_a}}; else setenv fk_part ${{fk_part_b}}; fi
  if load ${{devtype}} ${{devnum}}:${{fk_part}} ${{scriptaddr}} /boot.scr; then source ${{scriptaddr}}; fi
done
"""


def slot_script(cmdline: str, own_tree: bool) -> str:
    """What lies in each slot: it starts the kernel beside it. ``own_tree``: with a device tree beside it too."""
    here = "${devtype} ${devnum}:${fk_part}"
    tree = f"load {here} ${{fdt_addr_r}} /board.dtb; setenv fk_tree ${{fdt_addr_r}}\n" if own_tree else ""
    return f"""\
setenv bootargs "{cmdline} {ARGUMENT}=${{fk_slot}}"
setenv fk_tree ${{fdt_addr}}
if test -z "${{fk_tree}}"; then setenv fk_tree ${{fdtcontroladdr}}; fi
{tree}load {here} ${{kernel_addr_r}} /Image && booti ${{kernel_addr_r}} - ${{fk_tree}}
"""
