"""The board file as a C header: ``python -m flexkit.boards.header boards/qemu-virt.toml > flex_board.h``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import get_args

from flexkit.boards.checks import mailbox_bytes
from flexkit.boards.load import load_file
from flexkit.boards.schema import Board, Feature
from flexkit.errors import BadInput, FlexError

_TOP = """\
/* SPDX-License-Identifier: BSD-3-Clause */
/* Generated from boards/{name}.toml by flexkit.boards.header: edit that file. */
#ifndef FLEX_BOARD_H
#define FLEX_BOARD_H

#if defined(__ASSEMBLER__) || defined(__LINKER__)
#define FLEX_BOARD_U(x) x
#else
#define FLEX_BOARD_U(x) x##ULL
#endif
"""


def render(board: Board) -> str:
    """The header's text. Addresses and sizes are unsigned 64-bit in C and bare numbers in assembler.

    BadInput for a board without a monitor: nothing of ours is compiled for it.
    """
    memory, monitor = board.memory, board.monitor
    if monitor is None or board.payload is None:
        raise BadInput(f"{board.name} has no monitor: {board.build.monitor_missing}")
    comm_base = memory.region("shared").base + monitor.mailboxes * mailbox_bytes()
    lines = [_TOP.format(name=board.name)]
    wide = [("DRAM_BASE", memory.dram_base), ("DRAM_SIZE", memory.dram_size), ("CMA_BYTES", memory.cma_bytes)]
    for region in memory.regions:
        name = region.name.upper().replace("-", "_")
        wide += [(f"{name}_BASE", region.base), (f"{name}_SIZE", region.size)]
    wide += [("COMM_BASE", comm_base), ("COMM_SIZE", board.payload.comm_bytes)]
    if board.smmu is not None:
        wide.append(("SMMU_BASE", board.smmu.base))
    if board.gic is not None and board.gic.redistributors:
        wide.append(("GICR_BASE", board.gic.redistributors))
    if board.secure_flash is not None:
        flash = board.secure_flash
        wide += [("FLASH_BASE", flash.base), ("FLASH_SIZE", flash.end - flash.base), ("FLASH_BLOCK", flash.block)]
    lines += [f"#define FLEX_BOARD_{name} FLEX_BOARD_U({value:#x})" for name, value in wide]
    plain = [
        ("GPT", int(board.backend == "gpt")),
        ("IPA_BITS", memory.ipa_bits),
        ("CORES", board.cpu.cores),
        ("COUNTER_HZ", board.cpu.counter_hz),
        ("SLOTS", monitor.slots),
        ("PIN_QUOTA", monitor.pin_quota),
        ("MAILBOXES", monitor.mailboxes),
        ("SCRUB_CHUNK", monitor.scrub_chunk),
        ("PAYLOAD_THREADS", board.payload.threads),
        ("ALWAYS_PROTECTED", int(monitor.protection == "always")),
        ("HAS_GICV3", int(board.gic is not None and board.gic.kind == "gicv3")),
    ]
    if board.smmu is not None:
        plain.append(("SMMU_STREAM_BITS", board.smmu.stream_bits))
    plain += [(f"HAS_{feature.upper()}", int(feature in board.cpu.features)) for feature in get_args(Feature)]
    lines += ["", *(f"#define FLEX_BOARD_{name} {value}" for name, value in plain), ""]
    reachable = [(each.base, each.size) for each in memory.devices]
    reachable += [(each.base, each.size) for each in memory.banks]
    devices = [f"{{ FLEX_BOARD_U({base:#x}), FLEX_BOARD_U({size:#x}) }}" for base, size in reachable]
    lines += [
        "/* MMIO of the normal world, and DRAM of which no page can be donated: base, size */",
        "#define FLEX_BOARD_DEVICES \\",
    ]
    lines += ["\t" + ", \\\n\t".join(devices), "", "#endif /* FLEX_BOARD_H */", ""]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: python -m flexkit.boards.header BOARD.toml", file=sys.stderr)
        return 2
    try:
        sys.stdout.write(render(load_file(Path(arguments[0]))))
    except FlexError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
