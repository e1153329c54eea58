"""The emulated board with a boot loader: U-Boot is BL33 under the monitor and loads the kernel from the disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flexkit import boards, build, engine
from flexkit.deadline import Deadline
from flexkit.deployed.plan import make_plan
from flexkit.drivers import Session, open_board
from flexkit.events import Bus
from flexkit.flash.deploy import deploy
from flexkit.link.client import InferRequest

BOARD = "qemu-virt-uboot"


@pytest.fixture(scope="module")
def uboot(state: Path) -> Iterator[Session]:
    """Built, flashed and booted; that the parts at work are the flashed ones is checked when it opens."""
    found = boards.resolve(BOARD)
    manifest = build.run(found.type, bus=Bus(), deadline=Deadline(3600, "build"))
    plan = make_plan(found.type, manifest.identity, manifest.flavour, manifest.images, manifest.missing)
    deploy(found, plan, manifest.parts, manifest.profile, Bus(), Deadline(300, "flash"))
    with open_board(found, Deadline(240, "open the board"), Bus()) as session:
        yield session


def test_secure_inference_works_after_u_boot(uboot: Session, demo: Path, story: str) -> None:
    limit = Deadline(120, "infer")
    expected = engine.reference_tokens(demo, story, 12, ignore_eos=True)
    request = InferRequest(uboot.put_model(demo, limit), story, 12, mode="flexserve", threads=2, ignore_eos=True)
    result = uboot.client.infer(request, limit)
    assert tuple(token.id for token in result.tokens) == expected.tokens


def test_u_boot_loaded_the_kernel_of_the_boot_region(uboot: Session) -> None:
    log = uboot.console.log.read_text(errors="replace")
    assert "flexkit: slot a" in log
    assert log.index("BL31: v") < log.index("U-Boot 20") < log.index("Linux version")


def test_memory_set_apart_is_not_where_u_boot_was(uboot: Session) -> None:
    """U-Boot runs at the end of DRAM and knows nothing of reservations when it moves there."""
    memory = uboot.board.memory
    for name in ("tables", "shared"):
        assert memory.region(name).end <= memory.dram_end - (128 << 20)
