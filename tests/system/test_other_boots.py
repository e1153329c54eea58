"""What needs a boot of its own: the other flavour, the other link."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest
from attacker import PATTERN, Attacker, abi

from flexkit import engine
from flexkit.boards.lab import Instance
from flexkit.build.manifest import Manifest
from flexkit.deadline import Deadline
from flexkit.deployed.plan import make_plan
from flexkit.drivers import Session
from flexkit.errors import FlexError
from flexkit.events import Bus
from flexkit.flash.deploy import deploy
from flexkit.link.client import InferRequest, InferResult
from flexkit.link.protocol import MeasureKind
from flexkit.models import sealed

ABI = abi()
EL3_LIMIT = 100_000
"""Instructions of one stay in EL3: virtual nanoseconds at one instruction each."""
REGION_PAGES = 32768
"""128 MB: as much as the default CMA area of these boards holds beside what Linux has there."""
ICOUNT = ("-smp", "1", "-icount", "shift=0,sleep=on")
OTHER_MACHINE = ("-machine", "its=on", "-device", "edu,dma_mask=0xffffffffffffffff")


def _ids(result: InferResult) -> tuple[int, ...]:
    return tuple(token.id for token in result.tokens)


def test_stock_gives_the_reference_tokens(open_session: Callable[..., object], demo: Path, story: str) -> None:
    expected = engine.reference_tokens(demo, story, 24, ignore_eos=True)
    limit = Deadline(240, "stock")
    with open_session(flavour="stock") as session:  # type: ignore[attr-defined]
        path = session.put_model(demo, limit, "stock")
        result = session.client.infer(InferRequest(path, story, 24, mode="stock", ignore_eos=True), limit)
        assert session.client.check("cat /sys/devices/system/cpu/online", limit).strip() == "0-1"
    assert _ids(result) == expected.tokens


def test_over_ssh(open_session: Callable[..., object], demo: Path, story: str) -> None:
    expected = engine.reference_tokens(demo, story, 8, ignore_eos=True)
    limit = Deadline(240, "SSH")
    with open_session(via="ssh") as session:  # type: ignore[attr-defined]
        assert session.ssh is not None
        path = session.put_model(demo, limit)
        result = session.client.infer(InferRequest(path, story, 8, threads=2, ignore_eos=True), limit)
    assert _ids(result) == expected.tokens


def test_minimum_versions_that_cannot_be_read_refuse_every_model_until_they_are_cleared(
    open_session: Callable[..., AbstractContextManager[Session]],
    instance: Instance,
    manifests: dict[str, Manifest],
    demo: Path,
    story: str,
    tmp_path: Path,
) -> None:
    """Cleared as a lab engineer does it, by flashing the region by name. The control: unprotected inference goes on."""
    right = engine.reference_tokens(demo, story, 4, ignore_eos=True).tokens
    build, limit = manifests["flex"], Deadline(400, "damaged versions")
    clear = make_plan(instance.type, build.identity, "flex", build.images, build.missing, ("versions",))
    noise = tmp_path / "noise"
    noise.write_bytes(bytes(range(256)) * (clear.writes[0].size // 256))
    digest = hashlib.sha256(noise.read_bytes()).hexdigest()
    damage = replace(clear, writes=(replace(clear.writes[0], image="noise", path=noise, sha256=digest),))

    def run(session: Session, mode: str) -> tuple[int, ...]:
        path = session.put_model(demo, limit, mode)
        return _ids(session.client.infer(InferRequest(path, story, 4, mode=mode, ignore_eos=True), limit))

    deploy(instance, damage, build.parts, build.profile, Bus(), limit)
    with open_session() as session:
        for mode in ("flexserve", "strawman"):
            with pytest.raises(FlexError, match=re.escape(sealed.text("E_LOST_TEXT"))):
                run(session, mode)
        assert run(session, "normal") == right
    deploy(instance, clear, build.parts, build.profile, Bus(), limit)
    with open_session() as session:
        assert run(session, "flexserve") == right


def test_with_an_interrupt_controller_that_writes_memory_nothing_gets_secure(
    open_session: Callable[..., AbstractContextManager[Session]],
) -> None:
    """Its writes pass no stage 2 and no SMMU. The control: there, a device's DMA reaches every page."""
    limit = Deadline(60, "another machine")
    with open_session(extra=OTHER_MACHINE) as other:
        attacker = Attacker(other.client)
        with pytest.raises(FlexError):
            other.client.protect(True, limit)
        first, second = attacker.own_pages(2)
        assert attacker.batch(ABI["FLEX_MON_DONATE"], 0, 2)["x0"] == ABI["FLEX_E_STATE"]
        attacker.run(f"access w {first:#x} 0 {PATTERN:#x}")
        attacker.run(f"dma in {first:#x} 64")
        attacker.run(f"dma out {second:#x} 64")
        assert attacker.run(f"access r {second:#x} 0")["value"] == PATTERN
        attacker.run("free")


@pytest.mark.boards("qemu-virt", "qemu-virt-rme")
def test_no_stay_in_el3_is_longer_than_its_limit(open_session: Callable[..., object], demo: object, story: str) -> None:
    """Counted in instructions: whole batches, a load, an inference, moves and a drop, regions, one of them large; one
    core."""
    limit = Deadline(400, "icount")
    region = 1 << ABI["FLEX_BLOCK_SHIFT"]
    with open_session(extra=ICOUNT) as board:  # type: ignore[attr-defined]
        attacker = Attacker(board.client, 120)
        path = board.put_model(demo, limit)
        result = board.client.infer(InferRequest(path, story, 4, threads=2, ignore_eos=True), limit)
        assert len(result.tokens) == 4
        for block in {page // region * region for page in attacker.driver_pages()}:
            attacker.run(f"contig {block:#x} {region // 4096}")
        moved = attacker.smc(ABI["FLEX_MON_STAT"], ABI["FLEX_STAT_MOVED"])["x1"]
        board.client.forget(path, limit)
        path = board.put_model(demo, limit, "strawman")
        board.client.infer(InferRequest(path, story, 2, mode="strawman", threads=2, ignore_eos=True), limit)
        board.client.protect(True, limit)
        board.client.measure(MeasureKind.REGION, REGION_PAGES, 1, limit)
        attacker.own_pages(512)
        churned = attacker.run("churn 3")
        longest = attacker.smc(ABI["FLEX_MON_STAT"], ABI["FLEX_STAT_EL3_MAX_TICKS"])["x1"]
        call = attacker.smc(ABI["FLEX_MON_STAT"], ABI["FLEX_STAT_EL3_MAX_CALL"])["x1"]
        attacker.run("free")
    print(f"longest stay {longest} instructions, call {call:#x}; seen from Linux: {churned}")
    assert (churned["x0"], churned["rounds"]) == (0, 3)
    assert moved > 0
    assert longest <= EL3_LIMIT
    assert max(churned["donate_longest"], churned["recall_longest"]) <= EL3_LIMIT
