"""What a benchmark asks of a board, and nothing else: implemented by ``flexkit.link`` over serial records or SSH.

All times are ticks of the board's own counter (CNTVCT_EL0), taken by the agent or the driver on the board; the way
to the host and back is never in them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from flexkit.deadline import Deadline

Flavour = Literal["flex", "stock"]
Mode = Literal["stock", "normal-idle", "normal", "strawman", "strawman-opt", "flexserve"]

PARTS: tuple[str, ...] = ("allocate", "read", "donate", "decrypt", "prefill", "switch")
"""The parts of a time to first token, in the order of struct flex_breakdown (firmware/abi/flexkit/uapi.h)."""


@dataclass(frozen=True)
class BoardFacts:
    """Who the board says it is, after a boot. ``identities`` are as reported at run time, 32 hex digits a part."""

    name: str
    type: str
    evidence: Literal["silicon", "emulated-wall", "emulated-virtual"]
    clock: Literal["wall", "virtual", "board"]
    via: Literal["serial", "ssh", "memory"]
    """``memory``: one batch, that lay there from the start."""
    counter_hz: int
    cores: int
    dma_open: bool
    identities: Mapping[str, str]
    debug: bool
    """True when monitor or payload reports a debug profile."""
    kernel: str
    """``uname -a``."""
    emulator: str
    """Version line of the emulator, empty on hardware."""
    boot_seconds: float
    """Power on to the agent's first answer, by the host's clock; 0 where the host was not waiting for it."""


@dataclass(frozen=True)
class RunRequest:
    """One prompt. ``model`` is what ``put_model`` returned."""

    mode: Mode
    model: str
    prompt: str
    n_predict: int
    context: int
    threads: int
    drop_page_cache: bool
    """Sync and drop Linux's page cache right before the request is submitted (outside its time)."""
    ignore_eos: bool = True


@dataclass(frozen=True)
class RunResult:
    """What one prompt gave. ``exposed`` has the parts that this mode has (see PARTS); they sum to
    ``first_token - submitted``. ``busy`` is the summed work of each part. ``token_ticks[i]`` is when token i was
    available to the agent; ``token_ticks[0] == first_token``."""

    prompt_ids: tuple[int, ...]
    tokens: tuple[int, ...]
    finish: str
    submitted: int
    first_token: int
    finished: int
    token_ticks: tuple[int, ...]
    exposed: Mapping[str, int]
    busy: Mapping[str, int]
    switches: int = 0
    loaded_pages: int = 0


@dataclass(frozen=True)
class ExecResult:
    """A program that ran on the board: ``ticks`` from its fork to its end."""

    status: int
    out: str
    err: str
    ticks: int


@dataclass(frozen=True)
class RecallResult:
    """Pages asked back by FLEX_IOC_RECALL: those that came, the ticks of the monitor's calls, and of all that Linux did
    for them."""

    pages: int
    ticks: int
    whole: int


@dataclass(frozen=True)
class BesideResult:
    """A program that ended beside answers, ``answers`` the tokens of each, and the ticks from its start to the end of
    both."""

    program: ExecResult
    answers: tuple[tuple[int, ...], ...]
    ticks: int


@dataclass(frozen=True)
class FaultResult:
    """A process touched fresh memory: bytes it got, ticks from its first to its last touch, and how many secure pages
    the shrinker gave back meanwhile."""

    bytes: int
    ticks: int
    recalled_pages: int


StepKind = Literal["call", "switch", "clear", "pages", "region"]
"""What the driver can time: FLEX_MEASURE_* of firmware/abi/flexkit/uapi.h."""


@dataclass(frozen=True)
class Spent:
    """Ticks that steps took, ``whole`` and in its parts; 0 for a part that they do not have."""

    whole: int
    allocate: int = 0
    secure: int = 0
    recall: int = 0
    free: int = 0
    smmu: int = 0
    """Of all that, in the monitor's waiting for the SMMU."""
    scrub: int = 0
    """And in its scrubbing and cleaning."""


