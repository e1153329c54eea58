"""The training loop and the measure of what came out. Needs the optional extra ``train``; import it late.

One thread and fixed seeds: the same recipe with the same torch on the same kind of processor gives the same weights.
A run can be stopped at any time and goes on from its last checkpoint with the same data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from flexkit.deadline import Deadline
from flexkit.errors import BadInput
from flexkit.events import Bus
from flexkit.models import grammar, network
from flexkit.models.grammar import Mark
from flexkit.models.network import Weights
from flexkit.models.recipe import Encoder, Recipe, Stage, Token, batches
from flexkit.models.shape import Shape
from flexkit.models.vocabulary import Vocabulary

_SHARES = 8  # prompts are cut after 1/10, 2/10, ... 8/10 of a story in turn
_PADDING = -1
_EVERY = 250
_PLAIN = Stage(
    steps=1, even_steps=0, batch=1, warmup=0, rate=0, final_rate=0, decay=0, tie=1
)  # counts every token once


@dataclass(frozen=True)
class Quality:
    """What a trained model is worth.

    ``loss``: mean cross-entropy of a token. ``ties``: share of the tokens settled by the story so far (Mark.TIE) that
    the model thinks likeliest. ``coherent``: share of greedy endings that make a story the parser accepts.
    """

    loss: float
    ties: float
    coherent: float
    stories: int


@dataclass(frozen=True)
class Reading:
    """What a model makes of every next token of a batch, flat: cross-entropy, whether it was the best, its mark, how
    much it counts."""

    losses: Tensor
    hits: Tensor
    marks: Tensor
    counts: Tensor

    def mean(self) -> Tensor:
        """Mean cross-entropy, each token counted as its stage says."""
        return (self.losses * self.counts).sum() / self.counts.sum()


def read(weights: Weights, shape: Shape, tales: list[list[Token]]) -> Reading:
    """The stories read side by side, padding left out."""
    longest = max(map(len, tales))
    padded = [tale + [Token(_PADDING, Mark.PLAIN, 0.0)] * (longest - len(tale)) for tale in tales]
    ids = torch.tensor([[token.id for token in tale] for tale in padded])
    targets = ids[:, 1:].flatten()
    real = targets != _PADDING
    logits = network.forward(weights, shape, ids[:, :-1].clamp(min=0)).flatten(0, 1)[real]
    return Reading(
        losses=F.cross_entropy(logits, targets[real], reduction="none"),
        hits=logits.argmax(-1) == targets[real],
        marks=torch.tensor([[token.mark for token in tale[1:]] for tale in padded]).flatten()[real],
        counts=torch.tensor([[token.weight for token in tale[1:]] for tale in padded]).flatten()[real],
    )


def measure(weights: Weights, shape: Shape, words: Vocabulary, stories: int) -> Quality:
    """Quality over the stories of seeds 0 to ``stories``, never trained on."""
    encoder = Encoder(words)
    with torch.no_grad():
        tales = [encoder.story(grammar.marked(seed), _PLAIN) for seed in range(stories)]
        reading = read(weights, shape, tales)
    ties = float(reading.hits[reading.marks == Mark.TIE].double().mean())
    good = 0
    for seed in range(stories):
        prompt = words.encode(grammar.opening(seed, (seed % _SHARES + 1) / 10))
        ending = network.continue_greedily(weights, shape, prompt, shape.context - len(prompt), words.eos)
        good += grammar.judge(words.decode(prompt + ending)).complete
    return Quality(float(reading.losses.mean()), ties, good / stories, stories)


def _optimisers(stage: Stage, weights: Weights) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside layers, AdamW for embedding, head and norms, both at the stage's rate."""
    inner = [name for name in weights if name.startswith("blk.") and weights[name].dim() > 1]
    outer = [tensor for name, tensor in weights.items() if name not in inner]
    return [
        torch.optim.Muon(
            [weights[name] for name in inner],
            lr=stage.rate,
            weight_decay=stage.decay,
            momentum=0.95,
            adjust_lr_fn="match_rms_adamw",
        ),
        torch.optim.AdamW(outer, lr=stage.rate, betas=(0.9, 0.95), weight_decay=0.0, fused=True),
    ]


class Run:
    """A training run: weights, the stage and its optimisers, the step in it, and the checkpoint that keeps them."""

    def __init__(self, recipe: Recipe, words: Vocabulary, folder: Path) -> None:
        """Start, or go on from the checkpoint in ``folder``. Raises BadInput when that is another recipe's."""
        torch.set_num_threads(1)
        self.recipe, self.words = recipe, words
        self.weights = network.initial(recipe.shape, recipe.seed)
        self._enter(0)
        folder.mkdir(parents=True, exist_ok=True)
        self.checkpoint = folder / f"{recipe.name}.pt"
        if self.checkpoint.exists():
            self._restore()

    def _enter(self, number: int) -> None:
        """Begin a stage: fresh optimisers, step 0."""
        self.number, self.step = number, 0
        self.optimisers = _optimisers(self.recipe.stages[number], self.weights)

    def _restore(self) -> None:
        kept = torch.load(self.checkpoint, weights_only=True)
        if kept["recipe"] != repr(self.recipe):
            raise BadInput(f"{self.checkpoint}: is a checkpoint of another recipe", mend="remove it, or give --work")
        self._enter(kept["stage"])
        self.step = kept["step"]
        for optimiser, state in zip(self.optimisers, kept["optimisers"], strict=True):
            optimiser.load_state_dict(state)
        with torch.no_grad():
            for name, tensor in self.weights.items():
                tensor.copy_(kept["weights"][name])

    def save(self) -> None:
        """Write the checkpoint: the old one or the new one is there whole, whatever happens."""
        draft = self.checkpoint.with_suffix(".new")
        state = {"recipe": repr(self.recipe), "stage": self.number, "step": self.step, "weights": self.weights}
        torch.save({**state, "optimisers": [each.state_dict() for each in self.optimisers]}, draft)
        draft.replace(self.checkpoint)

    def _advance(self, stage: Stage, tales: list[list[Token]]) -> float:
        """One step; returns its loss."""
        loss = read(self.weights, self.recipe.shape, tales).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(self.weights.values()), 1.0)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = stage.rate_at(self.step)
            optimiser.step()
            optimiser.zero_grad()
        self.step += 1
        return float(loss.item())

    def finish(self, bus: Bus, deadline: Deadline) -> None:
        """Train to the end of the last stage, saving on the way and at the deadline, which raises TimedOut."""
        for number in range(self.number, len(self.recipe.stages)):
            if number != self.number:
                self._enter(number)
            self._stage(self.recipe.stages[number], bus, deadline)

    def _stage(self, stage: Stage, bus: Bus, deadline: Deadline) -> None:
        smooth = math.nan
        with bus.step("train", f"{self.recipe.name}, stage {self.number + 1}") as progress:
            for tales in batches(self.recipe, self.number, Encoder(self.words), self.step):
                if self.step >= stage.steps:
                    break
                loss = self._advance(stage, tales)
                smooth = loss if math.isnan(smooth) else 0.95 * smooth + 0.05 * loss
                progress(self.step, stage.steps)
                if self.step % _EVERY == 0 or self.step == stage.steps or deadline.expired:
                    self.save()
                    bus.note("train", f"step {self.step}: loss {smooth:.4f}")
                    deadline.check()
