"""What Linux's device tree is told of the monitor, as an overlay, for boards whose boot loader loads the tree: memory
that is not Linux's own, and where the shared region is. (Under QEMU BL2 writes the same, firmware/monitor/glue.)"""

from __future__ import annotations

from dataclasses import dataclass

from flexkit.boards.schema import Board, Region


@dataclass(frozen=True)
class Cells:
    """How many words an address and a size have below a tree's root. Linux passes over reserved memory that is written
    otherwise."""

    address: int = 2
    size: int = 2

    def of(self, base: int, size: int) -> str:
        words = [base >> 32, base & 0xFFFFFFFF][-self.address :] + [size >> 32, size & 0xFFFFFFFF][-self.size :]
        return "<" + " ".join(f"{word:#x}" for word in words) + ">"


_WIDE = Cells()


def render(board: Board, cells: Cells = _WIDE) -> str:
    """The overlay's source: a reserved region for whatever DRAM the normal world may not use, and the service.
    ``cells``: the root's of the tree that it is laid over."""
    memory = board.memory
    hidden = [region for region in memory.regions if region.to in ("hidden", "secure", "shared")]
    reserved = "\n".join(_reserved(region, cells) for region in hidden)
    shared = memory.region("shared")
    disabled = "".join(f'\n&{label} {{\n\tstatus = "disabled";\n}};\n' for label in board.build.kernel.disabled)
    return f"""\
/* Generated from boards/{board.name}.toml by flexkit.boards.overlay: edit that file. */
/dts-v1/;
/plugin/;

&{{/}} {{
\treserved-memory {{
\t\t#address-cells = <{cells.address}>;
\t\t#size-cells = <{cells.size}>;
\t\tranges;
{reserved}
\t}};
\tfirmware {{
\t\tflexserve {{
\t\t\tcompatible = "flexkit,flexserve";
\t\t\tshared = {_WIDE.of(shared.base, shared.size)};
\t\t\tdram = {_WIDE.of(memory.dram_base, memory.dram_size)};
\t\t}};
\t}};
}};
{disabled}"""


def _reserved(region: Region, cells: Cells) -> str:
    place = cells.of(region.base, region.size)
    return f"\t\tflexkit-{region.name}@{region.base:x} {{\n\t\t\treg = {place};\n\t\t\tno-map;\n\t\t}};"
