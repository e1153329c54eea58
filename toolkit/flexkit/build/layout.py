"""From built parts to the images that a board's media want, one function a layout of boards/*.toml.

An image that needs what nobody here can make is left out, and its reason kept: never replaced by something else.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from flexkit.boards import Board, Medium, MediumRegion, slots
from flexkit.build import fat, gpt, rootfs, tfa, uboot
from flexkit.deadline import Deadline
from flexkit.digest import sha256_of
from flexkit.errors import BuildError

BOOT_UUID = "f1e8c0de-0000-4000-8000-000000000002"
SELECT_UUID = "f1e8c0de-0000-4000-8000-000000000003"
_LABEL = "flexkit"
# For the VideoCore.
_RPI_CONFIG = ("arm_64bit=1", "enable_uart=1", "armstub=bl31.bin", "kernel=u-boot.bin", "device_tree=board.dtb")
_SECTOR = re.compile(r"^CONFIG_SYS_MMCSD_RAW_MODE_U_BOOT_SECTOR=(\w+)$", re.MULTILINE)


@dataclass(frozen=True)
class Ingredients:
    """What images are made of. ``parts``: folder of each part that was made ("loader", "payload", "kernel", "rootfs",
    "u-boot", "dtb"); ``blobs``: what the user gave of that which only the vendor has."""

    board: Board
    parts: Mapping[str, Path]
    blobs: Mapping[str, Path]
    deadline: Deadline

    def part(self, name: str, file: str) -> Path:
        return self.parts[name] / file

    def medium(self, image: str) -> Medium:
        """The medium on which an image lies."""
        return next(medium for medium in self.board.media if any(region.image == image for region in medium.regions))

    def region(self, image: str) -> MediumRegion:
        """The region of an image."""
        return next(region for region in self.medium(image).regions if region.image == image)


def make(at: Path, has: Ingredients) -> None:
    """Every image that can be made, and ``at/images.json``, which lists them."""
    files = _LAYOUTS[has.board.build.layout](at, has)
    files["rootfs"] = has.part("rootfs", "rootfs.ext4")
    files |= _tables(at, has.board)
    files |= {name: path for name, path in has.blobs.items() if name in _tools(has.board)}
    listing = {name: [str(path), sha256_of(path), path.stat().st_size] for name, path in sorted(files.items())}
    (at / "images.json").write_text(json.dumps(listing))


def _tools(board: Board) -> set[str]:
    """Blobs that are part of no image: what a flash driver sends to the board first."""
    return {blob.name for blob in board.build.blobs if not blob.images}


def missing(board: Board, blobs: Mapping[str, Path], monitor: bool) -> dict[str, str]:
    """Images that cannot be made, and why. ``monitor``: the build wants Flex-Monitor."""
    reasons: dict[str, list[str]] = {}
    for blob in board.build.blobs:
        if blob.name not in blobs:
            for image in blob.images or (blob.name,):
                of = "" if image == blob.name else f"{blob.name}: "
                reasons.setdefault(image, []).append(f"{of}{blob.source} (--source {blob.name}=PATH)")
    if monitor and board.build.monitor_missing:
        image = _FIRMWARE[board.build.layout]
        reasons.setdefault(image, []).append(f"Flex-Monitor: {board.build.monitor_missing}")
    return {image: "; ".join(texts) for image, texts in reasons.items()}


def _tables(at: Path, board: Board) -> dict[str, Path]:
    """The partition tables of all media."""
    files: dict[str, Path] = {}
    for medium in board.media:
        written: dict[str, bytes] = {}
        if medium.table == "gpt":
            written = {"gpt": gpt.primary(medium), "gpt-backup": gpt.backup(medium, medium.region("gpt-backup").size)}
        elif medium.table == "mbr":
            written = {"mbr": gpt.mbr(medium)}
        for region, data in written.items():
            image = medium.region(region).image
            if image is not None:
                files[image] = at / f"{image}.bin"
                files[image].write_bytes(data)
    return files


def _qemu_firmware(at: Path, has: Ingredients) -> dict[str, Path]:
    """BL1, and the package that it loads: BL2, BL31 and the payload."""
    first = {"tb-fw": has.part("loader", "bl2.bin"), "soc-fw": has.part("loader", "bl31.bin")}
    if "payload" in has.parts:
        first["tos-fw"] = has.part("payload", "payload.bin")
    tfa.fip(has.part("loader", "fiptool"), first, at / "fip.bin", has.deadline)
    return {"bl1": has.part("loader", "bl1.bin"), "fip": at / "fip.bin"}


def _qemu(at: Path, has: Ingredients) -> dict[str, Path]:
    """The kernel is BL33, in a package of its own."""
    kernel = {"nt-fw": has.part("kernel", "Image")}
    tfa.fip(has.part("loader", "fiptool"), kernel, at / "kernel-fip.bin", has.deadline)
    return _qemu_firmware(at, has) | {"kernel-fip": at / "kernel-fip.bin"}


def _qemu_uboot(at: Path, has: Ingredients) -> dict[str, Path]:
    """U-Boot is BL33, and loads the kernel from the disk; the device tree is the emulator's."""
    second = {"nt-fw": has.part("u-boot", "u-boot.bin")}
    tfa.fip(has.part("loader", "fiptool"), second, at / "uboot-fip.bin", has.deadline)
    files = {"uboot-fip": at / "uboot-fip.bin", "boot": _boot_files(at, has)}
    return _qemu_firmware(at, has) | files | _slot_files(at, has)


