"""``flexkit models``: the models there are, whether a file is one, synthetic ones, and training the demo."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from flexkit import paths
from flexkit.cli.common import bus, json_option, print_json, timeout_option
from flexkit.deadline import Deadline
from flexkit.errors import BadInput
from flexkit.models import catalogue, gguf_file, inspect, seal, sealed, synth, train
from flexkit.models.recipe import Recipe

_QUANTS = click.Choice(sorted(gguf_file.QUANTS), case_sensitive=False)


@click.group()
def models() -> None:
    """List, check and make models."""


@models.command("list")
@json_option
@timeout_option(60)
def list_models(as_json: bool, deadline: Deadline) -> None:
    """The models of the catalogue. Synthetic ones are made when they are first used."""
    rows = []
    for entry in catalogue.load().values():
        here = entry.path.is_file()
        rows.append({"name": entry.name, "title": entry.title, "path": str(entry.path) if here else None})
        deadline.check()
    if as_json:
        print_json({"models": rows})
        return
    for row in rows:
        click.echo(f"{row['name']:<12} {row['title']:<56} {row['path'] or 'made when first used'}")


@models.command("inspect")
@click.argument("model")
@json_option
@timeout_option(120)
def inspect_model(model: str, as_json: bool, deadline: Deadline) -> None:
    """Check MODEL (a file, sealed or not, or a name of the catalogue) and say what it is."""
    if _is_sealed(Path(model)):
        _show(_sealed_facts(Path(model), seal.read_facts(Path(model))), as_json)
        return
    info = inspect.check(catalogue.find(model, bus(), deadline))
    deadline.check()
    shape = info.shape
    facts = {
        "path": str(info.path),
        "name": info.name,
        "architecture": info.architecture,
        "params": info.params,
        "quant": info.quant,
        "size_bytes": info.size,
        "sha256": info.sha256,
        "tokenizer": info.tokenizer,
        "vocabulary": shape.vocab,
        "context": shape.context,
        "dim": shape.dim,
        "layers": shape.layers,
        "heads": shape.heads,
        "kv_heads": shape.kv_heads,
        "ffn": shape.ffn,
    }
    _show(facts, as_json)


def _show(facts: Mapping[str, object], as_json: bool) -> None:
    if as_json:
        print_json(dict(facts))
        return
    for name, value in facts.items():
        click.echo(f"{name:<13} {value}")


def _is_sealed(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        with path.open("rb") as stream:
            return sealed.is_sealed(stream.read(len(sealed.MAGIC)))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}") from error


def _sealed_facts(path: Path, facts: sealed.Facts) -> dict[str, object]:
    """What can be said of a sealed model without opening it."""
    return {
        "path": str(path),
        "name": facts.name,
        "model_id": facts.model.hex(),
        "version": facts.version,
        "sealing": facts.sealing.hex(),
        "board_key": facts.board_key,
        "test_key": facts.board_key == sealed.test_key().name,
        "chunks": facts.chunks,
        "size_bytes": facts.file_size,
        "gguf_bytes": facts.size,
    }


@models.command("seal")
@click.argument("model")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="[default: MODEL.sealed here]")
@click.option("--name", help="Which model it is: versions of one name follow each other. [default: the file's name]")
@click.option("--model-version", type=click.IntRange(1, (1 << 64) - 1), default=1, show_default=True)
@json_option
@timeout_option(600)
def seal_model(
    model: str, output: Path | None, name: str | None, model_version: int, as_json: bool, deadline: Deadline
) -> None:
    """Encrypt MODEL (a file, or a name of the catalogue) for the board's key, in layer order."""
    source = catalogue.find(model, bus(), deadline)
    inspect.check(source)
    order = seal.Order(source, name or source.stem, model_version, sealed.test_key())
    target = output or Path(f"{source.stem}.sealed")
    facts = _sealed_facts(target, seal.seal(order, target, deadline))
    if as_json:
        print_json(facts)
        return
    click.echo(f"{target}: {facts['name']} version {facts['version']}, {facts['chunks']} chunks")
    click.echo(f"sealed for the published test key {facts['board_key']}: it protects nothing", err=True)


@models.command("unseal")
@click.argument("model", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--check", is_flag=True, help="Open every chunk as the secure world would, and write nothing.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="The GGUF.")
@click.option("--min-version", type=click.IntRange(0), default=0, help="Refuse an older version, as a board would.")
@json_option
@timeout_option(600)
def unseal_model(
    model: Path, check: bool, output: Path | None, min_version: int, as_json: bool, deadline: Deadline
) -> None:
    """Open a sealed MODEL with the board's key: to check it, or to get the GGUF back."""
    if check == (output is not None):
        raise BadInput("either --check or -o FILE is wanted")
    key = sealed.test_key()
    if output is None:
        facts = seal.check(model, key, min_version, deadline)
    else:
        facts = seal.unseal(model, output, key, min_version, deadline)
    _show(_sealed_facts(model, facts), as_json)


@models.command("synth")
@click.option("--params", default="25M", show_default=True, metavar="SIZE", help="Parameters: 25M, 1B, ...")
@click.option("--quant", type=_QUANTS, default="q8_0", show_default=True, help="How weights are stored.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Another seed, other weights.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="The file. [default: in the cache]"
)
@json_option
@timeout_option(600)
def synth_model(params: str, quant: str, seed: int, output: Path | None, as_json: bool, deadline: Deadline) -> None:
    """Make a model with random weights: the same bytes for the same options, on any machine."""
    if output is None:
        output = catalogue.synthetic(params, quant, seed, bus(), deadline)
    else:
        if not output.parent.is_dir():
            raise BadInput(f"{output.parent}: no such folder", mend="make it, or name another file with -o")
        words = catalogue.vocabulary(catalogue.demo_model())
        synth.synthesise(output, synth.size_of(params), synth.quant_of(quant), seed, words, bus(), deadline)
    deadline.check()
    info = inspect.check(output)
    if as_json:
        print_json({"path": str(output), "params": info.params, "size_bytes": info.size, "sha256": info.sha256})
    else:
        size = f"{info.params / 1e6:.1f}M parameters, {info.quant}, {info.size / 1e6:.1f} MB"
        click.echo(f"{output}: {size}, sha256 {info.sha256}")


@models.command("train")
@click.argument("recipe", default="demo")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="The file. [default: RECIPE.gguf here]"
)
@click.option("--quant", type=_QUANTS, default="q8_0", show_default=True, help="How weights are stored.")
@click.option(
    "--work", type=click.Path(path_type=Path, file_okay=False), help="Keeps the checkpoint. [default: in the cache]"
)
@json_option
@timeout_option(4 * 3600)
def train_model(
    recipe: str, output: Path | None, quant: str, work: Path | None, as_json: bool, deadline: Deadline
) -> None:
    """Train the model of RECIPE (a name in models/recipes, or a file) from nothing. Goes on where it was stopped."""
    file = Path(recipe) if recipe.endswith(".toml") else catalogue.folder() / "recipes" / f"{recipe}.toml"
    plan = Recipe.load(file)
    output = output or Path(f"{plan.name}.gguf")
    quality = train.follow(plan, output, synth.quant_of(quant), work or paths.cache() / "train", bus(), deadline)
    info = inspect.check(output)
    facts = {"path": str(output), "sha256": info.sha256, "loss": quality.loss, "coherent": quality.coherent}
    if as_json:
        print_json(facts)
    else:
        click.echo(f"{output}: loss {quality.loss:.3f}, {quality.coherent:.0%} of {quality.stories} stories coherent")


COMMANDS: list[click.Command] = [models]
