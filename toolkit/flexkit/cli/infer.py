"""``flexkit infer``: prompts on a board, their tokens as they come."""

from __future__ import annotations

from pathlib import Path

import click

from flexkit import boards
from flexkit.boards.schema import PAGE
from flexkit.cli.common import board_option, bus, json_option, print_json, timeout_option, write_raw
from flexkit.deadline import Deadline
from flexkit.drivers import Session, open_board
from flexkit.drivers.session import Via, flavour_of
from flexkit.errors import BadInput
from flexkit.link.client import MODES, InferRequest, InferResult, Token
from flexkit.link.protocol import CONVERSATION_TURNS, MESSAGE_MAX, PROMPT_BYTES
from flexkit.models import atrest, catalogue, inspect

_TEXT_BYTES = MESSAGE_MAX - 0x1000
"""Of all prompts: they go in one message, with what else is asked."""


def _check_prompts(prompts: tuple[str, ...], mode: str) -> None:
    """Raises BadInput for prompts that no model takes, and for conversations where there are none."""
    try:
        sizes = [len(prompt.encode()) for prompt in prompts]
    except UnicodeEncodeError:
        raise BadInput("the prompt is not UTF-8 text") from None
    if not all(sizes):
        raise BadInput("the prompt is empty")
    if max(sizes) > PROMPT_BYTES:
        raise BadInput(f"the prompt has {max(sizes)} bytes; at most {PROMPT_BYTES} are taken")
    if len(prompts) > 1 and mode != "flexserve":
        raise BadInput(f"mode {mode} has no conversations", mend="give one -p, or --mode flexserve")
    if len(prompts) > CONVERSATION_TURNS or sum(sizes) > _TEXT_BYTES:
        raise BadInput(f"a conversation has at most {CONVERSATION_TURNS} prompts, of {_TEXT_BYTES} bytes together")


def _context_for(prompts: tuple[str, ...], tokens: int, model: inspect.ModelInfo) -> int:
    """Tokens of context that prompts and answers need, at most the model's. Raises BadInput for what can be refused
    before a board is touched."""
    if tokens > model.shape.context:
        raise BadInput(f"{tokens} tokens are more than the context of {model.label} ({model.shape.context})")
    if model.tokenizer != "SentencePiece":
        return model.shape.context  # the board counts
    vocabulary = catalogue.vocabulary(model.path)
    # What comes behind the last answer is not computed any more.
    count = sum(len(vocabulary.encode(prompt)) for prompt in prompts) + tokens * (len(prompts) - 1)
    if count > model.shape.context:
        raise BadInput(f"the prompt has {count} tokens; the context of {model.label} is {model.shape.context}")
    return min(count + tokens, model.shape.context)


def _check_size(board: boards.Board, mode: str, model: inspect.ModelInfo) -> None:
    """Raises BadInput for a model that cannot be in this board's memory in this mode, whatever else is there."""
    secure = board.monitor.slots * PAGE if board.monitor else 0
    limits = {"flexserve": secure, "strawman": board.memory.cma_bytes, "strawman-opt": board.memory.cma_bytes}
    limit = min(limits.get(mode, board.memory.dram_size), board.memory.dram_size)
    if model.size > limit:
        raise BadInput(
            f"{model.label} has {model.size >> 20} MiB; {board.name} holds at most {limit >> 20} MiB in mode {mode}"
        )


def _stream(token: Token) -> None:
    write_raw(token.text)


def run(
    session: Session, request: InferRequest, more: tuple[str, ...], deadline: Deadline, quiet: bool
) -> list[InferResult]:
    """The request and the prompts behind it, their text written to standard output unless ``quiet``."""
    if quiet:
        return session.client.converse(request, more, deadline)
    return session.client.converse(request, more, deadline, _stream, lambda _: click.echo())


def _describe(session: Session, request: InferRequest, result: InferResult) -> dict[str, object]:
    hertz = session.identity.counter_hz / 1000
    count = len(result.tokens)
    decode = result.tokens[-1].ticks - result.tokens[0].ticks if count > 1 else 0
    return {
        "tokens": [token.id for token in result.tokens],
        "prompt_ids": list(result.prompt_ids),
        "text": result.text,
        "finish": result.finish,
        "ttft_ms": round((result.first_token - result.submitted) / hertz, 3),
        "tpot_ms": round(decode / hertz / (count - 1), 3) if count > 1 else None,
        "breakdown_ms": {name: round(ticks / hertz, 3) for name, ticks in result.exposed.items()},
        "mode": request.mode,
        "via": session.via,
        "board": session.instance.name,
        "build": session.deployment.identity,
    }


def describe(session: Session, request: InferRequest, turns: list[InferResult]) -> dict[str, object]:
    """One prompt as it is; of a conversation the last turn, and all of them under ``turns``."""
    described = [_describe(session, request, turn) for turn in turns]
    if len(turns) == 1:
        return described[0]
    for each, turn in zip(described, turns, strict=True):
        each["positions"] = {"kept": turn.kept, "opened": turn.opened, "recomputed": turn.recomputed}
    return described[-1] | {"turns": described}


@click.command()
@click.option("-m", "--model", required=True, help="A GGUF file, or a name that `flexkit models list` shows.")
@click.option(
    "-p",
    "--prompt",
    "prompts",
    required=True,
    multiple=True,
    help="The text to go on from. Several: the turns of one conversation (mode flexserve); --json then has `turns`.",
)
@click.option("-n", "--tokens", type=click.IntRange(1, 65536), default=64, show_default=True)
@click.option("--temp", type=float, default=0.0, show_default=True, help="Only 0 (greedy) is there.")
@click.option("--mode", type=click.Choice(list(MODES)), default="flexserve", show_default=True)
@click.option("--via", type=click.Choice(["serial", "ssh"]), default="serial", show_default=True)
@click.option("--threads", type=click.IntRange(1, 64), default=None, help="[default: as many as the board has cores]")
@click.option("--ignore-eos", is_flag=True, help="Go on to -n tokens.")
@board_option
@json_option
@timeout_option(600)
def infer(
    model: str,
    prompts: tuple[str, ...],
    tokens: int,
    temp: float,
    mode: str,
    via: Via,
    threads: int | None,
    ignore_eos: bool,
    board: str | None,
    lab: Path | None,
    as_json: bool,
    deadline: Deadline,
) -> None:
    """Run a prompt, or a conversation. Boots and stops the emulated board if none runs."""
    if temp != 0.0:
        raise BadInput(f"--temp {temp:g}: this build samples greedily only", mend="leave --temp at 0")
    _check_prompts(prompts, mode)
    instance = boards.resolve(board, lab)
    info = inspect.check(catalogue.find(model, bus(), deadline))
    _check_size(instance.type, mode, info)
    context = _context_for(prompts, tokens, info)
    files = [atrest.for_mode(info.path, mode, deadline)]
    with open_board(instance, deadline, bus(), flavour=flavour_of(mode), via=via, models=files) as session:
        request = InferRequest(
            model=session.put_model(info.path, deadline, mode),
            prompt=prompts[0],
            tokens=tokens,
            mode=mode,
            threads=threads or instance.type.cpu.cores,
            context=context,
            ignore_eos=ignore_eos,
        )
        turns = run(session, request, prompts[1:], deadline, as_json)
        if as_json:
            print_json(describe(session, request, turns))


COMMANDS: list[click.Command] = [infer]
