"""What every command shares: the time limit, the board, ``--json``, and progress on standard error."""

from __future__ import annotations

import functools
import json
import math
import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, ParamSpec, TextIO, TypeVar

import click

from flexkit.deadline import Deadline
from flexkit.errors import BadInput, FlexError
from flexkit.events import Bus, Event, Phase

P = ParamSpec("P")
R = TypeVar("R")

_WORTH_TELLING_SECONDS = 1.0


@dataclass
class Progress:
    """Prints steps to a stream: one line as each begins, one when it was long or failed, notes when ``verbose``. Where
    nobody reads them (any more) the work goes on all the same."""

    stream: TextIO | None = field(default_factory=lambda: sys.stderr)
    verbose: int = 0
    _open_line: bool = False

    def __call__(self, event: Event) -> None:
        if event.phase is Phase.BEGIN:
            self._line(f"{event.step}{': ' + event.detail if event.detail else ''}")
        elif event.phase is Phase.PROGRESS:
            self._counter(event)
        elif event.phase is Phase.NOTE:
            if self.verbose:
                self._line(f"  {event.step}: {event.detail}")
        elif event.error is not None:
            self._line(f"  {event.step}: failed after {event.seconds:.1f} s")
        elif event.seconds >= _WORTH_TELLING_SECONDS:
            self._line(f"  {event.step}: {event.seconds:.1f} s")

    def _line(self, text: str) -> None:
        self._write("\n" + text + "\n" if self._open_line else text + "\n")
        self._open_line = False

    def _write(self, text: str) -> None:
        if self.stream is None:
            return
        try:
            self.stream.write(text)
            self.stream.flush()
        except BrokenPipeError:
            _to_nowhere(self.stream)
            self.stream = None

    def _counter(self, event: Event) -> None:
        """A counter that rewrites its line; nothing where the stream is not a terminal."""
        if self.stream is None or not self.stream.isatty():
            return
        share = f"{100 * event.done // event.total:3d} %" if event.total else str(event.done)
        self._write(f"\r  {event.step}: {share}")
        self._open_line = True


class NobodyReads(FlexError):
    """Whoever read standard output has gone. Nothing is said; the exit code is that of any program which SIGPIPE ends,
    for what the others stand for was not told to anybody."""

    exit_code: ClassVar[int] = 141


@contextmanager
def noticing_nobody_reads() -> Iterator[None]:
    """Raises NobodyReads for a broken pipe that is standard output or error. (click itself would end with status 1,
    which has a meaning here.)"""
    try:
        yield
    except BrokenPipeError as error:
        gone = [stream for stream in (sys.stdout, sys.stderr) if _unread(stream)]
        if not gone:
            raise
        for stream in gone:
            _to_nowhere(stream)
        raise NobodyReads("nobody reads the output any more") from error


def _unread(stream: TextIO | None) -> bool:
    """Whether it is a pipe that has lost its reader."""
    if stream is None:
        return False
    state = select.poll()
    state.register(stream, 0)
    return any(events & select.POLLERR for _, events in state.poll(0))


def _to_nowhere(stream: TextIO) -> None:
    """What is still buffered goes nowhere, instead of failing once more when the program ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def forget_unwritten() -> None:
    """After an error of standard output itself (a full disk): the program's end does not meet it once more."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError:
        _to_nowhere(sys.stdout)


def write_raw(chunk: bytes) -> None:
    """Bytes of the board, as they are, at once on standard output. Raises NobodyReads, which nobody below takes for a
    lost board."""
    if sys.stdout is None:  # closed from the start
        return
    with noticing_nobody_reads():
        sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()


@dataclass
class App:
    """State of one invocation, in ``click.Context.obj``."""

    bus: Bus
    debug: bool = False
    verbose: int = 0


def bus() -> Bus:
    """The event bus of the running command; progress on standard error is subscribed already."""
    context = click.get_current_context(silent=True)
    app = context.find_object(App) if context else None
    return app.bus if app else Bus([Progress()])


class FiniteFloat(click.FloatRange):
    """A number within a range; ``nan`` and ``inf``, which every range of floats lets through, are none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a number of this range", param, ctx)
        return number


def timeout_option(seconds: float) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Add ``--timeout SECONDS`` (default ``seconds``); the command gets it as ``deadline``."""

    def decorate(command: Callable[..., R]) -> Callable[..., R]:
        @click.option(
            "--timeout",
            type=FiniteFloat(min=0.0, min_open=True),
            default=seconds,
            show_default=True,
            metavar="SECONDS",
            help="Give up after this long (exit code 7).",
        )
        @functools.wraps(command)
        def run(*arguments: Any, timeout: float, **options: Any) -> R:
            context = click.get_current_context(silent=True)
            what = context.info_name if context and context.info_name else command.__name__
            return command(*arguments, deadline=Deadline(timeout, what), **options)

        return run

    return decorate


def lab_option(command: Callable[..., R]) -> Callable[..., R]:
    """Add ``--lab``; the command gets ``lab`` (Path or None)."""
    return click.option(
        "--lab", type=click.Path(path_type=Path, dir_okay=False), default=None, help="The site's lab file."
    )(command)


def board_option(command: Callable[..., R]) -> Callable[..., R]:
    """Add ``-b/--board`` and ``--lab``; the command gets ``board`` (str or None) and ``lab`` (Path or None)."""
    command = lab_option(command)
    return click.option(
        "-b",
        "--board",
        default=None,
        metavar="BOARD",
        help="A board of the lab, or an emulated type. [default: $FLEXKIT_BOARD, the lab file's, qemu-virt]",
    )(command)


def json_option(command: Callable[..., R]) -> Callable[..., R]:
    """Add ``--json``; the command gets ``as_json`` and ends with ``print_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print one line of JSON, the last on standard output.")(
        command
    )


def print_json(value: object) -> None:
    """The one compact line of ``--json``."""
    click.echo(json.dumps(value, separators=(",", ":"), ensure_ascii=False))


def source_option(command: Callable[..., R]) -> Callable[..., R]:
    """Add ``--source NAME=PATH``; the command gets them as ``sources: dict[str, Path]``."""

    @click.option(
        "--source",
        "given",
        multiple=True,
        metavar="NAME=PATH",
        help="A source tree of your own (tf-a, linux, u-boot), or a vendor's piece that a board lacks.",
    )
    @functools.wraps(command)
    def run(*arguments: Any, given: tuple[str, ...], **options: Any) -> R:
        return command(*arguments, sources=_sources(given), **options)

    return run


def _sources(words: tuple[str, ...]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for word in words:
        name, equals, path = word.partition("=")
        if not equals or not path:
            raise BadInput(f"--source {word}: it must be NAME=PATH")
        found[name] = Path(path).resolve()
        if not found[name].exists():
            raise BadInput(f"--source {word}: there is no {found[name]}")
    return found
