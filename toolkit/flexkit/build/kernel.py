"""The board's kernel.

The stock flavour is built first, from the pristine source. The flex flavour is a copy of that built tree, patched:
kbuild then compiles only what the patches and the changed options touch, and both flavours come from the same objects.
The tree that is left behind takes out-of-tree modules.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flexkit.build import tools
from flexkit.build.sources import Source
from flexkit.build.store import copy_tree
from flexkit.deadline import Deadline
from flexkit.errors import BuildError, TimedOut
from flexkit.proc import stop

IMAGE = "arch/arm64/boot/Image"
_INNER = "./usr/src/linux-source-6.12.tar.xz"
_OTHER_ARCHITECTURES = (
    *("alpha", "arc", "csky", "hexagon", "loongarch", "m68k", "microblaze", "mips", "nios2", "openrisc", "parisc"),
    *("powerpc", "riscv", "s390", "sh", "sparc", "um", "x86", "xtensa"),
)
# Half of the source is of no use to any arm64 board without a screen; unpacking and copying it takes longer than
# compiling the rest. Kconfig files and Makefiles stay.
_LEFT_OUT = (
    *(f"*/arch/{name}/*.{kind}" for name in _OTHER_ARCHITECTURES for kind in ("[chS]", "dts", "dtsi")),
    "*/drivers/gpu/*.[ch]",
    "*/drivers/media/*.[ch]",
    "*/drivers/infiniband/*.[ch]",
    "*/drivers/staging/*.[ch]",
    "*/sound/*.[ch]",
    "*/Documentation/[a-zA-Z]*/*",
    "*/tools/perf/*",
    "*/tools/testing/*",
)
# The same on every make line, or kbuild would compile everything anew.
_WORDS = ("ARCH=arm64", f"CROSS_COMPILE={tools.CROSS}", f"CC=ccache {tools.CROSS}gcc", "HOSTCC=ccache gcc", "-s")


def unpack(source: Source, tree: Path, deadline: Deadline) -> None:
    """The kernel source into ``tree``: from Debian's package, or copied from the folder of ``--source``."""
    tree.mkdir()
    if source.path.is_dir():
        copy_tree(source.path, tree, deadline)
        return
    without = [f"--exclude={pattern}" for pattern in _LEFT_OUT]
    steps: list[list[str]] = [
        ["dpkg-deb", "--fsys-tarfile", str(source.path)],
        ["tar", "-xO", _INNER],
        ["tar", "-xJ", "--strip-components=1", "-C", str(tree), *without],
    ]
    _pipeline(steps, deadline)


def _pipeline(steps: list[list[str]], deadline: Deadline) -> None:
    """Run commands joined by pipes; BuildError if one fails."""
    running: list[subprocess.Popen[bytes]] = []
    try:
        for position, step in enumerate(steps):
            feed = running[-1].stdout if running else subprocess.DEVNULL
            sink = subprocess.PIPE if position < len(steps) - 1 else subprocess.DEVNULL
            running.append(
                subprocess.Popen(step, stdin=feed, stdout=sink, env=tools.environment(), start_new_session=True)
            )
            if running[-1].stdin is None and position:
                upstream = running[-2].stdout
                assert upstream is not None
                upstream.close()
        for process in reversed(running):
            process.wait(deadline.check())
    except subprocess.TimeoutExpired:
        raise TimedOut(f"unpacking took longer than {deadline.seconds:g} s") from None
    finally:
        for process in running:
            stop(process)
    failed = [" ".join(step[:2]) for step, process in zip(steps, running, strict=True) if process.returncode]
    if failed:
        raise BuildError(f"unpacking the kernel source failed: {', '.join(failed)}")


def lost_options(config: str, fragments: list[str]) -> list[str]:
    """Options of the fragments that are not so in the configuration (later fragments win)."""
    line = re.compile(r"^(?:(CONFIG_\w+)=(.*)|# (CONFIG_\w+) is not set)$", re.MULTILINE)

    def read(text: str) -> dict[str, str]:
        return {found[1] or found[3]: found[2] or "n" for found in line.finditer(text)}

    wanted: dict[str, str] = {}
    for fragment in fragments:
        wanted.update(read(fragment))
    has = read(config)
    return [f"{name}={value}" for name, value in sorted(wanted.items()) if has.get(name, "n") != value]


