"""A board's device tree: upstream's or ours, with what Linux is told of the monitor laid over it."""

from __future__ import annotations

from pathlib import Path

from flexkit.boards import Board, overlay
from flexkit.build import tools
from flexkit.deadline import Deadline
from flexkit.errors import BuildError
from flexkit.proc import run

SOURCES = "arch/arm64/boot/dts"


def build(folder: Path, tree: Path, source: Path, board: Board | None, deadline: Deadline) -> None:
    """``folder/board.dtb`` from a source that may include what lies in the kernel's ``tree``, with the overlay of
    ``board`` laid over it; None: as it is."""
    base, merged = folder / "base.dtb", folder / "board.dtb"
    compile_source(source, tree, base, deadline)
    if board is None:
        base.rename(merged)
        return
    text, blob = folder / "overlay.dtso", folder / "overlay.dtbo"
    address, size = (_root_cells(base, name, deadline) for name in ("#address-cells", "#size-cells"))
    text.write_text(overlay.render(board, overlay.Cells(address, size)))
    run(["dtc", "-q", "-I", "dts", "-O", "dtb", "-o", blob, text], deadline, env=tools.environment(), error=BuildError)
    words: list[str | Path] = ["fdtoverlay", "-i", base, "-o", merged, blob]
    run(words, deadline, env=tools.environment(), error=BuildError)


def _root_cells(blob: Path, name: str, deadline: Deadline) -> int:
    words: list[str | Path] = ["fdtget", blob, "/", name]
    return int(run(words, deadline, env=tools.environment(), error=BuildError))


def compile_source(source: Path, tree: Path, target: Path, deadline: Deadline) -> None:
    """What kbuild does with a device tree, without writing into its tree."""
    flat = target.with_suffix(".dts")
    include = [
        f"-I{tree / SOURCES / source.parent.name}",
        f"-I{tree / SOURCES}",
        f"-I{tree / 'scripts/dtc/include-prefixes'}",
    ]
    words = [f"{tools.CROSS}cpp", "-nostdinc", *include, "-undef", "-D__DTS__", "-x", "assembler-with-cpp"]
    run([*words, source, "-o", flat], deadline, env=tools.environment(), error=BuildError)
    run(
        ["dtc", "-q", "-@", "-I", "dts", "-O", "dtb", "-o", target, flat],
        deadline,
        env=tools.environment(),
        error=BuildError,
    )
