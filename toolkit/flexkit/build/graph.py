"""The build graph: which part is made of what. A part whose inputs have not changed is not made again.

    sources -> kernel-stock -> kernel -> modules
    sources -> monitor (TF-A with the monitor), payload (with Mbed TLS) -> images -> manifest
    engine -> agent -> rootfs

A part's identity is the hash of its inputs: sources, our own files, the board file's values that reach it, compiler,
profile and the recipe (the module here that makes it). The build identity is the hash of the parts' identities.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from flexkit import paths
from flexkit.boards import Board, header, overlay, slots
from flexkit.build import dtb, kernel, layout, mbedtls, rootfs, sources, tfa, tools, uboot
from flexkit.build.apt import Package
from flexkit.build.manifest import Flavour, Image, Manifest, Profile
from flexkit.build.sources import Source
from flexkit.build.store import Store, identity, leftover, need_space, project_copy, tree_hash
from flexkit.deadline import Deadline
from flexkit.errors import BadInput, BuildError
from flexkit.events import Bus

_GB = 1_000_000_000
# Folders of a part that are kept however old they are; kernels are large.
_KEEP = {"kernel-stock": 2, "kernel": 3}
_KEEP_SMALL = 8
# Parts that go into images, some under the name of what they do there.
_INGREDIENTS = {"monitor": "loader", "tf-a": "loader"}
_IN_IMAGES = ("monitor", "tf-a", "payload", "kernel", "rootfs", "u-boot", "dtb")


def parts_of(board: Board, flavour: Flavour) -> tuple[str, ...]:
    """The parts that a board has in a flavour. Without a monitor of ours the flex flavour has no firmware at all:
    never the stock one in its place."""
    names = ["agent", "rootfs", "kernel"]
    if flavour == "stock":
        names = ["tf-a", *names]
    elif board.backend != "none":
        names = ["monitor", "payload", *names, "modules"]
    if board.build.kernel.dtb or board.build.kernel.dts:
        names.append("dtb")
    return (*names, "u-boot") if board.build.uboot else tuple(names)


@dataclass(frozen=True)
class Node:
    """A part to be made: its inputs by name, what makes it, and the room that takes."""

    name: str
    inputs: Mapping[str, str]
    make: Callable[[Path], None]
    space: int = _GB // 10

    @property
    def key(self) -> str:
        return identity(self.inputs)


@dataclass
class Graph:
    """One build. Nodes are methods; what they hash is hashed once."""

    board: Board
    flavour: Flavour
    profile: Profile
    bus: Bus
    deadline: Deadline
    overrides: Mapping[str, Path] = field(default_factory=dict)

    @cached_property
    def store(self) -> Store:
        return Store(paths.cache())

    @cached_property
    def project(self) -> Path:
        return paths.project()

    @property
    def debug(self) -> bool:
        return self.profile == "debug"

    # ---- inputs ----------------------------------------------------------------------------------------------------

    def source(self, name: str) -> Source:
        if name not in self._sources:
            folder = self.overrides.get(name)
            found = sources.override(name, folder) if folder else self._obtain(name)
            self._sources[name] = found
        return self._sources[name]

    @cached_property
    def _sources(self) -> dict[str, Source]:
        return {}

    def _obtain(self, name: str) -> Source:
        return sources.obtain(name, self.store.root, self.bus, self.deadline)

    @cached_property
    def packages(self) -> list[Package]:
        return rootfs.packages(self.store.root, self.bus, self.deadline)

    @cached_property
    def compiler(self) -> str:
        return tools.compiler(tools.CROSS, self.deadline)

    @cached_property
    def board_header(self) -> str:
        return header.render(self.board)

    def _firmware(self, *names: str) -> dict[str, Path]:
        """Folders of the project, by their relative names."""
        return {f"firmware/{name}": self.project / "firmware" / name for name in names}

    @cached_property
    def _hashes(self) -> dict[Path, str]:
        return {}

    def _hash(self, path: Path) -> str:
        """Of a file or folder of ours, as it was when this graph first asked: one build, one view of the sources."""
        if path not in self._hashes:
            self._hashes[path] = tree_hash([path], skip=leftover)
        return self._hashes[path]

    def _inputs(self, recipe: str, folders: Mapping[str, Path], **more: str) -> dict[str, str]:
        """Inputs that every compiled part has: recipe, compiler, profile, our own folders."""
        here = Path(__file__).resolve().parent
        hashes = {name: self._hash(folder) for name, folder in folders.items()}
        recipes = self._hash(here / f"{recipe}.py") + self._hash(here / "tools.py")
        return {"recipe": recipes, "compiler": self.compiler, "profile": self.profile, **hashes, **more}

    # ---- nodes -----------------------------------------------------------------------------------------------------

    def kernel_stock(self) -> Node:
        linux, recipe = self.source("linux"), self.board.build.kernel
        cmdline = self.board.boot.cmdline if recipe.cmdline == "built in" else ""
        fragments = {"config": self.project / "kernel-patches/config/flexkit.config"}
        fragments |= {f"boards/{name}": self.project / "boards" / name for name in recipe.fragments}
        inputs = self._inputs("kernel", fragments, linux=linux.sha256, cmdline=cmdline)
        del inputs["profile"]  # the kernel is the same in both
        build = kernel.Kbuild(identity(inputs), self._ccache, self.deadline)
        return Node("kernel-stock", inputs, lambda at: build.stock(at, linux, [*fragments.values()], cmdline), 2 * _GB)

    def kernel_flex(self) -> Node:
        stock = self.kernel_stock()
        folders = {"kernel-patches": self.project / "kernel-patches", **self._firmware("abi")}
        inputs = self._inputs("kernel", folders, stock=stock.key)
        del inputs["profile"]
        kbuild = kernel.Kbuild(identity(inputs), self._ccache, self.deadline)

        def build(at: Path) -> None:
            here = self._snapshot(at, folders, inputs)
            kbuild.flex(at, self.get(stock), here / "kernel-patches", here / "firmware/abi")

        return Node("kernel", inputs, build, 2 * _GB)

    def kernel(self) -> Node:
        return self.kernel_flex() if self.flavour == "flex" else self.kernel_stock()

    def modules(self) -> Node:
        base, folders = self.kernel(), {"modules": self.project / "tests/system/modules"}
        inputs = self._inputs("kernel", folders, kernel=base.key)
        kbuild = kernel.Kbuild(base.key, self._ccache, self.deadline)

        def build(at: Path) -> None:
            kbuild.modules(at, self.get(base), self._snapshot(at, folders, inputs) / "modules")

        return Node("modules", inputs, build)

    def tf_a(self) -> Node:
        """Stock TF-A."""
        patches, source = self.project / "firmware/tf-a", self.source("tf-a")
        inputs = self._inputs("tfa", {"patches": patches}, source=source.sha256, board=self._board_hash())
        return Node(
            "tf-a", inputs, lambda at: tfa.build(at, source, self.board, patches, None, self.deadline), _GB // 2
        )

    def monitor(self) -> Node:
        """TF-A with the monitor and the payload's dispatcher."""
        folders, source = self._firmware("abi", "monitor", "tf-a"), self.source("tf-a")
        inputs = self._inputs("tfa", folders, source=source.sha256, board=self._board_hash())

        def build(at: Path) -> None:
            firmware = self._firmware_at(at, folders, inputs)
            monitor = tfa.Monitor(firmware, at, identity(inputs), self.debug)
            tfa.build(at, source, self.board, firmware / "tf-a", monitor, self.deadline)

        return Node("monitor", inputs, build, _GB // 2)

    def payload(self) -> Node:
        folders, library = self._firmware("abi", "payload"), self.source("mbedtls")
        inputs = self._inputs("graph", folders, board=self._board_hash(), mbedtls=library.sha256)

        def build(at: Path) -> None:
            firmware = self._firmware_at(at, folders, inputs)
            words = [f"O={at}", f"FLEX_BUILD_ID_HEX={identity(inputs)}", f"FLEXKIT_BOARD_H={at}"]
            tree = mbedtls.tree(library, self.store, self.deadline)
            self._make(at, firmware / "payload", [*words, f"MBEDTLS={tree}"])

        return Node("payload", inputs, build)

    def agent(self) -> Node:
        folders = self._firmware("abi", "agent", "payload/engine")
        inputs = self._inputs("graph", folders)

        def build(at: Path) -> None:
            firmware = self._firmware_at(at, folders, inputs)
            self._make(at, firmware / "agent", [f"BUILD={at}", f"FLEX_BUILD_ID={identity(inputs)}"])

        return Node("agent", inputs, build)

    def rootfs(self) -> Node:
        agent, size = self.agent(), self._region_size("rootfs")
        packages = identity({each.file: each.sha256 for each in self.packages})
        overlay = self._hash(rootfs.OVERLAY)
        inputs = self._inputs("rootfs", {}, packages=packages, agent=agent.key, overlay=overlay, size=str(size))
        archives = [self.store.root / "apt/cache/archives" / each.file for each in self.packages]

        def build(at: Path) -> None:
            made = self.get(agent)
            programs = {"usr/bin/flexagent": made / "flexagent", "usr/bin/flxrun": made / "engine/flxrun"}
            rootfs.build(at, archives, programs, identity(inputs), size, self.deadline)

        return Node("rootfs", inputs, build)

    def u_boot(self) -> Node:
        recipe = self.board.build.uboot
        if recipe is None:
            raise BadInput(f"{self.board.name} has no U-Boot")
        source = self.source(recipe.package or "u-boot")
        inputs = self._inputs("uboot", {}, source=source.sha256, uboot=repr(recipe))
        del inputs["profile"]
        make = uboot.packaged if recipe.package else uboot.build
        return Node("u-boot", inputs, lambda at: make(at, source, recipe, self.deadline), _GB)

    def dtb(self) -> Node:
        """The device tree that the boot loader hands to Linux."""
        recipe, stock = self.board.build.kernel, self.kernel_stock()
        ours = self.project / "boards" / recipe.dts if recipe.dts else None
        ours_too = self.board if self.flavour == "flex" and self.board.monitor else None
        laid_over = overlay.render(self.board) if ours_too else ""
        inputs = self._inputs("dtb", {"dts": ours} if ours else {}, linux=stock.key, dtb=recipe.dtb, overlay=laid_over)
        del inputs["profile"]

        def build(at: Path) -> None:
            tree = self.get(stock) / "tree"
            source = ours or (tree / dtb.SOURCES / recipe.dtb).with_suffix(".dts")
            dtb.build(at, tree, source, ours_too, self.deadline)

        return Node("dtb", inputs, build)

    def images(self) -> Node:
        """FIPs, FITs, partition tables, boot file systems, and a list of what goes onto the media, with hashes."""
        nodes = {_INGREDIENTS.get(name, name): self._node(name) for name in self.parts if name in _IN_IMAGES}
        blobs = self._blobs()
        inputs = {name: node.key for name, node in nodes.items()}
        inputs |= {f"blob {name}": tree_hash([path]) for name, path in blobs.items()}
        inputs |= {"board": self._board_hash(), "cmdline": self.board.boot.cmdline, "recipe": self._layout_hash()}

        def build(at: Path) -> None:
            parts = {name: self.get(node) for name, node in nodes.items()}
            layout.make(at, layout.Ingredients(self.board, parts, blobs, self.deadline))

        return Node("images", inputs, build)

    def _check_overrides(self) -> None:
        """What the user gave is something that this board is made of."""
        known = [*sources.UPSTREAMS, *(blob.name for blob in self.board.build.blobs)]
        for name in self.overrides:
            if name not in known:
                raise BadInput(
                    f"--source {name}: {self.board.name} is made without it", mend=f"known: {', '.join(known)}"
                )

    def _blobs(self) -> dict[str, Path]:
        """What the user gave of that which only the vendor has (``--source NAME=PATH``)."""
        names = [blob.name for blob in self.board.build.blobs]
        return {name: path for name, path in self.overrides.items() if name in names}

    def _layout_hash(self) -> str:
        here = Path(__file__).resolve().parent
        files = [here / f"{name}.py" for name in ("layout", "gpt", "fat", "uboot", "rootfs")]
        return "".join(self._hash(file) for file in (*files, Path(slots.__file__)))

    @cached_property
    def parts(self) -> tuple[str, ...]:
        return parts_of(self.board, self.flavour)

    # ---- making ----------------------------------------------------------------------------------------------------

    def get(self, node: Node) -> Path:
        """The folder of a part, made if it is not in the store."""
        if self.store.has(node.name, node.key):
            return self.store.get(node.name, node.key, node.make, self.deadline)
        with self.bus.step(f"build {node.name}", node.key):
            folder = self.store.get(node.name, node.key, node.make, self.deadline)
        self.store.retire(node.name, _KEEP.get(node.name, _KEEP_SMALL))
        return folder

    def manifest(self, parts: Sequence[str] = ()) -> Manifest:
        """Make parts (all of them if none is named, and then the images) and say what there is."""
        self._check_overrides()
        known = self.parts
        for name in parts:
            if name not in known:
                raise BadInput(f"the {self.flavour} flavour has no part {name!r}", mend=f"parts: {', '.join(known)}")
        nodes = {name: self._node(name) for name in parts or known}
        self._need_space(nodes)
        outputs = {name: self.get(node) for name, node in nodes.items()}
        identities = {name: node.key for name, node in nodes.items() if name != "modules"}
        images = {} if parts else self._images(self.get(self.images()))
        return Manifest(
            identity=identity(identities),
            board=self.board.name,
            flavour=self.flavour,
            profile=self.profile,
            parts=identities,
            images=images,
            outputs=outputs,
            sources={name: source.describe() for name, source in self._sources.items()},
            packages=[{"name": p.name, "version": p.version, "sha256": p.sha256} for p in self.packages]
            if images
            else [],
            toolchain={"cross": self.compiler},
            missing=layout.missing(self.board, self._blobs(), self.flavour == "flex"),
        )

    def _need_space(self, nodes: Mapping[str, Node]) -> None:
        """Refuse before the first of several parts is begun, not after half of them."""
        wanted = list(nodes.values())
        if "kernel" in nodes and self.flavour == "flex":
            wanted.append(self.kernel_stock())
        missing = [node for node in wanted if not self.store.has(node.name, node.key)]
        if missing:
            need_space(self.store.root, sum(node.space for node in missing), "this build")

    def _node(self, name: str) -> Node:
        node: Node = getattr(self, name.replace("-", "_"))()
        return node

    @staticmethod
    def _images(folder: Path) -> dict[str, Image]:
        listing = json.loads((folder / "images.json").read_text())
        return {name: Image(Path(path), sha256, size) for name, (path, sha256, size) in listing.items()}

    # ---- helpers ---------------------------------------------------------------------------------------------------

    @cached_property
    def _ccache(self) -> Path:
        """The compiler's cache: no input of anything. Depend mode saves a cold build preprocessing each file twice."""
        folder = self.store.root / "ccache"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "ccache.conf").write_text("depend_mode = true\n")
        return folder

    def _board_hash(self) -> str:
        """Of what firmware and images take from the board file; its timeouts and titles are not among that."""
        media = repr([(each.name, each.size, each.table, each.regions) for each in self.board.media])
        ours = self.board_header if self.board.monitor else ""
        return identity({"header": ours, "media": media, "build": repr(self.board.build)})

    def _region_size(self, image: str) -> int:
        for medium in self.board.media:
            for region in medium.regions:
                if region.image == image:
                    return region.size
        raise BadInput(f"the board {self.board.name} has no region for the image {image!r}")

    def _snapshot(self, at: Path, folders: Mapping[str, Path], inputs: Mapping[str, str]) -> Path:
        """Our sources copied beside what is made of them, so that editing them meanwhile does no harm.

        BuildError if they are no longer what the identity was computed from.
        """
        project_copy(folders, at / "src")
        for name in folders:
            if tree_hash([at / "src" / name], skip=leftover) != inputs[name]:
                raise BuildError(f"{name} was changed while it was about to be built", mend="build it again")
        return at / "src"

    def _firmware_at(self, at: Path, folders: Mapping[str, Path], inputs: Mapping[str, str]) -> Path:
        """A snapshot with the board's header beside it; returns the firmware/ in there."""
        (at / "flex_board.h").write_text(self.board_header)
        return self._snapshot(at, folders, inputs) / "firmware"

    def _make(self, at: Path, folder: Path, words: Sequence[str]) -> None:
        debug = ["FLEX_DEBUG=1"] if self.debug else []
        tools.make(folder, [f"CROSS_COMPILE={tools.CROSS}", *words, *debug], self.deadline, log=at / "build.log")
