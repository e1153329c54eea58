"""Tokenizers against the libraries that trained them, on random Unicode text."""

from __future__ import annotations

import io
import json
import random
import string
import sys
import unicodedata
from pathlib import Path

import gguf
import numpy as np
import pytest
import sentencepiece as spm
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from flexkit import engine
from flexkit.errors import BadInput

CASES = 400
# llama.cpp's reading of llama 3's pattern.
PATTERN = (
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
WORDS = ["it's", "I'LL", "we'Ve", "naïve", "straße", "Ελλάδα", "привет", "日本語", "한국어", "١٢٣", "½", "Ⅷ", "1234567"]
WORDS += [
    "hello",
    "world",
    "the",
    "model",
    "🦊",
    "👩‍👩‍👧",
    "é",
    "\u00a0",
    "\u3000",
    "\t\t",
    "\r\n",
    "\n\n  ",
    "  ",
    "...",
    "'s'",
]
ASSIGNED = [c for c in range(0x20, 0x30000) if unicodedata.category(chr(c)) not in ("Cs", "Cn", "Co")]


def corpus(seed: int, lines: int = 400) -> list[str]:
    chance = random.Random(seed)
    words = ["".join(chance.choices("etaoinshrdlu", k=chance.randint(2, 7))) for _ in range(120)] + WORDS
    return [" ".join(chance.choices(words, k=12)) for _ in range(lines)]


def random_text(chance: random.Random) -> str:
    pieces = []
    for _ in range(chance.randint(1, 25)):
        kind = chance.random()
        if kind < 0.4:
            pieces.append(chance.choice(WORDS))
        elif kind < 0.6:
            pieces.append("".join(chance.choices(string.printable, k=chance.randint(1, 6))))
        elif kind < 0.8:
            pieces.append(" " * chance.randint(1, 3))
        else:
            pieces.append("".join(chr(chance.choice(ASSIGNED)) for _ in range(chance.randint(1, 4))))
    return "".join(pieces).replace("\0", "")


def skeleton(path: Path) -> gguf.GGUFWriter:
    """A one-layer model around a vocabulary."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(4096)
    writer.add_embedding_length(4)
    writer.add_feed_forward_length(4)
    writer.add_head_count(1)
    writer.add_layer_norm_rms_eps(1e-5)
    return writer


def finish(writer: gguf.GGUFWriter, vocab: int) -> None:
    shapes = {"token_embd": (vocab, 4), "output_norm": (4,)}
    shapes |= {f"blk.0.{name}_norm": (4,) for name in ("attn", "ffn")}
    shapes |= {
        f"blk.0.{name}": (4, 4)
        for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
    }
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", np.ones(shape, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module", params=[True, False], ids=["space in front", "as it stands"])
def sentencepiece_pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[spm.SentencePieceProcessor, Path, bool]:
    """A trained SentencePiece BPE model and the GGUF of its vocabulary."""
    out = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus(3)),
        model_writer=out,
        vocab_size=700,
        model_type="bpe",
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=request.param,
        user_defined_symbols=["<|tool|>"],
        minloglevel=2,
        split_digits=True,
        allow_whitespace_only_pieces=True,
    )
    processor = spm.SentencePieceProcessor(model_proto=out.getvalue())
    path = tmp_path_factory.mktemp("spm") / "m.gguf"
    writer = skeleton(path)
    size = processor.vocab_size()
    writer.add_tokenizer_model("llama")
    writer.add_token_list([processor.id_to_piece(i) for i in range(size)])
    writer.add_token_scores([processor.get_score(i) for i in range(size)])
    kinds = []
    for i in range(size):
        if processor.is_unknown(i):
            kinds.append(2)
        elif processor.is_control(i):
            kinds.append(3)
        elif processor.is_byte(i):
            kinds.append(6)
        else:
            kinds.append(4 if processor.id_to_piece(i) == "<|tool|>" else 1)
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_space_prefix(request.param)
    finish(writer, size)
    return processor, path, request.param


def test_sentencepiece(sentencepiece_pair: tuple[spm.SentencePieceProcessor, Path, bool]) -> None:
    processor, path, space = sentencepiece_pair
    chance = random.Random(11)
    with engine.Model(path) as model:
        for _ in range(CASES):
            text = random_text(chance)
            wanted = [1, *processor.encode(text)]
            got = model.tokenize(text)
            assert list(got) == wanted, repr(text)
            back = b"".join(map(model.token_bytes, got)).decode()
            assert back == (f" {text}" if space else text)


def test_sentencepiece_special_tokens(sentencepiece_pair: tuple[spm.SentencePieceProcessor, Path, bool]) -> None:
    """Control tokens in the prompt stand for themselves; llama.cpp adds the space again behind each."""
    processor, path, _ = sentencepiece_pair
    tool = processor.piece_to_id("<|tool|>")
    with engine.Model(path) as model:
        wanted = [1, *processor.encode("the model"), 2, tool, *processor.encode("hello"), 1]
        assert list(model.tokenize("the model</s><|tool|>hello<s>")) == wanted
        assert model.token_bytes(1) == b""
        assert model.token_bytes(tool) == b"<|tool|>"
        assert model.is_end(2)


@pytest.fixture(scope="module")
def bpe_pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tokenizer, Path]:
    """A byte-level BPE with llama 3's splitter, and the GGUF of its vocabulary."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=800,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(5), trainer)
    state = json.loads(tokenizer.to_str())["model"]
    merges = [m if isinstance(m, str) else " ".join(m) for m in state["merges"]]
    tokens = sorted(state["vocab"], key=state["vocab"].__getitem__)
    path = tmp_path_factory.mktemp("bpe") / "m.gguf"
    writer = skeleton(path)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in special else 1 for token in tokens])
    writer.add_token_merges(merges)
    writer.add_bos_token_id(tokens.index("<|begin_of_text|>"))
    writer.add_eos_token_id(tokens.index("<|end_of_text|>"))
    finish(writer, len(tokens))
    return tokenizer, path


