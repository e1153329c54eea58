"""A model whose weights stay in secure memory, for the tests of what becomes of them there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flexkit import engine, models
from flexkit.deadline import Deadline
from flexkit.drivers import Session
from flexkit.events import Bus
from flexkit.link.client import InferRequest, InferResult


@dataclass(frozen=True)
class Resident:
    """A model of 25M parameters. Called, it answers a prompt, rightly; its weights stay in secure memory."""

    board: Session
    file: Path
    path: str
    """On the board."""
    prompt: str
    expected: tuple[int, ...]

    @classmethod
    def load(cls, board: Session, model: Path | None = None) -> Resident:
        """The model (or another one) on the board, nothing of it secure yet."""
        model = model or models.synthetic("25M", "q8_0", 1, Bus())
        prompt = models.prompt_of(model, 8, 3)
        path = board.put_model(model, Deadline(300, "25M model"))
        return cls(board, model, path, prompt, engine.reference_tokens(model, prompt, 2, ignore_eos=True).tokens)

    def infer(self, path: str, prompt: str, *, mode: str = "flexserve") -> InferResult:
        request = InferRequest(path, prompt, 2, threads=2, context=64, ignore_eos=True, mode=mode)
        return self.board.client.infer(request, Deadline(300, "inference"))

    def __call__(self) -> InferResult:
        result = self.infer(self.path, self.prompt)
        assert tuple(token.id for token in result.tokens) == self.expected
        return result

    def forget(self) -> None:
        self.board.client.forget(self.path, Deadline(60, "forget"))
