"""How a board's images are made, as the board file says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from flexkit.boards.entry import entry


@dataclass(frozen=True)
class TfaRecipe:
    """Trusted Firmware-A."""

    platform: str = entry("PLAT")
    images: tuple[str, ...] = entry("targets: bl1, bl2, bl31")
    options: tuple[str, ...] = entry("further words for make", default=())


@dataclass(frozen=True)
class UBootRecipe:
    """U-Boot: Debian's package where there is one, else Debian's source."""

    package: str = entry("binary package that has it", default="")
    file: str = entry("path in that package", default="")
    defconfig: str = entry("else: configuration to build from source", default="")
    options: tuple[str, ...] = entry("lines over that configuration", default=())
    address: int = entry("where the boot ROM's second stage has to load it, where that is told one", default=0)


@dataclass(frozen=True)
class KernelRecipe:
    """Linux."""

    fragments: tuple[str, ...] = entry("configuration over flexkit.config: files below boards/", default=())
    cmdline: Literal["built in", "boot loader"] = entry("who brings boot.cmdline", default="built in")
    dtb: str = entry("upstream's device tree, below arch/arm64/boot/dts; absent: the firmware brings one", default="")
    disabled: tuple[str, ...] = entry("labels in that tree that Linux may not use beside the monitor", default=())
    dts: str = entry("a device tree of ours instead, below boards/", default="")


_AS_IT_IS = KernelRecipe()


@dataclass(frozen=True)
class Blob:
    """A piece that cannot be built here, since only its vendor has it. `--source NAME=FILE` gives it."""

    name: str = entry("what MISSING lines call it")
    images: tuple[str, ...] = entry("images that cannot be made without it")
    source: str = entry("where it comes from")


@dataclass(frozen=True)
class Build:
    """The recipe of a board's images."""

    layout: Literal["qemu", "qemu-uboot", "rockchip", "imx8m", "rpi"] = entry("how its images are put together")
    tfa: TfaRecipe = entry("Trusted Firmware-A")
    kernel: KernelRecipe = entry("Linux", default=_AS_IT_IS)
    uboot: UBootRecipe | None = entry("U-Boot, where the board has one", default=None)
    blobs: tuple[Blob, ...] = entry("what only the vendor has", key="blob", default=())
    monitor_missing: str = entry("why the flex flavour has no monitor on this board; empty where it has", default="")
