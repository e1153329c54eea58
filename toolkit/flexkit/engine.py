"""The inference engine on the host: the same C sources as in the payload, compiled once and called by ctypes.

This is the *reference*: the portable scalar path on one thread. Every mode of every board has to give the same tokens.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache as once
from pathlib import Path
from types import TracebackType

from flexkit import paths, proc
from flexkit.deadline import Deadline
from flexkit.errors import BadInput, BuildError, FlexError

ENGINE = "host-scalar"
_BATCH = 64
_BUILD_SECONDS = 300.0
_REASON_BYTES = 200
_E_MODEL, _E_PROMPT, _E_CONTEXT = -201, -203, -204


@dataclass(frozen=True)
class Reference:
    """What the reference engine makes of a prompt."""

    prompt_ids: tuple[int, ...]
    tokens: tuple[int, ...]
    text: str
    finish: str  # "length" or "eos" (that token is not in `tokens`)
    engine: str = ENGINE

    @property
    def ids(self) -> tuple[int, ...]:
        """The generated tokens."""
        return self.tokens


@dataclass(frozen=True)
class Config:
    """Sizes of a model."""

    dim: int
    ff: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    context: int


def sources() -> Path:
    """The folder with the engine's sources."""
    return paths.project() / "firmware" / "payload" / "engine"


def _identity(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix in {".c", ".h", ""}):
        digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def build(out: Path, target: str, compiler: str = "cc", flags: str = "-O3") -> None:
    """Run the engine's Makefile: ``target`` (host, linux, objects) into ``out``."""
    command: list[str | os.PathLike[str]] = ["make", "-s", "-C", sources(), target]
    command += [f"OUT={out.resolve()}", f"CC={compiler}", f"CFLAGS={flags}"]
    proc.run(command, Deadline(_BUILD_SECONDS, f"building the engine ({target})"), error=BuildError)


@once
def library() -> Path:
    """libflx.so for the present sources, built if it is not in the cache."""
    top = paths.cache() / "engine"
    top.mkdir(exist_ok=True)
    folder = top / _identity(sources())
    with _lock(top / "lock"):
        if not (folder / "libflx.so").is_file():
            scratch = top / f"{folder.name}.{os.getpid()}"
            try:
                build(scratch, "host")
                folder.mkdir(exist_ok=True)
                (scratch / "libflx.so").replace(folder / "libflx.so")
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
    return folder / "libflx.so"


def load(path: Path) -> ctypes.CDLL:
    """The library with its functions' types set (host.c has them)."""
    lib = ctypes.CDLL(os.fspath(path))
    pointer, text, u32, u64, i32 = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint32, ctypes.c_uint64, ctypes.c_int32
    ids = ctypes.POINTER(i32)
    shapes: dict[str, tuple[type | None, list[type]]] = {
        "flxh_open": (pointer, [text, ctypes.POINTER(ctypes.c_int), text]),
        "flxh_close": (None, [pointer]),
        "flxh_config": (None, [pointer, ctypes.POINTER(u32)]),
        "flxh_tokenize": (ctypes.c_int64, [pointer, text, u64, ids, u64]),
        "flxh_token_text": (u32, [pointer, i32, text, u32]),
        "flxh_is_end": (ctypes.c_int, [pointer, i32]),
        "flxh_caps": (u32, []),
        "flxh_session": (pointer, [pointer, u32, u32, u32, u32, ctypes.POINTER(ctypes.c_int)]),
        "flxh_session_close": (None, [pointer]),
        "flxh_forward": (ctypes.c_int, [pointer, ids, u32]),
        "flxh_logits": (ctypes.POINTER(ctypes.c_float), [pointer]),
        "flxh_greedy": (i32, [pointer]),
        "flxh_kv_piece": (u64, [pointer, u32, ctypes.POINTER(pointer)]),
    }
    for name, (result, arguments) in shapes.items():
        function = getattr(lib, name)
        function.restype = result
        function.argtypes = arguments
    return lib


@once
def _default() -> ctypes.CDLL:
    return load(library())


def _ids(values: Sequence[int]) -> ctypes.Array[ctypes.c_int32]:
    return (ctypes.c_int32 * len(values))(*values)


