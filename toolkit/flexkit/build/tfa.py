"""TF-A: BL1, BL2 and BL31. The flex flavour carries the monitor and the payload's dispatcher in BL31."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from flexkit.boards import Board
from flexkit.build import tools
from flexkit.build.sources import Source
from flexkit.build.store import copy_tree
from flexkit.deadline import Deadline
from flexkit.errors import BuildError
from flexkit.proc import run

# Of both flavours: BL33 from a FIP of its own, so that they lie on the medium alike; RME without a realm world.
_STOCK_PATCHES = ("0001-*.patch", "0009-*.patch")


@dataclass(frozen=True)
class Monitor:
    """What the flex flavour adds to TF-A. ``firmware``: laid out as firmware/; ``header``: where flex_board.h is."""

    firmware: Path
    header: Path
    build_id: str
    debug: bool


def build(
    folder: Path, source: Source, board: Board, patches: Path, monitor: Monitor | None, deadline: Deadline
) -> None:
    """Make the boot loaders and fiptool into ``folder``. ``patches`` is firmware/tf-a."""
    tree, log, out = folder / "tf-a", folder / "build.log", folder / "out"
    unpack(source, tree, deadline)
    patterns = ("*.patch",) if monitor else _STOCK_PATCHES
    tools.patch(tree, [each for pattern in patterns for each in (patches / "patches").glob(pattern)], deadline)
    words = [*_words(board), f"BUILD_BASE={out}", *(_monitor_words(board, monitor) if monitor else [])]
    recipe = board.build.tfa
    tools.make(tree, [*words, *recipe.images, "fiptool"], deadline, log=log)
    made = out / recipe.platform / "release"
    for name in recipe.images:
        if (made / f"{name}.bin").is_file():  # rk3588 makes no flat image: its BL31 lies in pieces
            shutil.copyfile(made / f"{name}.bin", folder / f"{name}.bin")
    shutil.copyfile(made / "bl31/bl31.elf", folder / "bl31.elf")
    shutil.copy2(tree / "tools/fiptool/fiptool", folder / "fiptool")
    shutil.rmtree(tree)
    shutil.rmtree(out)


def unpack(source: Source, tree: Path, deadline: Deadline) -> None:
    """TF-A's source into ``tree``."""
    tree.mkdir()
    if source.path.is_dir():
        copy_tree(source.path, tree, deadline)
        return
    run(["tar", "-xf", source.path, "--strip-components=1", "-C", tree], deadline, error=BuildError)


def _words(board: Board) -> list[str]:
    """Common to both flavours. Nothing of the machine or the day gets into the binaries."""
    return [
        f"CROSS_COMPILE={tools.CROSS}",
        f"PLAT={board.build.tfa.platform}",
        *board.build.tfa.options,
        *_second_package(board),
        "ENABLE_SVE_FOR_NS=0",
        "ENABLE_SME_FOR_NS=0",
        "BUILD_STRING=flexkit",
        'BUILD_MESSAGE_TIMESTAMP="\\"reproducible\\""',
    ]


def _second_package(board: Board) -> list[str]:
    """Where QEMU's BL2 finds the package that holds BL33 alone: the kernel's, or U-Boot's."""
    regions = [region for medium in board.media for region in medium.regions]
    return [f"QEMU_BL33_FIP_BASE={each.offset:#x}" for each in regions if each.image in ("kernel-fip", "uboot-fip")]


def _monitor_words(board: Board, monitor: Monitor) -> list[str]:
    return [
        "SPD=flexd",
        f"FLEXKIT_BACKEND={board.backend}",
        "INIT_UNUSED_NS_EL2=1",
        f"FLEXKIT_DIR={monitor.firmware}",
        f"FLEXKIT_BOARD_H={monitor.header}",
        f"FLEX_BUILD_ID_HEX={monitor.build_id}",
        *(["FLEX_DEBUG=1"] if monitor.debug else []),
    ]


def fip(tool: Path, images: dict[str, Path], target: Path, deadline: Deadline) -> None:
    """Pack images into a FIP: fiptool's option name ("tb-fw") -> file."""
    words = [word for name, path in images.items() for word in (f"--{name}", str(path))]
    run([tool, "create", *words, target], deadline, error=BuildError)
