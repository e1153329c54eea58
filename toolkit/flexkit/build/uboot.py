"""U-Boot: Debian's package for it, or built from Debian's source; and the images that boot ROMs and its SPL load."""

from __future__ import annotations

import shutil
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from flexkit.boards.recipe import UBootRecipe
from flexkit.build import elf, tools
from flexkit.build.sources import Source
from flexkit.build.store import copy_tree
from flexkit.deadline import Deadline
from flexkit.errors import BadInput, BuildError
from flexkit.proc import run

# What is made from source. Not "all": that would call binman, which wants the vendor's pieces.
_TARGETS = ("u-boot-nodtb.bin", "u-boot.dtb", "spl/u-boot-spl.bin", "tools")
# Debian's own, with Debian's libfdt: U-Boot would otherwise build a Python module of its own, with swig.
_HOST_TOOLS = ("DTC=/usr/bin/dtc", "PYTHON3=/usr/bin/python3")
_MKIMAGE = "tools/mkimage"
_NO_CAPSULES = "# CONFIG_TOOLS_MKEFICAPSULE is not set"
# External data of a FIT begins on a sector, so that SPL reads whole ones.
_ALIGN = 512
# NXP's DDR training code, in the order in which SPL looks for it behind itself, and the room that it gives each.
IMX_TRAINING = {
    f"lpddr4_pmu_train_{stage}_{kind}_202006.bin": room
    for stage in ("1d", "2d")
    for kind, room in (("imem", 32 << 10), ("dmem", 16 << 10))
}
_LEGACY_MAGIC = 0x2705_1956
_SCRIPT_KIND = (5, 22, 6, 0)  # Linux, arm64, script, not compressed


def packaged(folder: Path, source: Source, recipe: UBootRecipe, deadline: Deadline) -> None:
    """``folder/u-boot.bin`` out of a Debian package."""
    unpacked = folder / "unpacked"
    run(["dpkg-deb", "-x", source.path, unpacked], deadline, env=tools.environment(), error=BuildError)
    if not (unpacked / recipe.file).is_file():
        raise BuildError(f"{source.path.name} has no {recipe.file}")
    shutil.copyfile(unpacked / recipe.file, folder / "u-boot.bin")
    shutil.rmtree(unpacked)


def build(folder: Path, source: Source, recipe: UBootRecipe, deadline: Deadline) -> None:
    """U-Boot, its SPL, its device tree and mkimage into ``folder``."""
    tree, out, log = folder / "source", folder / "out", folder / "build.log"
    tree.mkdir()
    if source.path.is_dir():
        copy_tree(source.path, tree, deadline)
    else:
        run(["tar", "-xf", source.path, "--strip-components=1", "-C", tree], deadline, error=BuildError)
    words = [f"CROSS_COMPILE={tools.CROSS}", f"O={out}", *_HOST_TOOLS, "-s"]
    tools.make(tree, [*words, recipe.defconfig], deadline, log=log)
    with (out / ".config").open("a") as config:
        config.write("".join(f"{line}\n" for line in (_NO_CAPSULES, *recipe.options)))
    tools.make(tree, [*words, "olddefconfig"], deadline, log=log)
    tools.make(tree, [*words, *_TARGETS], deadline, log=log)
    for name in (*_TARGETS[:-1], _MKIMAGE):
        if (out / name).is_file():
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copy2(out / name, folder / name)
    shutil.copyfile(out / ".config", folder / "config")
    shutil.rmtree(tree)
    shutil.rmtree(out)


def _option(folder: Path, name: str) -> str:
    """The value of an option of the configuration that was built."""
    for line in (folder / "config").read_text().splitlines():
        key, _, value = line.partition("=")
        if key == f"CONFIG_{name}":
            return value.strip('"')
    raise BuildError(f"U-Boot was configured without CONFIG_{name}")


@dataclass(frozen=True)
class Fit:
    """What SPL is to load beside U-Boot: BL31 as an ELF file (one image a segment), and the payload at its address."""

    bl31: Path
    payload: Path | None
    payload_address: int


def fit(at: Path, folder: Path, what: Fit, deadline: Deadline) -> Path:
    """``at/u-boot.itb``: the FIT that U-Boot's SPL loads."""
    (at / "fit").mkdir()
    text = fit_source(at / "fit", folder, what)
    script, image = at / "fit/u-boot.its", at / "u-boot.itb"
    script.write_text(text)
    words: list[str | Path] = [folder / _MKIMAGE, "-f", script, "-E", "-B", f"{_ALIGN:#x}", image]
    run(words, deadline, env=tools.environment(), cwd=at / "fit", error=BuildError, log=at / "build.log")
    return image


