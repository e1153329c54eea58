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
from flexkit.models.recipe import Encoder, Recipe, Token, batches
from flexkit.models.shape import Shape
from flexkit.models.vocabulary import Vocabulary

_SHARES = 8  # prompts are cut after 1/10, 2/10, ... 8/10 of a story in turn
_PADDING = -1
_EVERY = 250


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
    """What a model makes of every next token of a batch. Flat tensors: cross-entropy, whether it was the best, mark."""

    losses: Tensor
    hits: Tensor
    marks: Tensor

    def mean(self, by_mark: tuple[float, ...]) -> Tensor:
        """Mean cross-entropy, each token counted as its mark says."""
        counts = torch.tensor(by_mark)[self.marks]
        return (self.losses * counts).sum() / counts.sum()


def read(weights: Weights, shape: Shape, tales: list[list[Token]]) -> Reading:
    """The stories read side by side, padding left out."""
    longest = max(map(len, tales))
    padded = [tale + [(_PADDING, Mark.PLAIN)] * (longest - len(tale)) for tale in tales]
    tokens, marks = torch.tensor(padded).unbind(-1)
    targets = tokens[:, 1:].flatten()
    real = targets != _PADDING
    logits = network.forward(weights, shape, tokens[:, :-1].clamp(min=0)).flatten(0, 1)[real]
    losses = F.cross_entropy(logits, targets[real], reduction="none")
    return Reading(losses, logits.argmax(-1) == targets[real], marks[:, 1:].flatten()[real])


def measure(weights: Weights, shape: Shape, words: Vocabulary, stories: int) -> Quality:
    """Quality over the stories of seeds 0 to ``stories``, never trained on."""
    encoder = Encoder(words)
    with torch.no_grad():
        reading = read(weights, shape, [encoder.story(grammar.marked(seed)) for seed in range(stories)])
    ties = float(reading.hits[reading.marks == Mark.TIE].double().mean())
    good = 0
    for seed in range(stories):
        prompt = words.encode(grammar.opening(seed, (seed % _SHARES + 1) / 10))
        ending = network.continue_greedily(weights, shape, prompt, shape.context - len(prompt), words.eos)
        good += grammar.judge(words.decode(prompt + ending)).complete
    return Quality(float(reading.losses.mean()), ties, good / stories, stories)


def _optimisers(recipe: Recipe, weights: Weights) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside layers, AdamW for embedding, head and norms, both at the recipe's rate."""
    inner = [name for name in weights if name.startswith("blk.") and weights[name].dim() > 1]
    outer = [tensor for name, tensor in weights.items() if name not in inner]
    return [
        torch.optim.Muon(
            [weights[name] for name in inner],
            lr=recipe.rate,
            weight_decay=recipe.decay,
            momentum=0.95,
            adjust_lr_fn="match_rms_adamw",
        ),
        torch.optim.AdamW(outer, lr=recipe.rate, betas=(0.9, 0.95), weight_decay=0.0, fused=True),
    ]


class Run:
    """A training run: weights, optimiser, step, and the checkpoint that keeps them."""

    def __init__(self, recipe: Recipe, words: Vocabulary, folder: Path) -> None:
        """Start, or go on from the checkpoint in ``folder``. Raises BadInput when that is another recipe's."""
        torch.set_num_threads(1)
        self.recipe, self.words, self.step = recipe, words, 0
        self.weights = network.initial(recipe.shape, recipe.seed)
        self.optimisers = _optimisers(recipe, self.weights)
        folder.mkdir(parents=True, exist_ok=True)
        self.checkpoint = folder / f"{recipe.name}.pt"
        if self.checkpoint.exists():
            self._restore()

    def _restore(self) -> None:
        kept = torch.load(self.checkpoint, weights_only=True)
        if kept["recipe"] != repr(self.recipe):
            raise BadInput(f"{self.checkpoint}: is a checkpoint of another recipe", mend="remove it, or give --work")
        self.step = kept["step"]
        for optimiser, state in zip(self.optimisers, kept["optimisers"], strict=True):
            optimiser.load_state_dict(state)
        with torch.no_grad():
            for name, tensor in self.weights.items():
                tensor.copy_(kept["weights"][name])

    def save(self) -> None:
        """Write the checkpoint: the old one or the new one is there whole, whatever happens."""
        draft = self.checkpoint.with_suffix(".new")
        state = {"recipe": repr(self.recipe), "step": self.step, "weights": self.weights}
        torch.save({**state, "optimisers": [each.state_dict() for each in self.optimisers]}, draft)
        draft.replace(self.checkpoint)

    def _advance(self, tales: list[list[Token]]) -> float:
        """One step; returns its loss."""
        loss = read(self.weights, self.recipe.shape, tales).mean(self.recipe.weights)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(self.weights.values()), 1.0)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = self.recipe.rate_at(self.step)
            optimiser.step()
            optimiser.zero_grad()
        self.step += 1
        return float(loss.item())

    def finish(self, bus: Bus, deadline: Deadline) -> None:
        """Train to the recipe's last step, saving on the way and at the deadline, which raises TimedOut."""
        smooth = math.nan
        with bus.step("train", self.recipe.name) as progress:
            for tales in batches(self.recipe, Encoder(self.words), self.step):
                if self.step >= self.recipe.steps:
                    break
                loss = self._advance(tales)
                smooth = loss if math.isnan(smooth) else 0.95 * smooth + 0.05 * loss
                progress(self.step, self.recipe.steps)
                if self.step % _EVERY == 0 or self.step == self.recipe.steps or deadline.expired:
                    self.save()
                    bus.note("train", f"step {self.step}: loss {smooth:.4f}")
                    deadline.check()
