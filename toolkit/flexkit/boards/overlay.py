"""What Linux's device tree is told of the monitor, as an overlay, for boards whose boot loader loads the tree: memory
that is not Linux's own, and where the shared region is. (Under QEMU BL2 writes the same, firmware/monitor/glue.)"""

from __future__ import annotations

from flexkit.boards.schema import Board, Region


def render(board: Board) -> str:
    """The overlay's source: a reserved region for whatever DRAM the normal world may not use, and the service."""
    memory = board.memory
    hidden = [region for region in memory.regions if region.to in ("hidden", "secure", "shared")]
    reserved = "\n".join(_reserved(region) for region in hidden)
    shared = memory.region("shared")
    disabled = "".join(f'\n&{label} {{\n\tstatus = "disabled";\n}};\n' for label in board.build.kernel.disabled)
    return f"""\
/* Generated from boards/{board.name}.toml by flexkit.boards.overlay: edit that file. */
/dts-v1/;
/plugin/;

&{{/}} {{
\treserved-memory {{
\t\t#address-cells = <2>;
\t\t#size-cells = <2>;
\t\tranges;
{reserved}
\t}};
\tfirmware {{
\t\tflexserve {{
\t\t\tcompatible = "flexkit,flexserve";
\t\t\tshared = {_cells(shared.base, shared.size)};
\t\t\tdram = {_cells(memory.dram_base, memory.dram_size)};
\t\t}};
\t}};
}};
{disabled}"""


def _reserved(region: Region) -> str:
    place = _cells(region.base, region.size)
    return f"\t\tflexkit-{region.name}@{region.base:x} {{\n\t\t\treg = {place};\n\t\t\tno-map;\n\t\t}};"


def _cells(base: int, size: int) -> str:
    """Address and size, two cells each."""
    words = (base >> 32, base & 0xFFFFFFFF, size >> 32, size & 0xFFFFFFFF)
    return "<" + " ".join(f"{word:#x}" for word in words) + ">"
