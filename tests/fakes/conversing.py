"""A conversation on a board, led step by step (tests/system/programs/converse.c), and what it has to come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flexkit import engine, paths
from flexkit.build import tools
from flexkit.deadline import Deadline
from flexkit.drivers import Session
from flexkit.link.answers import Job
from flexkit.link.protocol import Msg, Tag
from flexkit.proc import run

CONTEXT = 256
TOKENS = 12
"""Of each answer."""
PROGRAM = "/tmp/converse"
_SOURCE = Path(__file__).resolve().parents[1] / "system/programs/converse.c"
_SECONDS = 120.0


class Failed(Exception):
    """A step was answered with an errno."""

    def __init__(self, number: int) -> None:
        super().__init__(f"errno {number}")
        self.number = number


@dataclass(frozen=True)
class Turn:
    """Ids of a prompt and of its answer, and what was done for the positions that were known before."""

    prompt_ids: tuple[int, ...]
    tokens: tuple[int, ...]
    kept: int = 0
    opened: int = 0
    recomputed: int = 0


def install(board: Session, folder: Path) -> None:
    """The program, on the board."""
    limit = Deadline(_SECONDS, "the conversing program")
    program, abi = folder / "converse", paths.project() / "firmware/abi"
    words = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-s", "-I", str(abi), "-o", str(program)]
    run([f"{tools.CROSS}gcc", *words, str(_SOURCE)], limit)
    board.put_file(program, PROGRAM, limit)
    board.client.check(f"chmod +x {PROGRAM}", limit)


class Conversation:
    """A client of the driver's own, on the board."""

    def __init__(self, board: Session, model: str) -> None:
        self._board = board
        self._job: Job = board.client.spawn([PROGRAM, model, str(CONTEXT)], stdin=True)
        self._read = 0

    def ask(self, line: str) -> list[str]:
        """The words behind "ok". Raises Failed."""
        limit = Deadline(_SECONDS, line)
        self._job.exchange.send(Msg.INPUT, [(Tag.DATA, line.encode() + b"\n")])
        while (end := self._job.out.find(b"\n", self._read)) < 0:
            assert self._job.result is None, self._job.err.decode()
            self._job.take(self._job.exchange.next(limit))
        words = self._job.out[self._read : end].decode().split()
        self._read = end + 1
        if words[0] != "ok":
            raise Failed(int(words[1]))
        return words[1:]

    def _turn(self, how: str, prompt: str) -> Turn:
        words = self.ask(f"{how} {TOKENS} {prompt}")
        split = words.index(":")
        kept, opened, recomputed, *ids = (int(word) for word in words[:split])
        return Turn(tuple(ids), tuple(int(word) for word in words[split + 1 :]), kept, opened, recomputed)

    def begin(self, prompt: str) -> Turn:
        return self._turn("begin", prompt)

    def turn(self, prompt: str) -> Turn:
        return self._turn("turn", prompt)

    def kill(self) -> None:
        """The client is killed."""
        self._board.client.connection.cancel(self._job.exchange)

    def end(self) -> None:
        """The client goes."""
        self._job.exchange.send(Msg.INPUT, [])
        assert self._job.wait(Deadline(_SECONDS, "end of the conversation")).status == 0


def known(turns: Sequence[Turn]) -> int:
    """Positions that have been computed after these turns: of all tokens but the last."""
    return max(sum(len(turn.prompt_ids) + len(turn.tokens) for turn in turns) - 1, 0)


def reference(file: Path, prompts: Sequence[str]) -> list[Turn]:
    """The turns by the host's scalar engine: before each answer all ids so far, computed in one go."""
    turns: list[Turn] = []
    with engine.Model(file) as model:
        for prompt in prompts:
            before = [each for turn in turns for each in (*turn.prompt_ids, *turn.tokens)]
            ids = model.tokenize(prompt)[1 if turns else 0 :]
            with model.session(CONTEXT) as session:
                session.forward([*before, *ids])
                tokens = [session.greedy()]
                while len(tokens) < TOKENS:
                    session.forward(tokens[-1:])
                    tokens.append(session.greedy())
            turns.append(Turn(ids, tuple(tokens)))
    return turns


def cache_after(file: Path, turns: Sequence[Turn]) -> list[bytes]:
    """The KV cache that these turns leave, in pieces."""
    ids = [each for turn in turns for each in (*turn.prompt_ids, *turn.tokens)]
    with engine.Model(file) as model, model.session(CONTEXT) as session:
        session.forward(ids[:-1])
        return session.kv()
