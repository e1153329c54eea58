"""The board's root file system: a few Debian arm64 packages, our own files and the agent, in one ext4 image.

No root and no chroot: packages are unpacked by dpkg-deb, of their libraries only those are kept that a program asks
for, and debugfs writes the image file by file in sorted order with fixed times and owners, so that the same inputs
give the same bytes on any machine.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import stat
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from flexkit.build import elf, tools
from flexkit.build.apt import Apt, Package
from flexkit.build.sources import SUITES
from flexkit.build.store import locked
from flexkit.deadline import Deadline
from flexkit.digest import sha256_of
from flexkit.errors import BuildError
from flexkit.events import Bus
from flexkit.proc import run

OVERLAY = Path(__file__).resolve().parent / "overlay"
UUID = "f1e8c0de-0000-4000-8000-000000000001"
# What is wanted on the board; apt adds what they depend on.
PACKAGES = ("busybox-static", "dropbear-bin", "e2fsprogs", "openssh-sftp-server", "sqlite3", "sysbench", "zstd")
# Whole programs of those packages; everything else that came along is kept only if one of these needs it.
KEPT = (
    "usr/bin/busybox",
    "usr/bin/dropbearkey",
    "usr/bin/sqlite3",
    "usr/bin/sysbench",
    "usr/bin/zstd",
    "usr/lib/sftp-server",
    "usr/sbin/dropbear",
    "usr/sbin/mke2fs",
    "usr/share/sysbench",
    "etc/mke2fs.conf",
)
_LIBRARIES = ("usr/lib/aarch64-linux-gnu", "lib/aarch64-linux-gnu", "usr/lib", "lib")
_FOLDERS = (
    *("data", "dev", "etc", "identity", "mnt", "proc", "root/.ssh", "run", "sys", "tmp"),
    *("usr/bin", "usr/lib", "usr/sbin", "var"),
)
_LINKS = {
    "bin": "usr/bin",
    "lib": "usr/lib",
    "sbin": "usr/sbin",
    "var/run": "../run",
    "var/tmp": "../tmp",
    "usr/bin/sh": "busybox",
    "usr/sbin/init": "../bin/busybox",
    "root/.ssh/authorized_keys": "/identity/authorized_keys",
}


def packages(root: Path, bus: Bus, deadline: Deadline) -> list[Package]:
    """The packages of the root file system with their hashes, fetched if they are not below ``root`` yet."""
    wanted = hashlib.sha256(" ".join(PACKAGES).encode()).hexdigest()[:12]  # trees that want others share this cache
    record = root / f"sources/rootfs-{wanted}.json"
    apt = Apt(root / "apt", SUITES)
    with locked(root / "locks/apt", deadline, "apt lists"):
        if record.is_file():
            value = json.loads(record.read_text())
            found = [Package(**each) for each in value["packages"]]
            if value["wanted"] == list(PACKAGES) and all((apt.archives / each.file).is_file() for each in found):
                return found
        with bus.step("fetch packages", " ".join(PACKAGES)):
            apt.update(deadline)
            found = apt.closure(PACKAGES, deadline)
            apt.download_closure(PACKAGES, deadline)
            for each in found:
                if sha256_of(apt.archives / each.file) != each.sha256:
                    raise BuildError(f"{each.file} is not what the archive's list says")
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(json.dumps({"wanted": PACKAGES, "packages": [asdict(each) for each in found]}))
        return found


def build(
    folder: Path, archives: Sequence[Path], programs: dict[str, Path], build_id: str, size: int, deadline: Deadline
) -> None:
    """Make ``folder/rootfs.ext4`` of ``size`` bytes. ``programs``: path on the board -> executable of ours."""
    unpacked, tree = folder / "unpacked", folder / "tree"
    for archive in archives:
        run(["dpkg-deb", "-x", archive, unpacked], deadline, env=tools.environment(), error=BuildError)
    populate(tree, unpacked, programs)
    (tree / "etc/flexkit").mkdir()
    (tree / "etc/flexkit/rootfs.id").write_text(build_id + "\n")  # read by the agent
    image = folder / "rootfs.ext4"
    write_image(tree, image, size, deadline, folder / "build.log")
    shutil.rmtree(unpacked)
    shutil.rmtree(tree)


def populate(tree: Path, unpacked: Path, programs: dict[str, Path]) -> None:
    """Lay out the board's files in ``tree``."""
    for name in _FOLDERS:
        (tree / name).mkdir(parents=True, exist_ok=True)
    for name, target in _LINKS.items():
        (tree / name).symlink_to(target)
    for name in KEPT:
        _copy(unpacked, name, tree)
    for name, program in programs.items():
        shutil.copyfile(program, tree / name)
        (tree / name).chmod(0o755)
    shutil.copytree(OVERLAY, tree, dirs_exist_ok=True)
    _copy_libraries(unpacked, tree)


