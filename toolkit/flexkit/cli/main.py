"""The ``flexkit`` program: imports a command's module when the command is run, and turns failures into exit codes."""

from __future__ import annotations

import errno
import importlib
import signal
import sys
import traceback
from types import FrameType
from typing import Any, NoReturn

import click

from flexkit import __version__
from flexkit.cli.common import App, NobodyReads, Progress, forget_unwritten, noticing_nobody_reads
from flexkit.errors import BadInput, FlexError, MissingTool
from flexkit.events import Bus

# command -> (module of flexkit.cli, one line of help); so that --help and a quick command import nothing else
_COMMANDS: dict[str, tuple[str, str]] = {
    "doctor": ("doctor", "What is missing on this machine, and the command that mends it."),
    "boards": ("boards", "Board types and the site's boards."),
    "build": ("build", "Build the images of a board."),
    "flash": ("flash", "Write what was built onto a board and verify it."),
    "state": ("board", "What a board is doing and what runs on it."),
    "power": ("board", "Switch a board on or off."),
    "console": ("board", "Talk to a board's serial console."),
    "shell": ("board", "Run a command on a board."),
    "infer": ("infer", "Run a prompt on a board."),
    "bench": ("bench", "Measure, and leave a report."),
    "report": ("report", "Show and compare reports."),
    "models": ("models", "Models: list, inspect, make."),
    "cache": ("cache", "What builds keep on this machine."),
}

_INTERRUPTED = 130
_OF_THE_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM,
                   errno.EMFILE, errno.ENFILE, errno.ENOMEM}  # fmt: skip
"""What the system refuses for reasons of its own, whoever asks."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are needed."""

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        with noticing_nobody_reads():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: click.Context) -> Any:
        with noticing_nobody_reads():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"flexkit.cli.{_COMMANDS[cmd_name][0]}")
        found: list[click.Command] = [each for each in module.COMMANDS if each.name == cmd_name]
        return found[0] if found else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@click.option("-v", "--verbose", count=True, help="Say more about what is done.")
@click.version_option(__version__, prog_name="flexkit")
@click.pass_context
def cli(context: click.Context, debug: bool, verbose: int) -> None:
    """Build, flash, drive and measure FlexServe: LLM inference inside Arm TrustZone."""
    context.obj = App(Bus([Progress(verbose=verbose)]), debug, verbose)


def _terminate(number: int, _frame: FrameType | None) -> NoReturn:
    """SIGTERM and SIGHUP end a command the way Ctrl-C does: whatever it started is ended on the way out."""
    raise SystemExit(128 + number)


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code. Failures become one message on standard error."""
    debug = "--debug" in arguments
    try:
        result = cli.main(arguments, prog_name="flexkit", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except NobodyReads as error:
        return error.exit_code
    except FlexError as error:
        if debug:
            traceback.print_exc()
        return _told(error)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        return _told(BadInput(_sentence(error.format_message()), mend=_help_of(error)))
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return _INTERRUPTED
    except Exception as error:
        if debug:
            raise
        if isinstance(error, OSError) and error.errno in _OF_THE_MACHINE:
            forget_unwritten()
            what = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
            return _told(MissingTool(what, mend="flexkit doctor shows which folders are used, and what they lack"))
        fault = "this is a fault in flexkit; run it again as: flexkit --debug …"
        return _told(FlexError(f"{type(error).__name__}: {error}", mend=fault))


def _told(error: FlexError) -> int:
    """Say it on standard error; its exit code."""
    click.echo(f"error: {error.message}", err=True)
    if error.mend:
        click.echo(f"  {error.mend}", err=True)
    return error.exit_code


def _sentence(message: str) -> str:
    """One line, as every other error of ours."""
    words = " ".join(message.split()).removesuffix(".")
    return words[:1].lower() + words[1:]


def _help_of(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"see: {context.command_path} --help" if context else ""


def main() -> NoReturn:
    """Entry point of the console script."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _terminate)
    sys.exit(run(sys.argv[1:]))
