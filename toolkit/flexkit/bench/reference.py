"""The parts of the toolkit that a benchmark leans on: models, prompts and the host's reference engine."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from flexkit import models, paths
from flexkit.bench.lines import SUFFIXES
from flexkit.bench.oracle import CachedOracle, Expected, folder_identity
from flexkit.bench.session import ModelFile
from flexkit.bench.suites import ModelSpec
from flexkit.digest import sha256_of
from flexkit.engine import reference_tokens
from flexkit.events import Bus

ENGINE_NAME = "host-scalar"


class HostEngine:
    """The scalar build of the engine on this host, itself checked against llama.cpp (tests/oracle)."""

    def expect(self, model: Path, prompt: str, n: int, context: int) -> Expected:
        """The greedy answer. ``context`` only bounds it: the answer does not depend on room that is not used."""
        answer = reference_tokens(model, prompt, n, ignore_eos=True)
        return Expected(answer.prompt_ids, answer.ids, ENGINE_NAME)


def oracle() -> CachedOracle:
    """The reference, its answers kept for as long as the engine's sources are the same."""
    sources = paths.project() / "firmware" / "payload" / "engine"
    return CachedOracle(HostEngine(), folder_identity(sources, SUFFIXES), sha256_of)


def model_files(specs: Iterable[ModelSpec], bus: Bus) -> dict[ModelSpec, ModelFile]:
    """Every model on this host, made where it is synthetic."""
    return {spec: _file(spec, bus) for spec in specs}


def prompt_of(model: Path, tokens: int) -> str:
    """The beginning of a story, the same in every run."""
    return models.prompt_of(model, tokens, seed=1)


def _file(spec: ModelSpec, bus: Bus) -> ModelFile:
    path = models.synthetic(spec.params, spec.quant, spec.seed, bus) if spec.params else models.demo_model()
    return ModelFile(spec, path, f"{spec.name}@{sha256_of(path)[:12]}")