@dataclass(frozen=True)
class Stats:
    """The driver's counters: struct flex_ioc_stats and flex_ioc_info. All zero under ``stock``."""

    secure_pages: int = 0
    recallable_pages: int = 0
    recalled: int = 0
    recall_pinned: int = 0
    el3_max_ticks: int = 0
    el3_max_call: int = 0
    extra: Mapping[str, int] = field(default_factory=dict)

    def monitor(self, name: str) -> int:
        """One of the monitor's counters, 0 where it has none."""
        return self.extra.get(f"monitor.{name}", 0)


class BenchBoard(Protocol):
    """A board that can be measured. Every method raises flexkit.errors.BoardLost or TimedOut when it does not answer,
    and FlexError with the board's own reason when it refuses; a refused run leaves the board usable."""

    def stage(self, models: Sequence[Path], deadline: Deadline) -> None:
        """Models that will be asked for, told once, before the first boot: a board whose medium lies on this host
        writes them there while it is off, so that ``put_model`` finds them; others do nothing."""
        del models, deadline

    def boot(self, flavour: Flavour, deadline: Deadline) -> BoardFacts:
        """(Re)boot into this flavour, its media flashed and verified, and check the reported identities against the
        build. Booting the flavour that already runs restarts it."""

    def put_model(self, path: Path, mode: Mode, deadline: Deadline) -> str:
        """Make a model available on the board in the form that the mode reads: sealed, or as it is (checked by SHA-256;
        no copy when it is there). Returns its name there."""

    def run(self, request: RunRequest, deadline: Deadline) -> RunResult:
        """Run one prompt to its end."""

    def forget(self, model: str, deadline: Deadline) -> None:
        """Drop the model's cached weights from secure memory (FLEX_IOC_MODEL_DROP): the next flexserve run is cold."""

    def protect(self, on: bool, deadline: Deadline) -> None:
        """Switch stage 2 and the SMMU on or off (FLEX_IOC_PROTECT); refused for "off" while anything is secure."""

    def recall(self, model: str, pages: int, deadline: Deadline) -> RecallResult:
        """FLEX_IOC_RECALL: take pages of a resident model's weights back now."""

    def drop_cached(self, path: str, size_bytes: int, deadline: Deadline) -> int:
        """Read so much of a file into Linux's page cache, and let it give them up: the ticks of that. FlexError when it
        did not give up all."""

    def hold(self, leave_bytes: int, deadline: Deadline) -> int:
        """A process on the board takes memory, and keeps it, until only ``leave_bytes`` are free (MemFree of
        /proc/meminfo without CmaFree), so that whoever wants more must recall. Returns the bytes it holds."""

    def fault_in(
        self, size_bytes: int, deadline: Deadline, *, until_recalled: int = 0, page_cache: bool = False
    ) -> FaultResult:
        """A second process maps ``size_bytes`` of anonymous memory, writes one byte in each page, and exits. With
        ``until_recalled`` (pages), its clock begins when secure memory (or page cache, if that is asked for) gives the
        first page, and it ends when so many have come from there and it has as many; ``bytes`` are those within the
        clock."""

    def let_go(self, deadline: Deadline) -> None:
        """The process of ``hold`` ends."""

    def fragment(self, leave_bytes: int, deadline: Deadline) -> int:
        """As ``hold``, but of what it took it frees every second page again: much memory is free, and hardly two
        pages of it in a row. Ended by ``let_go``. Returns the bytes it holds."""

    def measure(self, kind: StepKind, count: int, batch: int, deadline: Deadline) -> Spent:
        """The driver makes one kind of step ``count`` times, pages in batches of ``batch``, protection on."""

    def stats(self, deadline: Deadline) -> Stats:
        """The driver's counters now."""

    def execute(self, argv: Sequence[str], deadline: Deadline) -> ExecResult:
        """Run a program on the board to its end."""

    def beside(
        self, request: RunRequest, argv: Sequence[str], period_seconds: float, phase_seconds: float, deadline: Deadline
    ) -> BesideResult:
        """Run a program to its end, and the prompt again and again meanwhile, by the board's own clock:
        ``phase_seconds`` after its start and every ``period_seconds`` from then on, or at once when the last answer
        took longer. One that is under way when the program ends comes to its end too, its tokens among the others."""

    def close(self) -> None:
        """End what this client started on the board and let the board go; an emulated one is stopped."""
