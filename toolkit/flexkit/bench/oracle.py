"""What the tokens have to be: the host's reference engine, its answers kept on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from flexkit import paths, whole
from flexkit.bench.board import RunResult
from flexkit.bench.record import WrongTokens
from flexkit.digest import sha256_of


@dataclass(frozen=True)
class Expected:
    """The right answer to one prompt."""

    prompt_ids: tuple[int, ...]
    tokens: tuple[int, ...]
    engine: str

    @property
    def reference(self) -> str:
        """What a row's ``reference`` says: the engine and the first 12 digits of the SHA-256 of the expected ids."""
        return f"{self.engine}:{_digest(list(self.tokens))[:12]}"

    def check(self, result: RunResult) -> None:
        """WrongTokens, with the first place that differs."""
        _same("prompt token", self.prompt_ids, result.prompt_ids)
        self.check_tokens(result.tokens)

    def check_tokens(self, tokens: Sequence[int]) -> None:
        """The same for an answer whose prompt was checked before."""
        _same("token", self.tokens, tokens)


class Oracle(Protocol):
    """The reference engine."""

    def expect(self, model: Path, prompt: str, n: int, context: int) -> Expected:
        """The greedy answer of n tokens, end-of-sequence ignored."""


@dataclass
class CachedOracle:
    """Keeps answers under the cache, by everything that they depend on. ``identity`` names the engine's own build: an
    answer of another one is not used."""

    inner: Oracle
    identity: str
    sha256: Callable[[Path], str]
    folder: Path | None = None

    def expect(self, model: Path, prompt: str, n: int, context: int) -> Expected:
        """The answer from disk where it is known. Raises what the engine raises."""
        folder = self.folder or paths.cache() / "reference"
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / (_digest([self.identity, self.sha256(model), prompt, n, context])[:32] + ".json")
        known = _kept(file)
        if known is not None:
            return known
        fresh = self.inner.expect(model, prompt, n, context)
        kept = {"prompt_ids": fresh.prompt_ids, "tokens": fresh.tokens, "engine": fresh.engine}
        whole.write_text(file, json.dumps(kept))
        return fresh


def _kept(file: Path) -> Expected | None:
    """An answer from disk; None when there is none, or none that can be read."""
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
        return Expected(tuple(known["prompt_ids"]), tuple(known["tokens"]), known["engine"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def folder_identity(folder: Path, suffixes: Sequence[str]) -> str:
    """One digest of all files with these endings under a folder, names and bytes."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in suffixes)
    return _digest([[path.relative_to(folder).as_posix(), sha256_of(path)] for path in files])


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def _same(what: str, expected: Sequence[int], got: Sequence[int]) -> None:
    for i, (right, given) in enumerate(zip(expected, got, strict=False)):
        if right != given:
            raise WrongTokens(f"{what} {i + 1} is {given}, the reference has {right}")
    if len(expected) != len(got):
        raise WrongTokens(f"{len(got)} {what}s, the reference has {len(expected)}")