def _rockchip(at: Path, has: Ingredients) -> dict[str, Path]:
    """The boot ROM loads the DDR TPL and U-Boot's SPL from sector 64; that loads a FIT: BL31, payload, U-Boot."""
    files = {"boot": _boot_files(at, has)}
    if "loader" in has.parts:
        files["u-boot-itb"] = _fit(at, has)
    if "rkbin-ddr" in has.blobs:
        files["idbloader"] = uboot.idbloader(at, has.parts["u-boot"], has.blobs["rkbin-ddr"], has.deadline)
    return files


def _imx8m(at: Path, has: Ingredients) -> dict[str, Path]:
    """The boot ROM loads SPL with the DDR training code behind it; that loads a FIT: BL31, payload, U-Boot."""
    files = {"boot": _boot_files(at, has)}
    if "loader" in has.parts:
        files["u-boot-itb"] = _fit(at, has)
    if "firmware-imx" in has.blobs:
        files["imx-spl"] = uboot.imx_spl(at, has.parts["u-boot"], has.blobs["firmware-imx"], has.deadline)
    return files


def _rpi(at: Path, has: Ingredients) -> dict[str, Path]:
    """The boot ROM's second stage reads everything from a FAT partition: BL31 as the "ARM stub", U-Boot as kernel, the
    payload as initramfs. Linux gets the device tree that the VideoCore and BL31 have filled in: BL31 is how its cores
    are started, and only that tree says so."""
    if "loader" not in has.parts or "raspi-firmware" not in has.blobs:
        return {}
    tree = _boot_tree(at, has, tree_line=False)
    shutil.copyfile(has.part("loader", "bl31.bin"), tree / "bl31.bin")
    shutil.copyfile(has.part("u-boot", "u-boot.bin"), tree / "u-boot.bin")
    lines = [*_RPI_CONFIG, f"kernel_address={has.board.build.uboot.address:#x}" if has.board.build.uboot else ""]
    if "payload" in has.parts:
        shutil.copyfile(has.part("payload", "payload.bin"), tree / "payload.bin")
        lines.append(f"initramfs payload.bin {has.board.memory.region('payload').base:#x}")
    (tree / "config.txt").write_text("".join(f"{line}\n" for line in lines))
    for name in ("start4.elf", "fixup4.dat"):
        shutil.copyfile(has.blobs["raspi-firmware"] / name, tree / name)
    fat.build(tree, at / "boot.fat", has.region("boot-fat").size, has.deadline, at / "build.log")
    return {"boot-fat": at / "boot.fat"}


