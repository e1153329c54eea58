"""Bringing a region to its image, over a way that may lie, hang and break off (FIELD F1, F19).

A region is done in passes. A pass looks at each chunk that is in doubt and writes those that differ until they read
back right; then the medium settles. What was written is in doubt again, and so is everything once the channel was
caught lying or the device was lost: a pass that finds all it doubts as it should be, and writes nothing, is the proof.

    pass over chunks ──Trouble──> recover ──> same chunk again        (bounded for each chunk, and by the deadline)
         │ wrote, lied or lost ──> settle ──> pass over what is in doubt     (at most _PASSES)
         │ none of these ──> proven
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from flexkit.deadline import Deadline
from flexkit.deployed.plan import Write
from flexkit.errors import FlashError, TimedOut
from flexkit.flash.image import Chunk, Image, chunks, opened
from flexkit.flash.journal import Journal
from flexkit.flash.protocol import FlashMedium, NeedsHands, Trouble

_WRITES = 12  # at 20 % of transfers damaged (FIELD F1) one chunk in ten million would still fail
_LOOKS = 9  # of which two have to agree: at 20 % one chunk in 50,000 stays undecided, and is written again
_RECOVERIES = 10  # in a row, on one chunk: a device that was lost so often is not held up by chance
_PASSES = 12
_SETTLE_BYTES = 4 << 20  # what a loss of power may cost at the most; a chunk, once the device was lost
_TROUBLES_KEPT = 20

_HANDS_POLLS = 240

Progress = Callable[[int, int], None]
Ask = Callable[[NeedsHands], None]
"""Tells a person what to do with the device."""


@dataclass
class Outcome:
    """What writing one region took. ``chunks`` in it; ``written``: those that differed; ``repeated``: writes beyond the
    first of a chunk; ``disagreed``: looks that differed from the majority; ``recovered``: times that the device was
    lost and came back; ``resumed_at``: the chunk at which an earlier attempt had broken off; ``passes`` over the
    region; ``proof``: how chunks were judged; ``troubles``: what went wrong, in words, the first few."""

    chunks: int = 0
    written: int = 0
    repeated: int = 0
    disagreed: int = 0
    recovered: int = 0
    resumed_at: int = 0
    passes: int = 0
    proof: str = ""
    troubles: list[str] = field(default_factory=list)

    @property
    def doubtful(self) -> bool:
        """Whether the way to the medium was caught lying, or broke off."""
        return bool(self.disagreed or self.repeated or self.recovered)

    def words(self) -> str:
        """One line for a log."""
        if self.written == 0 and not self.doubtful:
            return f"{self.chunks} chunks, all as they should be: nothing written"
        said = f"{self.chunks} chunks, {self.written} differed, {self.repeated} written again"
        said += f", {self.disagreed} looks disagreed" if self.disagreed else ""
        said += f", {self.recovered} times recovered" if self.recovered else ""
        return said + (f", resumed at {self.resumed_at}" if self.resumed_at else "")


def open_device(medium: FlashMedium, deadline: Deadline) -> None:
    """Have a medium. What is not there, or degraded, is brought there once by what the site has; what then still needs
    hands is said at once (FIELD F2)."""
    try:
        medium.open(deadline)
    except (Trouble, NeedsHands):
        medium.recover(deadline)


def write_region(
    medium: FlashMedium,
    write: Write,
    chunk: int,
    deadline: Deadline,
    progress: Progress,
    journal: Journal | None = None,
    outcome: Outcome | None = None,
    ask: Ask = lambda need: None,
) -> Outcome:
    """Bring a region of an open medium to its image's bytes and prove it. ``outcome`` is filled as it goes, so that a
    failure leaves its counts. Raises FlashError, naming region and stage, when it cannot, or when the image is not what
    was built."""
    outcome = Outcome() if outcome is None else outcome
    with opened(write, medium.block) as image:
        _Region(medium, write, image, chunk, deadline, progress, journal or Journal(None), outcome, ask).run()
        image.check()
    return outcome


class _Region:
    """One region's way through the passes."""

    def __init__(
        self,
        medium: FlashMedium,
        write: Write,
        image: Image,
        chunk: int,
        deadline: Deadline,
        progress: Progress,
        journal: Journal,
        outcome: Outcome,
        ask: Ask,
    ) -> None:
        self._medium = medium
        self._write = write
        self._image = image
        self._chunks = chunks(write, write.size if medium.whole else chunk)
        self._deadline = deadline
        self._progress = progress
        self._journal = journal
        self.outcome = outcome
        self._ask = ask
        self._differed: set[int] = set()
        self._unsettled = 0
        self._shaken = False  # in this pass the device was lost with writes that had not settled
        outcome.chunks = len(self._chunks)
        outcome.proof = medium.proof

    def run(self) -> None:
        self._guard(self._settle)  # what an earlier attempt left in a cache is not taken for what the medium holds
        start = self.outcome.resumed_at = self._journal.start(self._write, self._chunks)
        skipped, doubted = self._chunks[:start], self._chunks[start:]
        trusted = True
        while doubted:
            self.outcome.passes += 1
            if self.outcome.passes > _PASSES:
                raise self._error("verify", f"does not keep its bytes: {len(doubted)} chunks differ in every pass")
            self._shaken = False
            touched = self._pass(doubted, journalled=self.outcome.passes == 1)
            self._guard(self._settle)
            if self._shaken or (trusted and self._lied):
                trusted = not self._lied
                doubted = self._chunks
            else:
                doubted = sorted([*skipped, *touched], key=lambda chunk: chunk.number)
            skipped = []
        self._journal.finish(self._write)

    @property
    def _lied(self) -> bool:
        return bool(self.outcome.disagreed or self.outcome.repeated)

    def _pass(self, doubted: Sequence[Chunk], *, journalled: bool) -> list[Chunk]:
        """Look at chunks and write what differs. Returns those that were written."""
        touched: list[Chunk] = []
        for chunk in doubted:
            if self._guard(partial(self._bring, chunk)):
                touched.append(chunk)
            if self._unsettled >= (0 if self.outcome.recovered else _SETTLE_BYTES):
                self._guard(self._settle)
            if journalled and not self._unsettled:
                self._journal.reached(self._write, chunk.number + 1)
            self._progress(chunk.offset - self._write.offset + chunk.size, self._write.size)
        return touched

    def _guard(self, action: Callable[[], bool]) -> bool:
        """Do something with the device, recovering as often as is sensible. True if it, or an attempt at it that broke
        off, may have written."""
        lost = False
        for _ in range(_RECOVERIES):
            try:
                return action() or lost
            except Trouble as trouble:
                lost = True
                self._note(trouble)
                self._recover(trouble)
        raise self._error("recover", f"was lost {_RECOVERIES} times in a row: {self.outcome.troubles[-1]}")

    def _note(self, trouble: FlashError) -> None:
        if len(self.outcome.troubles) < _TROUBLES_KEPT:
            self.outcome.troubles.append(trouble.message)

    def _recover(self, trouble: Trouble) -> None:
        self.outcome.recovered += 1
        self._shaken |= self._unsettled > 0
        try:
            self._medium.recover(self._deadline)
        except NeedsHands as need:
            self._note(need)
            self._wait_for_hands(need)
        except Trouble as again:
            self._note(again)
        except TimedOut as late:
            raise TimedOut(f"{self._place}: stage recover: {late.message}", mend=trouble.mend) from late

    def _wait_for_hands(self, need: NeedsHands) -> None:
        """Say what to do, and wait until the device is back. Raises ``need`` when it does not come."""
        self._ask(need)
        limit = self._deadline.within(self._medium.hands_seconds, "wait for the device")
        while not limit.expired:
            try:
                self._medium.open(limit)
                return
            except (Trouble, NeedsHands, TimedOut):
                time.sleep(min(self._medium.hands_seconds / _HANDS_POLLS, limit.remaining))
        raise FlashError(f"{self._place}: stage recover: {need.message}", mend=need.mend)

    def _settle(self) -> bool:
        self._medium.settle(self._deadline)
        self._unsettled = 0
        return False

    def _bring(self, chunk: Chunk) -> bool:
        """True: it had to be written."""
        data = self._image.data(chunk)
        if self._holds(chunk, data):
            return False
        self._differed.add(chunk.number)
        self.outcome.written = len(self._differed)
        for attempt in range(_WRITES):
            self.outcome.repeated += 1 if attempt else 0
            self._unsettled += len(data)
            self._medium.write(chunk.offset, data, self._deadline)
            if self._holds(chunk, data):
                return True
        raise self._error(
            "verify",
            f"bytes at {chunk.offset:#x} do not read back after {_WRITES} writes",
            mend="check cable and supply, try another medium",
        )

    def _holds(self, chunk: Chunk, data: bytes) -> bool:
        """Whether the medium has these bytes: by one look when it says so, else by the first two that agree, since the
        way to the medium may lie in both directions."""
        wanted = self._medium.evidence(data)
        seen: Counter[bytes] = Counter()
        for _ in range(_LOOKS):
            look = self._medium.look(chunk.offset, len(data), self._deadline)
            seen[look] += 1
            if (look == wanted and len(seen) == 1) or seen[look] == 2:
                self.outcome.disagreed += sum(seen.values()) - seen[look]
                return look == wanted
        self.outcome.disagreed += _LOOKS
        return False

    @property
    def _place(self) -> str:
        return f"{self._medium.name}.{self._write.region}"

    def _error(self, stage: str, what: str, mend: str = "") -> FlashError:
        return FlashError(f"{self._place}: stage {stage}: {what}", mend=mend)


def steady_read(medium: FlashMedium, offset: int, count: int, deadline: Deadline) -> bytes:
    """Bytes that two reads agree on. Raises FlashError where none do."""
    return _steady(medium, medium.read, offset, count, deadline)


def steady_look(medium: FlashMedium, offset: int, count: int, deadline: Deadline) -> bytes:
    """Evidence that two looks agree on. Raises FlashError where none do."""
    return _steady(medium, medium.look, offset, count, deadline)


def _steady(
    medium: FlashMedium, ask: Callable[[int, int, Deadline], bytes], offset: int, count: int, deadline: Deadline
) -> bytes:
    seen: Counter[bytes] = Counter()
    for _ in range(_LOOKS):
        try:
            data = ask(offset, count, deadline)
        except Trouble:
            medium.recover(deadline)
            continue
        seen[data] += 1
        if seen[data] == 2:
            return data
    raise FlashError(f"{medium.name}: stage back up: no two reads at {offset:#x} agree", mend="check the cable")
