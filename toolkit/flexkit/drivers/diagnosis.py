"""A silent board, diagnosed by how far it came: what to try, step by step, instead of taking it for a brick."""

from __future__ import annotations

from dataclasses import dataclass

from flexkit.boards import Instance

_UNREADABLE_SHARE = 0.3
_FEW_BYTES = 16
_TEXT = bytes(range(0x20, 0x7F)) + b"\t\n\r\a\b\x1b\0"


@dataclass(frozen=True)
class Seen:
    """What came over a console since the board was started. ``unreadable``: bytes that no console text has."""

    count: int = 0
    unreadable: int = 0
    reached: str = ""

    def take(self, chunk: bytes) -> Seen:
        """With these bytes too."""
        return Seen(self.count + len(chunk), self.unreadable + len(chunk.translate(None, _TEXT)), self.reached)


def advise(instance: Instance, seen: Seen) -> str:
    """What to try with a board that fell silent."""
    if seen.reached:
        return _after_stage(instance, seen.reached)
    if not seen.count:
        return _after_nothing(instance)
    if seen.count >= _FEW_BYTES and seen.unreadable > _UNREADABLE_SHARE * seen.count:
        return (
            f"{seen.count} bytes came and most are no text: the speed is wrong ({instance.baud} baud; "
            f"{instance.type.name} speaks at {instance.type.console.baud}), or the cable's levels or ground are"
        )
    rom = ", then ".join(instance.type.boot.rom)
    return (
        f"{seen.count} readable bytes came, but no boot stage of {instance.type.name}: another board's port, or its "
        f"boot ROM found no loader of ours (it looks at {rom}: what is stale there defeats what comes later); "
        f"then: flexkit flash -b {instance.name}"
    )


def _after_nothing(instance: Instance) -> str:
    if not instance.wired:
        return f"the emulator runs but its firmware says nothing; then: flexkit flash -b {instance.name}"
    steps = [
        f"supply (flexkit power cycle -b {instance.name}; a tool's own reset may leave it off)",
        f"console port ({instance.settings.serial or 'of labgrid'}: TX and RX crossed, ground)",
        "no boot-mode button, strap or jumper held",
        f"a loader where the boot ROM looks ({', then '.join(instance.type.boot.rom)}); flexkit flash writes it",
    ]
    return "not one byte came; check in this order: " + "; ".join(steps)


def _after_stage(instance: Instance, name: str) -> str:
    stages = instance.type.boot.stages
    at = next(index for index, stage in enumerate(stages) if stage.name == name)
    following = stages[at + 1].name if at + 1 < len(stages) else ""
    lead = f"{name} ran, {following} did not come: " if following else f"{name} came, and then nothing: "
    hint = stages[at].hint or f"what {name} loads may be damaged or not fit: flexkit flash -b {instance.name}"
    return lead + hint
