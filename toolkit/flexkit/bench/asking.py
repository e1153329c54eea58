"""What a benchmark asks of the agent, in the benchmark's own terms: the same over a link and in a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from flexkit.bench.board import BesideResult, ExecResult, RunRequest, RunResult, Spent, Stats, StepKind
from flexkit.deadline import Deadline
from flexkit.link import answers
from flexkit.link.client import Client, InferRequest
from flexkit.link.protocol import MeasureKind
from flexkit.models import atrest


def run_on(client: Client, request: RunRequest, deadline: Deadline) -> RunResult:
    """One prompt, as the agent of this client runs it."""
    found = client.infer(_asked(request), deadline)
    # Where nothing is sealed there is no decryption to report, not even as a zero.
    sealed = request.mode in atrest.SEALED_MODES
    exposed = {part: ticks for part, ticks in found.exposed.items() if part != "decrypt" or sealed}
    busy = {part: ticks for part, ticks in found.busy.items() if part in exposed}
    return RunResult(
        prompt_ids=found.prompt_ids,
        tokens=tuple(token.id for token in found.tokens),
        finish=found.finish,
        submitted=found.submitted,
        first_token=found.first_token,
        finished=found.finished,
        token_ticks=tuple(token.ticks for token in found.tokens),
        exposed=exposed,
        busy=busy,
        switches=found.switches,
        loaded_pages=found.loaded_pages,
    )


def _asked(request: RunRequest) -> InferRequest:
    return InferRequest(
        model=request.model,
        prompt=request.prompt,
        tokens=request.n_predict,
        mode=request.mode,
        threads=request.threads,
        context=request.context,
        ignore_eos=request.ignore_eos,
        drop_page_cache=request.drop_page_cache,
    )


def execute_on(client: Client, argv: Sequence[str], deadline: Deadline, *, limit: float = 0.0) -> ExecResult:
    """A program, run to its end by the agent of this client, which kills it after ``limit`` seconds (0: never)."""
    return _ended(client.spawn(argv, limit=limit).wait(deadline))


def _ended(found: answers.ExecResult) -> ExecResult:
    return ExecResult(found.status, found.out.decode(errors="replace"), found.err.decode(errors="replace"), found.ticks)


def beside_on(
    client: Client,
    request: RunRequest,
    argv: Sequence[str],
    period_seconds: float,
    phase_seconds: float,
    deadline: Deadline,
) -> BesideResult:
    """A program beside answers, as the agent of this client has it."""
    found = client.beside(_asked(request), argv, period_seconds, deadline, phase=phase_seconds)
    return BesideResult(_ended(found.program), found.answers, found.spent)


def measure_on(client: Client, kind: StepKind, count: int, batch: int, deadline: Deadline) -> Spent:
    """Steps that the driver makes and times, as the agent of this client has it."""
    found = client.measure(MeasureKind[kind.upper()], count, batch, deadline)
    return Spent(**asdict(found))


def stats_on(client: Client, deadline: Deadline) -> Stats:
    """The driver's and the monitor's counters, as the agent of this client has them."""
    found = client.stats(deadline)
    if not found.driver:
        return Stats()
    extra = {f"driver.{name}": value for name, value in found.driver.items()}
    extra |= {f"monitor.{name}": value for name, value in found.monitor.items()}
    return Stats(
        secure_pages=found.info["secure_now"],
        recallable_pages=found.info["recallable_now"],
        recalled=found.driver["recalled"],
        recall_pinned=found.driver["recall_pinned"],
        el3_max_ticks=found.monitor["el3_max_ticks"],
        el3_max_call=found.monitor["el3_max_call"],
        extra=extra,
    )