class Session:
    """A KV cache and what belongs to it. Close it, or use it as a context manager."""

    def __init__(self, model: Model, context: int, batch: int = _BATCH, threads: int = 1) -> None:
        error = ctypes.c_int()
        self._model = model
        self._lib = model.lib
        self._handle = self._lib.flxh_session(model.handle, context, batch, threads, 0, ctypes.byref(error))
        if error.value == _E_CONTEXT:
            raise BadInput(f"a context of {context} tokens is out of range (1 to {model.config.context})")
        if not self._handle:
            raise FlexError(f"no memory for a context of {context} tokens")

    def forward(self, ids: Sequence[int]) -> None:
        """Compute these tokens at the present position; logits() are then the last one's."""
        error = int(self._lib.flxh_forward(self._handle, _ids(ids), len(ids)))
        if error == _E_CONTEXT:
            raise BadInput("the context is full, or a token is not in the vocabulary")
        if error != 0:
            raise FlexError(f"the engine failed with {error}")

    def logits(self) -> list[float]:
        """Of the last token computed."""
        return list(self._lib.flxh_logits(self._handle)[: self._model.config.vocab])

    def greedy(self) -> int:
        """The most likely next token."""
        return int(self._lib.flxh_greedy(self._handle))

    def kv(self) -> list[bytes]:
        """What the tokens so far left in the KV cache, in its pieces."""
        pieces: list[bytes] = []
        at = ctypes.c_void_p()
        while size := int(self._lib.flxh_kv_piece(self._handle, len(pieces), ctypes.byref(at))):
            pieces.append(ctypes.string_at(at, size))
        return pieces

    def close(self) -> None:
        """Give the memory back. Twice is fine."""
        if self._handle:
            self._lib.flxh_session_close(self._handle)
            self._handle = None

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class Model:
    """An open GGUF. Close it (after its sessions), or use it as a context manager."""

    def __init__(self, path: Path, lib: ctypes.CDLL | None = None) -> None:
        error, reason = ctypes.c_int(), ctypes.create_string_buffer(_REASON_BYTES)
        self.lib = lib or _default()
        self.handle = self.lib.flxh_open(os.fsencode(path), ctypes.byref(error), reason)
        if not self.handle:
            raise BadInput(f"{path}: {reason.value.decode() or f'error {error.value}'}")
        numbers = (ctypes.c_uint32 * 8)()
        self.lib.flxh_config(self.handle, numbers)
        self.config = Config(*numbers)

    def tokenize(self, text: str) -> tuple[int, ...]:
        """Prompt ids as the secure world makes them: with BOS if the file says so, special tokens recognised."""
        raw = text.encode()
        room = (ctypes.c_int32 * (len(raw) * 3 + 8))()
        count = int(self.lib.flxh_tokenize(self.handle, raw, len(raw), room, len(room)))
        if count < 0:
            raise BadInput("the prompt cannot be written in this model's tokens")
        return tuple(room[:count])

    def token_bytes(self, token: int) -> bytes:
        """What a token adds to the text; characters may be split between tokens."""
        room = ctypes.create_string_buffer(65536)
        count = int(self.lib.flxh_token_text(self.handle, token, room, len(room)))
        return room.raw[:count]

    def is_end(self, token: int) -> bool:
        """Whether the token ends an answer."""
        return bool(self.lib.flxh_is_end(self.handle, token))

    def session(self, context: int, batch: int = _BATCH, threads: int = 1) -> Session:
        """A session of so many tokens."""
        return Session(self, context, batch, threads)

    def generate(
        self, text: str, n: int, *, ignore_eos: bool = True, context: int | None = None, threads: int = 1
    ) -> Reference:
        """Greedy continuation of a prompt by at most n tokens, less if the context is full."""
        prompt = self.tokenize(text)
        room = context or min(len(prompt) + n, self.config.context)
        if not prompt or len(prompt) > room:
            raise BadInput(f"the prompt has {len(prompt)} tokens, the context {room}")
        tokens: list[int] = []
        finish = "length"
        with self.session(room, threads=threads) as session:
            session.forward(prompt)
            while len(tokens) < n:
                token = session.greedy()
                if not ignore_eos and self.is_end(token):
                    finish = "eos"
                    break
                tokens.append(token)
                if len(tokens) == n or len(prompt) + len(tokens) > room:
                    break
                session.forward([token])
        data = b"".join(map(self.token_bytes, tokens))
        return Reference(prompt, tuple(tokens), data.decode(errors="replace"), finish)

    def close(self) -> None:
        """Give the memory back. Twice is fine."""
        if self.handle:
            self.lib.flxh_close(self.handle)
            self.handle = None

    def __enter__(self) -> Model:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def tokenize(model: Path, text: str) -> tuple[int, ...]:
    """Prompt ids of a text (BOS included if the file asks for it)."""
    with Model(model) as opened:
        return opened.tokenize(text)


def reference_tokens(model: Path, text: str, n: int, ignore_eos: bool = True, context: int | None = None) -> Reference:
    """The tokens that every mode of every board has to give for this prompt."""
    with Model(model) as opened:
        return opened.generate(text, n, ignore_eos=ignore_eos, context=context)
