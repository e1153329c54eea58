"""I4 across suspend: what this platform's firmware offers keeps protection; what nobody has tried is refused."""

from __future__ import annotations

import pytest
from attacker import Attacker, abi

from flexkit.deadline import Deadline
from flexkit.drivers import Session

ABI = abi()
EFAULT = -14
CORES = (0, 1)
PSCI_FEATURES, CPU_SUSPEND, SYSTEM_SUSPEND = 0x8400_000A, 0xC400_0001, 0xC400_000E
NOT_SUPPORTED, INVALID_PARAMETERS = -1, -2
STANDBY, CORE_OFF, CLUSTER_OFF = 0x0000_0001, 0x0001_0002, 0x0101_0022
"""Power states of TF-A's qemu platform, in PSCI's original format."""


def _signed32(value: int) -> int:
    return (value & 0xFFFF_FFFF) - (1 << 32 if value & 0x8000_0000 else 0)


@pytest.mark.parametrize("core", CORES)
def test_a_core_that_stood_by_is_still_under_protection(
    board: Session, attacker: Attacker, secured: list[int], core: int
) -> None:
    for _ in range(20):
        assert attacker.run(f"smcon {core} {CPU_SUSPEND:#x} {STANDBY:#x} 0 0")["x0"] == 0
    for page in (secured[0], board.board.memory.region("tables").base):
        assert attacker.run(f"access r {page:#x} {core}")["ret"] == EFAULT
        assert attacker.run(f"access w {page:#x} {core} 1")["ret"] == EFAULT


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("wanted", [CORE_OFF, CLUSTER_OFF])
def test_a_core_cannot_suspend_to_power_down(
    board: Session, attacker: Attacker, secured: list[int], core: int, wanted: int
) -> None:
    """The platform has no way back from there; the core goes on, under protection."""
    refused = attacker.run(f"smcon {core} {CPU_SUSPEND:#x} {wanted:#x} 0x40200000 0")["x0"]
    assert _signed32(refused) == INVALID_PARAMETERS
    assert attacker.run(f"access r {secured[0]:#x} {core}")["ret"] == EFAULT
    assert board.client.check("cat /sys/devices/system/cpu/online", Deadline(10, "cores")).strip() == "0-1"


def test_the_system_cannot_be_suspended(board: Session, attacker: Attacker, secured: list[int]) -> None:
    """Firmware says so, refuses the call, and Linux was told: it offers no such state."""
    assert _signed32(attacker.run(f"smcon 0 {PSCI_FEATURES:#x} {SYSTEM_SUSPEND:#x}")["x0"]) == NOT_SUPPORTED
    assert _signed32(attacker.run(f"smcon 0 {SYSTEM_SUSPEND:#x} 0x40200000 0")["x0"]) == NOT_SUPPORTED
    assert board.client.check("cat /sys/power/state 2>/dev/null || true", Deadline(10, "states")).split() == []
    for core in CORES:
        assert attacker.run(f"access r {secured[0]:#x} {core}")["ret"] == EFAULT