def _copy(unpacked: Path, name: str, tree: Path) -> None:
    """One file or folder of the packages; /usr is merged, so what a package still has in /lib goes to /usr/lib."""
    source = next((path for path in (unpacked / name, unpacked / name.removeprefix("usr/")) if path.exists()), None)
    if source is None:
        raise BuildError(f"no package brings {name}, which the board needs")
    target = tree / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    else:
        shutil.copy2(source.resolve(), target)


def _copy_libraries(unpacked: Path, tree: Path) -> None:
    """The libraries that the programs in ``tree`` ask for, and those that these ask for."""
    open_names = {name for path in _files(tree) for name in elf.needed(path)}
    target = tree / "usr/lib/aarch64-linux-gnu"
    target.mkdir(parents=True, exist_ok=True)
    seen: set[str] = set()
    while open_names:
        name = open_names.pop()
        seen.add(name)
        found = next((path for base in _LIBRARIES if (path := unpacked / base / name).exists()), None)
        if found is None:
            raise BuildError(f"no package brings the library {name}")
        shutil.copy2(found.resolve(), target / name)
        open_names |= set(elf.needed(target / name)) - seen
    # The kernel looks for the interpreter where the programs say: /lib/ld-linux-aarch64.so.1.
    loader = "ld-linux-aarch64.so.1"
    (tree / "usr/lib" / loader).symlink_to(f"aarch64-linux-gnu/{loader}")


def _files(tree: Path) -> Iterable[Path]:
    return (path for path in sorted(tree.rglob("*")) if path.is_file() and not path.is_symlink())


def write_image(
    tree: Path, image: Path, size: int, deadline: Deadline, log: Path, *, label: str = "root", uuid: str = UUID
) -> None:
    """An ext4 image of a tree: everything root's, every time the same."""
    env = tools.environment(E2FSPROGS_FAKE_TIME=tools.EPOCH, PATH="/usr/sbin:/sbin:/usr/bin:/bin")
    with image.open("wb") as file:
        file.truncate(size)
    options = f"hash_seed={uuid},lazy_itable_init=0,lazy_journal_init=0,nodiscard,root_owner=0:0"
    words = ["mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-I", "256", "-U", uuid, "-L", f"flexkit-{label}"]
    words += ["-O", "^orphan_file,^metadata_csum_seed", "-E", options]
    run([*words, image], deadline, env=env, log=log, error=BuildError)
    script = "".join(f"{line}\n" for line in image_script(tree))
    command: list[str | Path] = ["sh", "-c", 'exec debugfs -w -f /dev/stdin "$1" 2>&1', "sh", image]
    output = run(command, deadline, env=env, stdin=script.encode(), log=log)
    complaints = [line for line in output.splitlines() if not line.startswith("debugfs: ") and _is_complaint(line)]
    if complaints:
        raise BuildError(f"debugfs: {complaints[0]} (whole log: {log})")
    run(["e2fsck", "-f", "-n", image], deadline, env=env, log=log, error=BuildError)


def _is_complaint(line: str) -> bool:
    """debugfs ends with status 0 whatever happens; what it prints beside its prompt and inode numbers is an error."""
    return bool(line.strip()) and not line.startswith(("Allocated inode:", "debugfs "))


def image_script(tree: Path) -> list[str]:
    """Commands for debugfs that write a tree, sorted, with mode, owner and times set for each entry."""
    lines = ["rmdir lost+found"]
    for path in sorted(tree.rglob("*")):
        name = "/" + str(path.relative_to(tree))
        if any(character in name for character in ' "\n'):
            raise BuildError(f"the root file system has a file with a space or quote in its name: {name}")
        lines += _entry(path, name)
    return [*lines, *_inode("/", stat.S_IFDIR | 0o755)]


def _entry(path: Path, name: str) -> list[str]:
    info = path.lstat()
    if path.is_symlink():
        return [f"symlink {name} {path.readlink()}", *_inode(name, stat.S_IFLNK | 0o777)]
    if path.is_dir():
        sticky = 0o1777 if name == "/tmp" else 0o755
        return [f"mkdir {name}", *_inode(name, stat.S_IFDIR | (0o700 if name.startswith("/root") else sticky))]
    mode = stat.S_IFREG | (0o755 if info.st_mode & 0o100 or _is_script(path) else 0o644)
    return [f"write {path} {name}", *_inode(name, mode)]


def _is_script(path: Path) -> bool:
    """By content: a wheel does not keep executable bits of data files for sure."""
    with path.open("rb") as file:
        return file.read(2) == b"#!"


def _inode(name: str, mode: int) -> list[str]:
    times = [f"sif {name} {field} @{tools.EPOCH}" for field in ("atime", "ctime", "mtime", "crtime")]
    return [f"sif {name} mode 0{mode:o}", f"sif {name} uid 0", f"sif {name} gid 0", f"sif {name} generation 0", *times]