def test_bpe(bpe_pair: tuple[Tokenizer, Path]) -> None:
    tokenizer, path = bpe_pair
    chance = random.Random(13)
    with engine.Model(path) as model:
        for _ in range(CASES):
            text = random_text(chance)
            got = model.tokenize(text)
            assert list(got) == [0, *tokenizer.encode(text, add_special_tokens=False).ids], repr(text)
            assert b"".join(map(model.token_bytes, got)).decode() == text


def test_bpe_special_tokens(bpe_pair: tuple[Tokenizer, Path]) -> None:
    tokenizer, path = bpe_pair
    text = "hello<|eot_id|>  world<|end_of_text|>"
    with engine.Model(path) as model:
        assert list(model.tokenize(text)) == [0, *tokenizer.encode(text, add_special_tokens=False).ids]
        assert model.is_end(tokenizer.token_to_id("<|eot_id|>"))
        assert model.is_end(tokenizer.token_to_id("<|end_of_text|>"))
        assert not model.is_end(0)


@pytest.mark.parametrize("length", [1000, 30000])
def test_long_words_take_no_quadratic_time(bpe_pair: tuple[Tokenizer, Path], length: int) -> None:
    """One word of 30,000 letters: a merge of the best pair by search would take minutes."""
    tokenizer, path = bpe_pair
    text = "".join(random.Random(17).choices("etaoinshrdlu", k=length))
    with engine.Model(path) as model:
        assert list(model.tokenize(text)) == [0, *tokenizer.encode(text, add_special_tokens=False).ids]


def test_text_that_is_not_utf8_is_refused(bpe_pair: tuple[Tokenizer, Path]) -> None:
    with engine.Model(bpe_pair[1]) as model:
        for raw in (b"\xff", b"a\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"):
            room = (engine.ctypes.c_int32 * 8)()
            assert model.lib.flxh_tokenize(model.handle, raw, len(raw), room, 8) == -203
        with pytest.raises(BadInput):
            model.generate("hello", 1, context=1)


def test_the_unicode_tables_are_those_of_the_generator() -> None:
    """Byte for byte with the Unicode version that the file names; with another Python, where that version says so."""
    folder = engine.sources()
    sys.path.insert(0, str(folder / "unicode"))
    try:
        import generate  # noqa: PLC0415
    finally:
        sys.path.pop(0)
    committed = (folder / "src" / "unicode_tables.h").read_text()
    if f'"{unicodedata.unidata_version}"' in committed:
        assert generate.text() == committed
        return
    body = committed[committed.index("{") + 1 : committed.rindex("}")]
    words = [int(word, 16) for word in body.replace("\n", " ").split(",") if word.strip()]
    table = [(word >> 2, word & 3) for word in words]
    kinds = np.zeros(0x110000, np.int8)
    for (first, kind), (end, _) in zip(table, [*table[1:], (0x110000, 0)], strict=True):
        kinds[first:end] = kind
    changed = [c for c in range(0x110000) if kinds[c] != generate.classify(c)]
    assert all(kinds[c] == generate.OTHER for c in changed), "a character that was assigned has changed its class"