def fit_source(at: Path, folder: Path, what: Fit) -> str:
    """The description that mkimage reads; BL31's segments are written to ``at``."""
    address = int(_option(folder, "TEXT_BASE"), 16)
    nodes = [_node("u-boot", folder / "u-boot-nodtb.bin", "standalone", "U-Boot", address)]
    segments = elf.segments(what.bl31)
    entry = elf.entry(what.bl31)
    names = []
    for number, (load, data) in enumerate(segments, 1):
        (at / f"atf-{number}.bin").write_bytes(data)
        first = f"entry = <{entry:#x}>;" if number == 1 else ""
        names.append(f"atf-{number}")
        nodes.append(_node(names[-1], at / f"atf-{number}.bin", "firmware", "arm-trusted-firmware", load, first))
    if what.payload is not None:
        nodes.append(_node("tee", what.payload, "tee", "tee", what.payload_address))
        names.append("tee")
    loadables = ", ".join(f'"{name}"' for name in ["u-boot", *names[1:]])
    nodes.append(
        f'fdt-1 {{ data = /incbin/("{folder / "u-boot.dtb"}"); type = "flat_dt"; compression = "none"; '
        'hash { algo = "sha256"; }; };'
    )
    images = "\n".join(f"\t\t{node}" for node in nodes)
    return (
        '/dts-v1/;\n/ {\n\tdescription = "FlexKit"; #address-cells = <1>;\n\timages {\n'
        f'{images}\n\t}};\n\tconfigurations {{\n\t\tdefault = "config-1";\n\t\tconfig-1 {{ '
        f'firmware = "atf-1"; loadables = {loadables}; fdt = "fdt-1"; }};\n\t}};\n}};\n'
    )


def _node(name: str, file: Path, kind: str, system: str, load: int, more: str = "") -> str:
    return (
        f'{name} {{ data = /incbin/("{file}"); type = "{kind}"; os = "{system}"; arch = "arm64"; compression = "none"; '
        f'load = <{load:#x}>; {more} hash {{ algo = "sha256"; }}; }};'
    )


def idbloader(at: Path, folder: Path, ddr: Path, deadline: Deadline) -> Path:
    """``at/idbloader.img``: what the boot ROM of an RK3588 loads. ``ddr``: Rockchip's DDR initialisation (TPL)."""
    if not ddr.is_file():
        raise BadInput(f"{ddr} is not a file: it should be Rockchip's rk3588_ddr_*.bin")
    image = at / "idbloader.img"
    data = f"{ddr}:{folder / 'spl/u-boot-spl.bin'}"
    words: list[str | Path] = [folder / _MKIMAGE, "-n", "rk3588", "-T", "rksd", "-d", data, image]
    run(words, deadline, env=tools.environment(), error=BuildError, log=at / "build.log")
    return image


def imx_spl(at: Path, folder: Path, training: Path, deadline: Deadline) -> Path:
    """``at/imx-spl.bin``: SPL, NXP's DDR training code behind it, and the header that the boot ROM wants."""
    pieces = [folder / "spl/u-boot-spl.bin", *(training / name for name in IMX_TRAINING)]
    absent = [path.name for path in pieces if not path.is_file()]
    if absent:
        raise BadInput(
            f"{training} has no {', '.join(absent)}: it should be firmware/ddr/synopsys of NXP's firmware-imx"
        )
    for path, room in zip(pieces[1:], IMX_TRAINING.values(), strict=True):
        if path.stat().st_size > room:
            raise BadInput(f"{path.name} has {path.stat().st_size} bytes; SPL gives it {room}")
    joined, script, image = at / "u-boot-spl-ddr.bin", at / "imx-spl.cfg", at / "imx-spl.bin"
    rooms = [4, *IMX_TRAINING.values()]
    joined.write_bytes(b"".join(_padded(path.read_bytes(), room) for path, room in zip(pieces, rooms, strict=True)))
    address = _option(folder, "SPL_TEXT_BASE")
    script.write_text(f"ROM_VERSION v2\nBOOT_FROM sd\nLOADER {joined.name} {address}\n")
    words: list[str | Path] = [folder / _MKIMAGE, "-n", script, "-T", "imx8mimage"]
    run(
        [*words, "-e", address, "-d", joined, image],
        deadline,
        env=tools.environment(),
        cwd=at,
        error=BuildError,
        log=at / "build.log",
    )
    return image


def script_image(text: str) -> bytes:
    """A script as U-Boot's ``source`` wants it: a legacy image with one piece, and no time in it."""
    data = text.encode()
    body = struct.pack(">II", len(data), 0) + data
    fields = (len(body), 0, 0, zlib.crc32(body), *_SCRIPT_KIND, b"flexkit")
    header = struct.pack(">IIIIIIIBBBB32s", _LEGACY_MAGIC, 0, 0, *fields)
    return header[:4] + struct.pack(">I", zlib.crc32(header)) + header[8:] + body


def _padded(data: bytes, multiple: int) -> bytes:
    return data + bytes(-len(data) % multiple)
