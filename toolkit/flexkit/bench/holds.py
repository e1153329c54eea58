"""Which of the invariants I1..I9 (README, "What is verified") a build has: said in every report."""

from __future__ import annotations

from typing import Any

_SEALING = "weights lie in the clear on the medium: sealing is not built yet"

INVARIANTS: tuple[tuple[str, str, str, str], ...] = (
    ("I1", "A secure page is out of reach for the normal world and for every DMA master", "has", ""),
    ("I2", "Nothing returns to the normal world unscrubbed, resets included", "has", ""),
    ("I3", "Linux can recall any unpinned page at any time; pins are bounded by a quota", "has", ""),
    ("I4", "Monitor, tables, vectors and SMMU are out of reach, on every core", "has", ""),
    ("I5", "Every argument is checked before anything changes; batches say how far they came", "has", ""),
    ("I6", "No plaintext of weights, prompts, cache or tokens where the normal world can read", "partly",
     f"registers and secure pages: yes; {_SEALING}, and prompts and tokens pass through Linux: no sessions yet"),
    ("I7", "Nothing from the normal world is trusted: model chunks are authenticated", "not yet", _SEALING),
    ("I8", "Interrupts are served promptly while the secure world computes; EL3 stays short", "has", ""),
    ("I9", "A secure panic ends one session, is recorded, and the service restarts", "has", ""),
)  # fmt: skip


def invariants() -> tuple[dict[str, Any], ...]:
    """As the report has them."""
    return tuple({"name": name, "text": text, "state": state, "note": note} for name, text, state, note in INVARIANTS)
