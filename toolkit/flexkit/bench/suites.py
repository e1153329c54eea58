"""What each suite measures, as data. A suite is in SUITES only when everything in it is really measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from flexkit.bench.board import Flavour, Mode
from flexkit.bench.probes import ALLOC, MIB, SWITCH, Pressure, Probe, fits
from flexkit.errors import BadInput

PageCache = Literal["dropped", "kept"]

FLAVOUR_OF: dict[Mode, Flavour] = {
    "stock": "stock",
    "normal-idle": "flex",
    "normal": "flex",
    "strawman": "flex",
    "strawman-opt": "flex",
    "flexserve": "flex",
}
MODES: tuple[Mode, ...] = tuple(FLAVOUR_OF)


@dataclass(frozen=True)
class ModelSpec:
    """A model by what makes it. ``params`` empty: the committed demo model; else a synthetic one."""

    name: str
    params: str = ""
    quant: str = "q8_0"
    seed: int = 1


DEMO = ModelSpec("demo")
SYNTH_25M = ModelSpec("synth-25M", "25M")
SYNTH_100M = ModelSpec("synth-100M", "100M")


@dataclass(frozen=True)
class Variant:
    """One way of running a prompt: mode, weight cache (flexserve only) and Linux's page cache. ``cache`` as a number:
    the share of the weights that is left when the others have just been recalled."""

    mode: Mode
    cache: Literal["cold", "warm"] | float | None = None
    page_cache: PageCache = "dropped"
    pressure: Pressure | None = None
    """Of Linux's memory while the request runs; what a warm model holds was there before."""


IDLE = Variant("normal-idle")
STOCK = Variant("stock")
"""What runs beside nothing, in either flavour."""


@dataclass(frozen=True)
class Generation:
    """Prompts answered: time to first token with its parts, time per output token, end to end."""

    models: tuple[ModelSpec, ...]
    prompts: tuple[int, ...]
    groups: tuple[tuple[Variant, ...], ...]
    """Variants of a group run one after the other (a cold run leaves what the warm one needs); groups are shuffled."""
    n_predict: int
    context: int

    def asked(self, prompt: int) -> list[tuple[Variant, ...]]:
        """The groups of this prompt. Memory comes under pressure for the shortest alone: what that costs is no compute,
        so it does not grow with the prompt."""
        return [group for group in self.groups if group[0].pressure is None or prompt == min(self.prompts)]


@dataclass(frozen=True)
class Reclaim:
    """The NW takes ``size_bytes`` back from a resident model, then the next request is checked."""

    model: ModelSpec
    prompt: int
    size_bytes: int
    leave_bytes: int
    """Free memory that is left before the taking starts, so that it must recall."""
    n_predict: int
    context: int
    page_cache: bool = True
    """Also how long page cache takes to give as much up."""


@dataclass(frozen=True)
class Program:
    """A packaged program of the board's. ``counted``: how it is called where instructions are counted, which takes an
    emulator some twenty times as long; None for what needs a storage medium."""

    subject: str
    argv: tuple[str, ...]
    counted: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Slowdown:
    """A program beside inference that arrives at one fixed rate in every mode; divided by the program alone in the
    same boot."""

    program: Program
    model: ModelSpec
    prompt: int
    period_seconds: float
    variants: tuple[Variant, ...]
    n_predict: int
    context: int


@dataclass(frozen=True)
class Lateness:
    """How late interrupts come beside an answer; a timer fires every ``period_us`` on each core."""

    model: ModelSpec
    prompt: int
    variants: tuple[Variant, ...]
    n_predict: int
    context: int
    period_us: int = 500


