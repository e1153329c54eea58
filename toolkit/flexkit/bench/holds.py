"""Which of the invariants I1..I9 (README, "What holds, and what shows it") this build has: said in every report."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["has", "partly", "not yet"]


@dataclass(frozen=True)
class Hold:
    """An invariant. ``shown_by``: the tests, under tests/, whose attacks fail because of it."""

    name: str
    text: str
    state: State
    shown_by: tuple[str, ...] = ()
    note: str = ""


INVARIANTS: tuple[Hold, ...] = (
    Hold(
        "I1",
        "A secure page is out of reach for the normal world and for every DMA master",
        "has",
        ("system/test_isolation.py", "system/test_dma.py"),
    ),
    Hold(
        "I2",
        "Nothing returns to the normal world unscrubbed, resets included",
        "has",
        ("system/test_isolation.py", "system/test_endings.py"),
    ),
    Hold(
        "I3",
        "Linux can recall any unpinned page at any time; pins are bounded by a quota",
        "has",
        (
            "system/test_memory.py",
            "system/test_movable.py",
            "system/test_order.py",
            "system/test_conversations.py",
            "system/test_inference.py",
            "system/test_soak.py",
        ),
    ),
    Hold(
        "I4",
        "Monitor, tables, vectors and SMMU are out of reach, on every core",
        "has",
        ("system/test_isolation.py", "system/test_suspend.py", "system/test_switching.py"),
        "cores that go and come back, and that stand by; suspend to power-down and of the system is refused",
    ),
    Hold(
        "I5",
        "Every argument is checked before anything changes; a batch says how far it came",
        "has",
        ("system/test_calls.py", "system/test_bad_behaviour.py"),
    ),
    Hold(
        "I6",
        "No plaintext of weights, prompts, cache or tokens where the normal world can read",
        "partly",
        ("system/test_calls.py", "system/test_sealing.py", "system/test_search.py"),
        "registers and weights: yes, and a search of all memory that Linux can read finds none. Models are sealed with "
        "the published test root key, which is no secret; prompts and tokens pass through Linux (no sessions yet)",
    ),
    Hold(
        "I7",
        "Nothing from the normal world is trusted: chunks of a model are authenticated",
        "partly",
        ("system/test_sealing.py", "firmware/test_sealing.py"),
        "every page is authenticated before it is computed with, but under the published test root key; a model that "
        "was rolled back is refused where the board has secure flash to keep versions in (Board: rollback refused)",
    ),
    Hold(
        "I8",
        "Interrupts are served promptly while the secure world computes; EL3 stays short",
        "has",
        ("system/test_interrupts.py", "system/test_other_boots.py"),
        "lateness beside inference is measured; a stay in EL3 is at most 100,000 instructions, protection switch apart",
    ),
    Hold(
        "I9",
        "A secure panic ends one session, is recorded, and the service restarts",
        "has",
        ("system/test_endings.py",),
    ),
)


def invariants() -> tuple[dict[str, Any], ...]:
    """As the report has them."""
    return tuple({**asdict(hold), "shown_by": list(hold.shown_by)} for hold in INVARIANTS)