def cmdline_fragment(cmdline: str) -> str:
    """The board file's command line, built in where there is no boot loader that could pass one."""
    if not cmdline:
        return ""
    quoted = cmdline.replace("\\", "\\\\").replace('"', '\\"')
    return f'CONFIG_CMDLINE="{quoted}"\nCONFIG_CMDLINE_FORCE=y\n'


@dataclass(frozen=True)
class Kbuild:
    """One kernel build: the identity that ``uname -v`` shows, and where the compiler's cache is."""

    build_id: str
    ccache: Path
    deadline: Deadline

    def stock(self, folder: Path, source: Source, fragments: Sequence[Path], cmdline: str) -> None:
        """The stock kernel into ``folder``: ``tree`` (built), ``Image``. ``cmdline``: to be built in, or empty."""
        unpack(source, folder / "tree", self.deadline)
        boot = folder / "cmdline.config"
        boot.write_text(cmdline_fragment(cmdline))
        self._make(folder, ["tinyconfig"])
        self._configure(folder, [*fragments, boot])
        self._compile(folder)

    def flex(self, folder: Path, stock: Path, patches: Path, abi: Path) -> None:
        """The flex kernel into ``folder``, from the stock one's folder and kernel-patches/."""
        tree = folder / "tree"
        tree.mkdir()
        copy_tree(stock / "tree", tree, self.deadline)
        tools.patch(tree, list((patches / "patches").glob("*.patch")), self.deadline)
        shutil.copytree(patches / "drivers/flexserve", tree / "drivers/flexserve")
        shutil.copytree(abi / "flexkit", tree / "include/flexkit")
        self._configure(folder, [patches / "config/flex.config"])
        self._compile(folder)

    def modules(self, folder: Path, kernel: Path, sources: Path) -> None:
        """Out-of-tree modules into ``folder``: each folder of ``sources`` that has a Makefile, against ``kernel``."""
        for each in sorted(path for path in sources.iterdir() if (path / "Makefile").is_file()):
            scratch = folder / "work" / each.name
            shutil.copytree(each, scratch)
            words = [*_WORDS, f"M={scratch}", "modules"]
            tools.make(kernel / "tree", words, self.deadline, env=self._environment(), log=folder / "build.log")
            for module in scratch.glob("*.ko"):
                shutil.copyfile(module, folder / module.name)
        shutil.rmtree(folder / "work", ignore_errors=True)

    def _environment(self) -> dict[str, str]:
        """Nothing of this machine or this day gets into the image."""
        return tools.environment(
            KBUILD_BUILD_VERSION=self.build_id,
            KBUILD_BUILD_TIMESTAMP="1970-01-01",
            KBUILD_BUILD_USER="flexkit",
            KBUILD_BUILD_HOST="flexkit",
            CCACHE_DIR=str(self.ccache),
            CCACHE_NOHASHDIR="1",
            CCACHE_MAXSIZE="3G",
            CCACHE_COMPILERCHECK="content",
        )

    def _make(self, folder: Path, targets: list[str]) -> None:
        log = folder / "build.log"
        tools.make(folder / "tree", [*_WORDS, *targets], self.deadline, env=self._environment(), log=log)

    def _configure(self, folder: Path, fragments: list[Path]) -> None:
        """Merge fragments over the tree's configuration and see that every line took effect."""
        config = folder / "tree/.config"
        texts = [fragment.read_text() for fragment in fragments]
        with config.open("a") as file:
            file.write("".join(texts))
        self._make(folder, ["olddefconfig"])
        lost = lost_options(config.read_text(), texts)
        if lost:
            raise BuildError(f"this kernel does not take these options as asked: {', '.join(lost)}")

    def _compile(self, folder: Path) -> None:
        self._make(folder, ["Image", "modules"])
        shutil.copyfile(folder / "tree" / IMAGE, folder / "Image")