@dataclass(frozen=True)
class Suite:
    """What is measured, in how many rounds. Parts that a suite does not have are empty."""

    name: str
    title: str
    rounds: int
    generation: Generation | None = None
    reclaim: tuple[Reclaim, ...] = ()
    slowdown: tuple[Slowdown, ...] = ()
    probes: tuple[Probe, ...] = ()
    lateness: Lateness | None = None
    presence: tuple[Program, ...] = ()
    presence_modes: tuple[Mode, ...] = ("stock", "normal-idle", "normal")
    """In which its programs run alone, in blocks of boots."""
    counters: bool = False
    """Also the monitor's own: protection on and off, the longest stay in EL3."""
    threads: int | None = None
    """Of the engine; None: as many as the board has cores."""

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The modes that it measures, in the order of MODES."""
        used = {variant.mode for variant in self._variants()}
        return tuple(mode for mode in MODES if mode in used)

    @property
    def models(self) -> tuple[ModelSpec, ...]:
        """Every model that it needs, once."""
        needed: list[ModelSpec] = list(self.generation.models) if self.generation else []
        needed += [part.model for part in self.reclaim] + [part.model for part in self.slowdown]
        needed += [self.lateness.model] if self.lateness else []
        return tuple(dict.fromkeys(needed))

    def _variants(self) -> Iterable[Variant]:
        if self.generation:
            for group in self.generation.groups:
                yield from group
        for slowdown in self.slowdown:
            yield from slowdown.variants
        if self.lateness:
            yield from self.lateness.variants
        if self.reclaim:
            yield Variant("flexserve", "warm")
        if self.presence:
            yield from (Variant(mode) for mode in self.presence_modes)
        for probe in self.probes:
            yield from (Variant(figure.mode) for figure in probe.figures if figure.mode)

    def only(self, modes: Sequence[str]) -> Suite:
        """The same suite for these modes; BadInput for one that it does not measure."""
        if not modes:
            return self
        for mode in modes:
            if mode not in self.modes:
                raise BadInput(f"suite {self.name} does not measure mode {mode!r}; it has {', '.join(self.modes)}")
        generation = self.generation
        if generation:
            groups = tuple(g for g in (_of(group, modes) for group in generation.groups) if g)
            generation = replace(generation, groups=groups) if groups else None
        slowdown = tuple(replace(each, variants=_of(each.variants, modes)) for each in self.slowdown)
        slowdown = tuple(each for each in slowdown if each.variants)
        reclaim = self.reclaim if "flexserve" in modes else ()
        probes = tuple(probe for probe in self.probes if any(figure.mode in modes for figure in probe.figures))
        lateness = self.lateness
        if lateness:
            variants = _of(lateness.variants, modes)
            lateness = replace(lateness, variants=variants) if variants else None
        kept = tuple(mode for mode in self.presence_modes if mode in modes)
        return replace(
            self,
            generation=generation,
            slowdown=slowdown,
            reclaim=reclaim,
            probes=probes,
            lateness=lateness,
            presence=self.presence if kept else (),
            presence_modes=kept,
            counters=self.counters and any(FLAVOUR_OF[mode] == "flex" for mode in self.modes if mode in modes),
        )

    def fitting(self, dram_bytes: int, cma_bytes: int) -> Suite:
        """The same suite for a board with so much memory: what it cannot give is not asked for."""
        return replace(self, probes=tuple(probe for probe in self.probes if fits(probe, dram_bytes, cma_bytes)))


def _of(variants: Iterable[Variant], modes: Sequence[str]) -> tuple[Variant, ...]:
    return tuple(variant for variant in variants if variant.mode in modes)


_GROUPS: tuple[tuple[Variant, ...], ...] = (
    (Variant("stock"),),
    (Variant("normal-idle"),),
    # dropped before kept: the first run is the one that fills the page cache for the second
    (Variant("normal"), Variant("normal", page_cache="kept")),
    (Variant("strawman"),),
    (Variant("strawman-opt"),),
    (Variant("flexserve", "cold"), Variant("flexserve", "warm")),
)
_GENERATION = Generation(models=(DEMO, SYNTH_25M), prompts=(16, 128), groups=_GROUPS, n_predict=8, context=256)
_SHARES = tuple((Variant("flexserve", share),) for share in (0.75, 0.5, 0.25))
PRESSURES: tuple[Pressure, ...] = ("pagecache", "anon", "fragmented")
_PRESSED = tuple(
    (variant,)
    for pressure in PRESSURES
    for variant in (
        Variant("strawman", pressure=pressure),
        Variant("strawman-opt", pressure=pressure),
        Variant("flexserve", "warm", pressure=pressure),
    )
)
_LOADED: tuple[tuple[Variant, ...], ...] = (
    (Variant("normal", page_cache="kept"),),
    (Variant("flexserve", "warm", "kept"),),
)
_ENGINE = Generation(
    models=tuple(ModelSpec(f"synth-25M-{quant}", "25M", quant) for quant in ("f16", "q8_0", "q4_0", "q4_k", "q6_k")),
    prompts=(16, 128),
    groups=_LOADED,
    n_predict=16,
    context=256,
)
_DECODE = Generation(models=(DEMO, SYNTH_25M), prompts=(16,), groups=_LOADED, n_predict=128, context=256)
_ALL = replace(_GENERATION, groups=(*_GROUPS, *_SHARES, *_PRESSED))


def _reclaim(model: ModelSpec, size_bytes: int) -> Reclaim:
    return Reclaim(model=model, prompt=16, size_bytes=size_bytes, leave_bytes=36 * MIB, n_predict=8, context=256)


_RECLAIM = _reclaim(SYNTH_100M, 64 * MIB)
_RECLAIMS = (_reclaim(SYNTH_100M, 32 * MIB), _RECLAIM)
"""A third and two thirds of what the model holds."""


def _slowdown(program: Program, period_seconds: float = 1.0) -> Slowdown:
    return Slowdown(
        program=program,
        model=SYNTH_25M,
        prompt=16,
        period_seconds=period_seconds,
        variants=(
            Variant("stock", page_cache="kept"),
            Variant("normal-idle", page_cache="kept"),
            Variant("normal", page_cache="kept"),
            Variant("strawman", page_cache="kept"),
            Variant("strawman-opt", page_cache="kept"),
            Variant("flexserve", "warm", page_cache="kept"),
        ),
        n_predict=8,
        context=256,
    )


def _shell(subject: str, script: str, counted: str | None = None) -> Program:
    return Program(subject, ("sh", "-c", script), ("sh", "-c", counted) if counted else None)


def _cpu(events: int) -> tuple[str, ...]:
    return "sysbench", "cpu", "--threads=1", "--cpu-max-prime=2000", "--time=0", f"--events={events}", "run"


def _memory(total: str) -> tuple[str, ...]:
    size = f"--memory-total-size={total}"
    return "sysbench", "memory", "--threads=1", "--memory-block-size=64K", size, "--time=0", "run"


def _page_faults(times: int) -> str:
    return f"for i in $(seq {times}); do dd if=/dev/zero of=/dev/null bs=64M count=1 2>/dev/null; done"


def _gzip(times: int) -> str:
    return f"for i in $(seq {times}); do gzip -c /usr/bin/busybox > /dev/null; done"


def _sqlite(rows: int) -> str:
    sql = (
        "create table t(a integer primary key, b text); "
        f"insert into t with recursive c(x) as (select 1 union all select x + 1 from c where x < {rows}) "
        "select x, hex(x * 7919) from c; create index i on t(b); select count(*), sum(length(b)) from t where b > 5;"
    )
    return f"rm -f /tmp/bench.db; sqlite3 /tmp/bench.db '{sql}'"


def _launch(times: int) -> str:
    return f"for i in $(seq {times}); do sqlite3 -version; done"


_QUICK = _slowdown(Program("sysbench cpu", _cpu(4000)), period_seconds=2.0)
_PROGRAMS = (
    Program("sysbench cpu", _cpu(12000), _cpu(4500)),
    Program("sysbench memory", _memory("12G"), _memory("1G")),
    _shell("page faults (dd)", _page_faults(24), _page_faults(12)),
    _shell("gzip", _gzip(4), _gzip(1)),
    _shell("storage (dd)", "dd if=/dev/zero of=/data/fill bs=64K count=1536 conv=fsync && rm /data/fill"),
    _shell("sqlite3", _sqlite(80000), _sqlite(60000)),
    _shell("program launch", _launch(80), _launch(120)),
)
"""CPU, memory, page faults, compression, storage, a database, starting programs: a few seconds each under emulation."""
_BESIDE = tuple(_slowdown(program) for program in _PROGRAMS)

_LATENESS = Lateness(
    model=SYNTH_25M,
    prompt=64,
    variants=(Variant("normal", page_cache="kept"), Variant("flexserve", "warm", "kept")),
    n_predict=8,
    context=256,
)

SUITES: dict[str, Suite] = {
    suite.name: suite
    for suite in (
        Suite(
            "quick",
            "everything once, in a few rounds",
            2,
            _GENERATION,
            (replace(_RECLAIM, page_cache=False),),
            (_QUICK,),
        ),
        Suite("ttft", "time to first token and per output token", 5, _ALL),
        Suite("engine", "prompts and tokens by quantisation", 5, _ENGINE),
        Suite("decode", "time per output token of long answers", 5, _DECODE),
        Suite("reclaim", "memory taken back from a resident model", 5, reclaim=_RECLAIMS),
        Suite("slowdown", "packaged programs beside inference", 5, slowdown=_BESIDE),
        Suite("presence", "programs with nothing secure, against stock Linux", 5, presence=_PROGRAMS, counters=True),
        Suite(
            "switch", "world switch, donation, recall; interrupts", 7, probes=SWITCH, lateness=_LATENESS, counters=True
        ),
        Suite("alloc", "latency of secure memory, by size and pressure", 3, probes=ALLOC),
        Suite(
            "full",
            "everything, in more than an hour",
            5,
            _ALL,
            _RECLAIMS,
            _BESIDE,
            (*SWITCH, *ALLOC),
            _LATENESS,
            _PROGRAMS,
            counters=True,
        ),
    )
}


def find(name: str) -> Suite:
    """A suite by name; BadInput names those that exist."""
    if name not in SUITES:
        raise BadInput(f"no suite {name!r}; there are {', '.join(SUITES)}")
    return SUITES[name]
