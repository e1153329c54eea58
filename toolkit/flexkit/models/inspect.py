"""Whether a GGUF is a model that the secure world will take: found out on the host, before anything is flashed or sent.

The payload checks the same again on its own side and trusts none of this; here the point is one clear message.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flexkit.digest import sha256_of
from flexkit.errors import BadInput
from flexkit.models import gguf_file
from flexkit.models.gguf_file import Gguf, Tensor
from flexkit.models.shape import Shape

ARCHITECTURES = ("llama",)
TOKENIZERS = {"llama": "SentencePiece", "gpt2": "BPE"}
_PRETOKENIZERS = ("llama-bpe", "llama3", "llama-v3")
_OPTIONAL = ("output.weight", "rope_freqs.weight")
_CONVERT = "convert the model again with llama.cpp's converter"


@dataclass(frozen=True)
class ModelInfo:
    """What a model is. ``params`` counts every weight; ``quant`` is the quantisation of most of them."""

    path: Path
    name: str
    architecture: str
    shape: Shape
    params: int
    quant: str
    tokenizer: str
    size: int
    sha256: str

    @property
    def label(self) -> str:
        """Name and the first 12 digits of the hash, as reports identify a model."""
        return f"{self.path.stem}:{self.sha256[:12]}"


def check(path: Path) -> ModelInfo:
    """Read, check and describe a model. Raises BadInput, with one message, for anything that is not one we can run."""
    file = gguf_file.read(path)
    _architecture(file)
    shape = _shape(file)
    _tensors(file, shape)
    weight: dict[str, int] = {}
    for tensor in file.tensors.values():
        weight[tensor.quant.name] = weight.get(tensor.quant.name, 0) + tensor.elements
    return ModelInfo(
        path=path,
        name=str(file.metadata.get("general.name", path.stem)),
        architecture=str(file.metadata["general.architecture"]),
        shape=shape,
        params=sum(weight.values()),
        quant=max(weight, key=lambda quant: weight[quant]),
        tokenizer=_tokenizer(file, shape),
        size=file.size,
        sha256=sha256_of(path),
    )


def _architecture(file: Gguf) -> None:
    found = file.metadata.get("general.architecture")
    if found is None:
        raise BadInput(f"{file.path}: it names no general.architecture", mend=_CONVERT)
    if found not in ARCHITECTURES:
        raise BadInput(
            f"{file.path}: the architecture {found!r} is not supported",
            mend="supported: " + ", ".join(ARCHITECTURES) + "; flexkit models list shows models that run",
        )
    scaling = file.metadata.get("llama.rope.scaling.type", "none")
    if scaling not in ("none", "linear"):
        raise BadInput(f"{file.path}: the position scaling {scaling!r} is not supported", mend="use a model without it")


def _number(file: Gguf, key: str, default: int | None = None) -> int:
    value = file.metadata.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 1 << 31:
        raise BadInput(f"{file.path}: the key {key} is {_shown(value)}, not a positive number", mend=_CONVERT)
    return value


def _shown(value: object) -> str:
    return "missing" if value is None else repr(value)[:60]


def _shape(file: Gguf) -> Shape:
    embedding = file.tensors.get("token_embd.weight")
    if embedding is None or len(embedding.dims) != 2:
        raise BadInput(f"{file.path}: it has no usable tensor token_embd.weight", mend=_CONVERT)
    heads = _number(file, "llama.attention.head_count")
    try:
        shape = Shape(
            vocab=embedding.dims[1],
            dim=_number(file, "llama.embedding_length"),
            layers=_number(file, "llama.block_count"),
            heads=heads,
            kv_heads=_number(file, "llama.attention.head_count_kv", heads),
            ffn=_number(file, "llama.feed_forward_length"),
            context=_number(file, "llama.context_length"),
        )
    except BadInput as error:
        raise BadInput(
            f"{file.path}: {error.message}".replace(f"{file.path}: {file.path}", str(file.path)), mend=_CONVERT
        ) from error
    for key in ("llama.attention.key_length", "llama.attention.value_length"):
        if _number(file, key, shape.head_dim) != shape.head_dim:
            raise BadInput(f"{file.path}: {key} differs from the head size {shape.head_dim}", mend="use another model")
    return shape


def _tensors(file: Gguf, shape: Shape) -> None:
    """Every tensor of the shape is there with its dimensions, and none beside."""
    wanted = {spec.name: spec for spec in shape.tensors()}
    for name, spec in wanted.items():
        tensor = file.tensors.get(name)
        if tensor is None:
            if name in _OPTIONAL:
                continue
            raise BadInput(f"{file.path}: the tensor {name} is missing", mend=_CONVERT)
        dims = (spec.cols,) if spec.is_vector else (spec.cols, spec.rows)
        if tensor.dims != dims:
            raise BadInput(
                f"{file.path}: tensor {name} is {_by(tensor)}, its metadata say {_times(dims)}", mend=_CONVERT
            )
    foreign = [name for name in file.tensors if name not in wanted and name not in _OPTIONAL]
    if foreign:
        raise BadInput(
            f"{file.path}: the tensor {foreign[0]!r} is not one of a dense llama model", mend="use another model"
        )


def _by(tensor: Tensor) -> str:
    return _times(tensor.dims)


def _times(dims: tuple[int, ...]) -> str:
    return " x ".join(map(str, dims))


def _tokenizer(file: Gguf, shape: Shape) -> str:
    model = file.metadata.get("tokenizer.ggml.model")
    if not isinstance(model, str) or model not in TOKENIZERS:
        raise BadInput(
            f"{file.path}: the tokenizer {_shown(model)} is not supported",
            mend="supported: SentencePiece (llama), llama-bpe",
        )
    if model == "gpt2":
        _pretokenizer(file.path, file.metadata)
    pieces = file.metadata.get("tokenizer.ggml.tokens")
    if not isinstance(pieces, list) or len(pieces) != shape.vocab:
        count = len(pieces) if isinstance(pieces, list) else "no"
        raise BadInput(f"{file.path}: {count} tokens for {shape.vocab} rows of token_embd.weight", mend=_CONVERT)
    lists = {"llama": ("scores", "token_type"), "gpt2": ("token_type",)}[model]
    for key in lists:
        values = file.metadata.get("tokenizer.ggml." + key)
        if not isinstance(values, list) or len(values) != shape.vocab:
            raise BadInput(f"{file.path}: tokenizer.ggml.{key} does not fit the {shape.vocab} tokens", mend=_CONVERT)
    for special in ("bos", "eos"):
        token = file.metadata.get(f"tokenizer.ggml.{special}_token_id", 0)
        if not isinstance(token, int) or not 0 <= token < shape.vocab:
            raise BadInput(f"{file.path}: the {special} token {_shown(token)} is not in the vocabulary", mend=_CONVERT)
    return TOKENIZERS[model]


def _pretokenizer(path: Path, metadata: Mapping[str, object]) -> None:
    found = metadata.get("tokenizer.ggml.pre")
    if found not in _PRETOKENIZERS:
        raise BadInput(f"{path}: the pre-tokenizer {_shown(found)} is not supported", mend="supported: llama-bpe")
    if not isinstance(metadata.get("tokenizer.ggml.merges"), list):
        raise BadInput(f"{path}: its BPE vocabulary has no merges", mend=_CONVERT)