def _fit(at: Path, has: Ingredients) -> Path:
    """The FIT that SPL loads, for the sector where SPL was configured to look for it."""
    payload = has.part("payload", "payload.bin") if "payload" in has.parts else None
    found = _SECTOR.search(has.part("u-boot", "config").read_text())
    offset = has.region("u-boot-itb").offset
    if found is None or int(found[1], 0) * gpt.SECTOR != offset:
        looks = f"sector {found[1]}" if found else "no sector of a card"
        raise BuildError(f"{has.board.name}: the board file has u-boot-itb at {offset:#x}, SPL looks at {looks}")
    secure = has.board.memory.region("payload").base if payload else 0
    what = uboot.Fit(has.part("loader", "bl31.elf"), payload, secure)
    return uboot.fit(at, has.parts["u-boot"], what, has.deadline)


def _boot_tree(at: Path, has: Ingredients, *, tree_line: bool = True) -> Path:
    """The kernel, the device tree, and what U-Boot's standard boot looks for: extlinux/extlinux.conf; in a slot, what
    the script that chose it runs. Without ``tree_line`` U-Boot hands on the tree that it was given itself."""
    tree = at / "boot"
    tree.mkdir()
    shutil.copyfile(has.part("kernel", "Image"), tree / "Image")
    if slots.pair_of(has.board) is not None:
        if "dtb" in has.parts:
            shutil.copyfile(has.part("dtb", "board.dtb"), tree / "board.dtb")
        script = slots.slot_script(has.board.boot.cmdline, own_tree="dtb" in has.parts)
        (tree / "boot.scr").write_bytes(uboot.script_image(script))
        return tree
    (tree / "extlinux").mkdir()
    lines = [f"default {_LABEL}", f"label {_LABEL}", "kernel /Image", f"append {has.board.boot.cmdline}"]
    if "dtb" in has.parts:
        shutil.copyfile(has.part("dtb", "board.dtb"), tree / "board.dtb")
        lines += ["fdt /board.dtb"] if tree_line else []
    (tree / "extlinux/extlinux.conf").write_text("".join(f"{line}\n" for line in lines))
    return tree


def _boot_files(at: Path, has: Ingredients) -> Path:
    """The same as an ext4 image."""
    image, log = at / "boot.ext4", at / "build.log"
    rootfs.write_image(
        _boot_tree(at, has), image, has.region("boot").size, has.deadline, log, label="boot", uuid=BOOT_UUID
    )
    return image


def _slot_files(at: Path, has: Ingredients) -> dict[str, Path]:
    """The partition whose script chooses a slot, and the sector by which it does: slot a, good."""
    pair = slots.pair_of(has.board)
    if pair is None or has.board.uboot is None:
        return {}
    tree, image, log = at / "select", at / "select.ext4", at / "build.log"
    tree.mkdir()
    script = slots.choosing_script(pair, has.board.uboot.buffer)
    (tree / "boot.scr").write_bytes(uboot.script_image(script))
    size = has.region("select").size
    rootfs.write_image(tree, image, size, has.deadline, log, label="select", uuid=SELECT_UUID)
    (at / "slots.bin").write_bytes(slots.State().pack())
    return {"select": image, "slots": at / "slots.bin"}


_LAYOUTS: Mapping[str, Callable[[Path, Ingredients], dict[str, Path]]] = {
    "qemu": _qemu,
    "qemu-uboot": _qemu_uboot,
    "rockchip": _rockchip,
    "imx8m": _imx8m,
    "rpi": _rpi,
}
# The image in which BL31 travels.
_FIRMWARE = {"qemu": "fip", "qemu-uboot": "fip", "rockchip": "u-boot-itb", "imx8m": "u-boot-itb", "rpi": "boot-fat"}
