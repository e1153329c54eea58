/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * GGUF (version 2 and 3, little-endian) of a dense llama model: parsed from hostile bytes.
 *
 * A cursor walks the header, the metadata and the tensor list once. `need` is the only way forward: it checks that so
 * many bytes are left, pins them, and remembers the first failure. Values that we know are kept (their place in a
 * table says where), everything else is walked over with the same checks. Nothing is used before it is checked.
 */
#include "internal.h"

#define PIECE 65536u
#define METADATA_MAX (64ull << 20)
#define ARRAY_DEPTH_MAX 4u
#define KEY_MAX 1024u
#define NAME_MAX 64u
#define TENSORS_MAX (4u + 9u * FLX_LAYERS_MAX)
#define DIM_MAX (1u << 20)
#define VOCAB_MAX (1u << 21)
#define CONTEXT_MAX (1u << 18) /* the sums of flx_mix rely on it */
#define HEAD_MAX 512u          /* a head's rows lie on the stack */

/* GGUF's value types. */
enum { U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64, TYPES };

static const uint8_t type_bytes[TYPES] = { 1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8 };

struct cursor {
	const struct flx_host *host;
	const uint8_t *image;
	uint64_t bytes;    /* of the image */
	uint64_t at;
	uint64_t pinned;   /* [0, pinned) of the image is */
	int error;         /* first failure; sticky */
	struct flx_reason *reason;
};

struct value {
	int present;
	uint32_t type;     /* of the value, or of an array's elements */
	int is_array;
	uint64_t count;    /* elements, or bytes of a string */
	const uint8_t *at; /* the value, the string's text, the array's first element */
	uint64_t text_bytes, longest; /* arrays of strings */
};

/* Metadata that we use. The order is that of `known`. */
enum {
	K_ARCH, K_ALIGNMENT, K_LAYERS, K_CONTEXT, K_DIM, K_FF, K_HEADS, K_KV_HEADS, K_EPS, K_ROPE_BASE, K_ROPE_DIM,
	K_KEY_LENGTH, K_VALUE_LENGTH, K_EXPERTS, K_SCALING_TYPE, K_SCALING_FACTOR, K_TOK_MODEL, K_TOK_PRE, K_TOKENS,
	K_SCORES, K_TYPES, K_MERGES, K_BOS, K_EOS, K_EOT, K_UNKNOWN, K_ADD_BOS, K_ADD_EOS, K_ADD_SPACE, KEYS
};

static const char *const known[KEYS] = {
	"general.architecture", "general.alignment", "llama.block_count", "llama.context_length",
	"llama.embedding_length", "llama.feed_forward_length", "llama.attention.head_count",
	"llama.attention.head_count_kv", "llama.attention.layer_norm_rms_epsilon", "llama.rope.freq_base",
	"llama.rope.dimension_count", "llama.attention.key_length", "llama.attention.value_length",
	"llama.expert_count", "llama.rope.scaling.type", "llama.rope.scaling.factor", "tokenizer.ggml.model",
	"tokenizer.ggml.pre", "tokenizer.ggml.tokens", "tokenizer.ggml.scores", "tokenizer.ggml.token_type",
	"tokenizer.ggml.merges", "tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id",
	"tokenizer.ggml.eot_token_id", "tokenizer.ggml.unknown_token_id", "tokenizer.ggml.add_bos_token",
	"tokenizer.ggml.add_eos_token", "tokenizer.ggml.add_space_prefix",
};

struct parse {
	struct cursor cursor;
	uint64_t tensors;
	uint64_t alignment;
	struct value key[KEYS];
};

#define REFUSE(c, ...) ((c)->error = flx_refuse((c)->reason, __VA_ARGS__))

/* ---- the cursor ---- */

static int pin_up_to(struct cursor *c, uint64_t end)
{
	while (c->pinned < end) {
		uint64_t left = c->bytes - c->pinned, piece = left < PIECE ? left : PIECE;
		int error = 0;

		if (c->host != NULL && c->host->pin != NULL)
			error = c->host->pin(c->host->ctx, c->image + c->pinned, piece);
		if (error != 0) {
			c->error = error;
			return error;
		}
		c->pinned += piece;
	}
	return 0;
}

static void unpin_all(struct cursor *c)
{
	for (uint64_t at = 0; at < c->pinned; at += PIECE) {
		uint64_t left = c->pinned - at;

		if (c->host != NULL && c->host->unpin != NULL)
			c->host->unpin(c->host->ctx, c->image + at, left < PIECE ? left : PIECE);
	}
	c->pinned = 0;
}

/* The next `bytes` bytes, readable, and moves behind them; NULL after any failure. */
static const uint8_t *need(struct cursor *c, uint64_t bytes)
{
	uint64_t at = c->at;

	if (c->error != 0)
		return NULL;
	if (bytes > c->bytes - at) {
		REFUSE(c, "cut short: %u bytes wanted at byte %u of %u", bytes, at, c->bytes);
		return NULL;
	}
	if (bytes > METADATA_MAX - at) {
		REFUSE(c, "metadata longer than %u bytes", (uint64_t)METADATA_MAX);
		return NULL;
	}
	if (pin_up_to(c, at + bytes) != 0)
		return NULL;
	c->at = at + bytes;
	return c->image + at;
}

static uint32_t need_u32(struct cursor *c)
{
	const uint8_t *at = need(c, 4);

	return at != NULL ? flx_u32(at) : 0;
}

static uint64_t need_u64(struct cursor *c)
{
	const uint8_t *at = need(c, 8);

	return at != NULL ? flx_u64(at) : 0;
}

/* ---- metadata ---- */

static void walk_strings(struct cursor *c, struct value *v)
{
	for (uint64_t i = 0; i < v->count && c->error == 0; i++) {
		uint64_t bytes = need_u64(c);

		need(c, bytes);
		v->text_bytes += bytes; /* below METADATA_MAX, or need has failed */
		if (bytes > v->longest)
			v->longest = bytes;
	}
}

/* Walks over one value of type v->type and notes it. Arrays of arrays are legal and of no use to us. */
static void walk_value(struct cursor *c, struct value *v, uint32_t depth)
{
	if (v->type >= TYPES) {
		REFUSE(c, "metadata value of unknown type %u", (uint64_t)v->type);
	} else if (v->type == STRING) {
		v->count = need_u64(c);
		v->at = need(c, v->count);
	} else if (v->type != ARRAY) {
		v->at = need(c, type_bytes[v->type]);
	} else if (depth >= ARRAY_DEPTH_MAX) {
		REFUSE(c, "metadata arrays nested deeper than %u", (uint64_t)ARRAY_DEPTH_MAX);
	} else {
		v->is_array = 1;
		v->type = need_u32(c);
		v->count = need_u64(c);
		v->at = c->image + c->at;
		if (c->error != 0)
			return;
		if (v->type >= TYPES) {
			REFUSE(c, "metadata array of unknown type %u", (uint64_t)v->type);
		} else if (v->type == STRING) {
			walk_strings(c, v);
		} else if (v->type == ARRAY) {
			for (uint64_t i = 0; i < v->count && c->error == 0; i++) {
				struct value inner = { .type = ARRAY };

				walk_value(c, &inner, depth + 1);
			}
		} else if (v->count > METADATA_MAX) {
			REFUSE(c, "metadata array of %u elements", v->count);
		} else {
			need(c, v->count * type_bytes[v->type]);
		}
	}
}

static int same_text(const uint8_t *text, uint64_t bytes, const char *expected)
{
	uint64_t i = 0;

	while (i < bytes && expected[i] != 0 && text[i] == (uint8_t)expected[i])
		i++;
	return i == bytes && expected[i] == 0;
}

static void walk_pair(struct parse *p)
{
	struct cursor *c = &p->cursor;
	struct value v = { .present = 1 };
	uint64_t bytes = need_u64(c);
	const uint8_t *name;
	uint32_t which = 0;

	if (c->error == 0 && bytes > KEY_MAX)
		REFUSE(c, "metadata key of %u bytes", bytes);
	name = need(c, bytes);
	v.type = need_u32(c);
	if (c->error == 0)
		walk_value(c, &v, 0);
	if (c->error != 0)
		return;
	while (which < KEYS && !same_text(name, bytes, known[which]))
		which++;
	if (which == KEYS)
		return;
	if (p->key[which].present)
		REFUSE(c, "metadata key %s is there twice", known[which]);
	p->key[which] = v;
}

static void walk_header(struct parse *p)
{
	struct cursor *c = &p->cursor;
	const uint8_t *magic = need(c, 4);
	uint32_t version = need_u32(c);
	uint64_t pairs;

	if (c->error != 0)
		return;
	if (memcmp(magic, "GGUF", 4) != 0) {
		REFUSE(c, "not a GGUF file");
		return;
	}
	if (version != 2 && version != 3) {
		REFUSE(c, "GGUF version %u (2 and 3 are supported, little-endian)", (uint64_t)version);
		return;
	}
	p->tensors = need_u64(c);
	pairs = need_u64(c);
	if (c->error == 0 && (p->tensors == 0 || p->tensors > TENSORS_MAX))
		REFUSE(c, "%u tensors (1 to %u are supported)", p->tensors, (uint64_t)TENSORS_MAX);
	for (uint64_t i = 0; i < pairs && c->error == 0; i++)
		walk_pair(p);
}

/* ---- values ---- */

#define REQUIRED UINT64_MAX

/* A whole number in [low, high]; `missing` if the key is absent, refused if that is REQUIRED. */
static uint32_t whole(struct parse *p, uint32_t key, uint64_t low, uint64_t high, uint64_t missing)
{
	struct cursor *c = &p->cursor;
	const struct value *v = &p->key[key];
	uint64_t number = 0;
	int negative = 0;

	if (c->error != 0)
		return 0;
	if (!v->present) {
		if (missing == REQUIRED)
			REFUSE(c, "metadata key %s is missing", known[key]);
		return (uint32_t)missing;
	}
	if (v->is_array || v->type == STRING || v->type == F32 || v->type == F64) {
		REFUSE(c, "metadata key %s is not a whole number", known[key]);
		return 0;
	}
	memcpy(&number, v->at, type_bytes[v->type]);
	if (v->type == I8 || v->type == I16 || v->type == I32 || v->type == I64)
		negative = (int)(number >> (8 * type_bytes[v->type] - 1) & 1);
	if (negative || number < low || number > high) {
		REFUSE(c, "metadata key %s is out of range (%u to %u)", known[key], low, high);
		return 0;
	}
	return (uint32_t)number;
}

/* A token's id, below `vocab`; `missing` (-1: none) if the key is absent. */
static int32_t token_id(struct parse *p, uint32_t key, uint32_t vocab, int32_t missing)
{
	if (!p->key[key].present)
		return missing < (int32_t)vocab ? missing : -1;
	return (int32_t)whole(p, key, 0, vocab - 1u, REQUIRED);
}

/* A number in [low, high] (NaN is not); `missing` if the key is absent, refused if that is 0. */
static double real(struct parse *p, uint32_t key, double low, double high, double missing)
{
	struct cursor *c = &p->cursor;
	const struct value *v = &p->key[key];
	double number = missing;

	if (c->error != 0)
		return missing;
	if (v->present && (v->is_array || (v->type != F32 && v->type != F64))) {
		REFUSE(c, "metadata key %s is not a number", known[key]);
		return missing;
	}
	if (v->present && v->type == F64)
		memcpy(&number, v->at, sizeof(number));
	else if (v->present)
		number = (double)flx_bits_float(flx_u32(v->at));
	if (!(number >= low && number <= high))
		REFUSE(c, "metadata key %s is %s", known[key], v->present ? "out of range" : "missing");
	return number;
}

static int text_is(struct parse *p, uint32_t key, const char *expected)
{
	const struct value *v = &p->key[key];

	return v->present && !v->is_array && v->type == STRING && same_text(v->at, v->count, expected);
}

static void read_rope(struct parse *p, struct flx_config *f)
{
	double factor = 1.0;

	f->rope_base = real(p, K_ROPE_BASE, 1.0, 1e12, 10000.0);
	if (text_is(p, K_SCALING_TYPE, "linear"))
		factor = real(p, K_SCALING_FACTOR, 1e-3, 1e6, 0.0);
	else if (p->key[K_SCALING_TYPE].present && !text_is(p, K_SCALING_TYPE, "none"))
		REFUSE(&p->cursor, "this kind of RoPE scaling is not supported (none and linear are)");
	f->rope_scale = 1.0 / factor;
}

static void read_config(struct parse *p, struct flx_config *f)
{
	struct cursor *c = &p->cursor;

	if (!text_is(p, K_ARCH, "llama")) {
		REFUSE(c, "the architecture is not llama");
		return;
	}
	f->layers = whole(p, K_LAYERS, 1, FLX_LAYERS_MAX, REQUIRED);
	f->dim = whole(p, K_DIM, 4, DIM_MAX, REQUIRED);
	f->ff = whole(p, K_FF, 1, DIM_MAX, REQUIRED);
	f->heads = whole(p, K_HEADS, 1, 4096, REQUIRED);
	f->kv_heads = whole(p, K_KV_HEADS, 1, 4096, f->heads);
	f->context = whole(p, K_CONTEXT, 2, UINT32_MAX, REQUIRED);
	f->context = f->context < CONTEXT_MAX ? f->context : CONTEXT_MAX;
	f->norm_eps = (float)real(p, K_EPS, 1e-12, 1.0, 0.0);
	whole(p, K_EXPERTS, 0, 0, 0);
	if (c->error != 0)
		return;
	if (!p->key[K_KEY_LENGTH].present && f->dim % f->heads != 0) {
		REFUSE(c, "%u heads do not divide a width of %u", (uint64_t)f->heads, (uint64_t)f->dim);
		return;
	}
	f->head_dim = whole(p, K_KEY_LENGTH, 2, HEAD_MAX, f->dim / f->heads);
	f->rope_dim = whole(p, K_ROPE_DIM, 2, HEAD_MAX, f->head_dim);
	if (whole(p, K_VALUE_LENGTH, 2, HEAD_MAX, f->head_dim) != f->head_dim && c->error == 0)
		REFUSE(c, "keys and values of different length are not supported");
	read_rope(p, f);
	if (c->error != 0)
		return;
	if (f->heads % f->kv_heads != 0)
		REFUSE(c, "%u heads do not share %u key heads", (uint64_t)f->heads, (uint64_t)f->kv_heads);
	else if (f->head_dim < 2 || f->head_dim > HEAD_MAX || (uint64_t)f->heads * f->head_dim > DIM_MAX)
		REFUSE(c, "a head of %u elements is not supported", (uint64_t)f->head_dim);
	else if (f->rope_dim % 2 != 0 || f->rope_dim > f->head_dim)
		REFUSE(c, "%u rotated elements in a head of %u", (uint64_t)f->rope_dim, (uint64_t)f->head_dim);
}

/* An array of `type` with `count` elements, or any number if count is 0. */
static const struct value *array(struct parse *p, uint32_t key, uint32_t type, uint64_t count)
{
	const struct value *v = &p->key[key];

	if (p->cursor.error != 0 || !v->present)
		return NULL;
	if (!v->is_array || v->type != type || (count != 0 && v->count != count)) {
		REFUSE(&p->cursor, "metadata key %s has the wrong type or length", known[key]);
		return NULL;
	}
	return v;
}

static void take_strings(struct flx_strings *to, const struct value *v)
{
	if (v == NULL)
		return;
	to->at = v->at;
	to->count = v->count;
	to->text_bytes = v->text_bytes;
	to->longest = v->longest;
}

static void read_vocab(struct parse *p, struct flx_vocab *vocab, struct flx_vocab_source *source)
{
	struct cursor *c = &p->cursor;
	const struct value *v;
	int spm = text_is(p, K_TOK_MODEL, "llama");
	int llama3 = text_is(p, K_TOK_PRE, "llama-bpe") || text_is(p, K_TOK_PRE, "llama3") ||
		     text_is(p, K_TOK_PRE, "llama-v3");

	if (c->error != 0)
		return;
	if (!spm && !(text_is(p, K_TOK_MODEL, "gpt2") && llama3)) {
		REFUSE(c, "the tokenizer is not supported (llama, and gpt2 with llama-bpe, are)");
		return;
	}
	vocab->kind = spm ? FLX_TOKENIZER_SPM : FLX_TOKENIZER_BPE;
	take_strings(&source->tokens, array(p, K_TOKENS, STRING, 0));
	if (c->error == 0 && (source->tokens.count < 1 || source->tokens.count > VOCAB_MAX))
		REFUSE(c, "a vocabulary of %u tokens (1 to %u are supported)", source->tokens.count,
		       (uint64_t)VOCAB_MAX);
	v = spm ? array(p, K_SCORES, F32, source->tokens.count) : NULL;
	source->scores = v != NULL ? v->at : NULL;
	v = array(p, K_TYPES, I32, source->tokens.count);
	source->types = v != NULL ? v->at : NULL;
	if (!spm)
		take_strings(&source->merges, array(p, K_MERGES, STRING, 0));
	if (c->error == 0 && (spm ? source->scores == NULL : source->merges.at == NULL))
		REFUSE(c, "metadata key %s is missing", known[spm ? K_SCORES : K_MERGES]);
	if (c->error != 0)
		return;
	vocab->size = (uint32_t)source->tokens.count;
	vocab->bos = token_id(p, K_BOS, vocab->size, spm ? 1 : -1);
	vocab->eos = token_id(p, K_EOS, vocab->size, spm ? 2 : -1);
	vocab->unknown = token_id(p, K_UNKNOWN, vocab->size, spm ? 0 : -1);
	vocab->eot = token_id(p, K_EOT, vocab->size, -1);
	vocab->add_bos = whole(p, K_ADD_BOS, 0, 1, 1);
	vocab->add_eos = whole(p, K_ADD_EOS, 0, 1, 0);
	vocab->add_space_prefix = spm ? whole(p, K_ADD_SPACE, 0, 1, 1) : 0;
}

/* ---- tensors ---- */

struct slot {
	struct flx_tensor *tensor;
	uint64_t rows, cols;
	int vector; /* F32, one dimension */
};

/* Where a tensor of a layer belongs; its shape by the configuration. */
static struct slot layer_slot(const struct flx_config *f, struct flx_layer *l, const uint8_t *name, uint64_t bytes)
{
	uint64_t q = (uint64_t)f->heads * f->head_dim, kv = (uint64_t)f->kv_heads * f->head_dim;
	const struct {
		const char *name;
		struct slot slot;
	} table[] = {
		{ "attn_norm.weight", { &l->attn_norm, 1, f->dim, 1 } },
		{ "attn_q.weight", { &l->wq, q, f->dim, 0 } },
		{ "attn_k.weight", { &l->wk, kv, f->dim, 0 } },
		{ "attn_v.weight", { &l->wv, kv, f->dim, 0 } },
		{ "attn_output.weight", { &l->wo, f->dim, q, 0 } },
		{ "ffn_norm.weight", { &l->ffn_norm, 1, f->dim, 1 } },
		{ "ffn_gate.weight", { &l->gate, f->ff, f->dim, 0 } },
		{ "ffn_up.weight", { &l->up, f->ff, f->dim, 0 } },
		{ "ffn_down.weight", { &l->down, f->dim, f->ff, 0 } },
	};

	for (uint32_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (same_text(name, bytes, table[i].name))
			return table[i].slot;
	}
	return (struct slot){ 0 };
}

/* The layer's number behind "blk.", without leading zeros; *bytes becomes the length of "blk.N.", 0 if it is none. */
static uint32_t layer_number(const uint8_t *name, uint64_t length, uint64_t *bytes)
{
	uint64_t at = 4;
	uint32_t number = 0;

	*bytes = 0;
	if (length < 6 || memcmp(name, "blk.", 4) != 0)
		return 0;
	while (at < length && at < 8 && name[at] >= '0' && name[at] <= '9')
		number = number * 10 + (name[at++] - '0');
	if (at == 4 || (name[4] == '0' && at > 5) || at >= length || name[at] != '.')
		return 0;
	*bytes = at + 1;
	return number;
}

static struct slot find_slot(struct flx_model *m, const uint8_t *name, uint64_t bytes)
{
	const struct flx_config *f = &m->config;
	struct flx_weights *w = &m->weights;
	uint64_t prefix;
	uint32_t layer = layer_number(name, bytes, &prefix);

	if (prefix != 0)
		return layer < f->layers ? layer_slot(f, &w->layer[layer], name + prefix, bytes - prefix) :
					   (struct slot){ 0 };
	if (same_text(name, bytes, "token_embd.weight"))
		return (struct slot){ &w->embedding, f->vocab, f->dim, 0 };
	if (same_text(name, bytes, "output.weight"))
		return (struct slot){ &w->output, f->vocab, f->dim, 0 };
	if (same_text(name, bytes, "output_norm.weight"))
		return (struct slot){ &w->output_norm, 1, f->dim, 1 };
	if (same_text(name, bytes, "rope_freqs.weight"))
		return (struct slot){ &w->rope_factors, 1, f->rope_dim / 2, 1 };
	return (struct slot){ 0 };
}

/* Bytes of a row of this type; 0 if the type is not supported or does not divide the row. */
static uint64_t row_bytes(uint32_t type, uint64_t cols)
{
	switch (type) {
	case FLX_F32:
		return cols * 4;
	case FLX_F16:
		return cols * 2;
	case FLX_Q8_0:
		return cols % 32 == 0 ? cols / 32 * 34 : 0;
	default:
		return 0;
	}
}

/* One entry of the tensor list. `data` holds the offset until place_tensors knows where the data begin. */
static void walk_tensor(struct parse *p, struct flx_model *m)
{
	struct cursor *c = &p->cursor;
	uint64_t length = need_u64(c), dims[2] = { 1, 1 }, offset, row;
	const uint8_t *name;
	uint32_t count, type;
	struct slot slot;

	if (c->error == 0 && length > NAME_MAX)
		REFUSE(c, "tensor name of %u bytes", length);
	name = need(c, length);
	count = need_u32(c);
	if (c->error == 0 && (count < 1 || count > 2))
		REFUSE(c, "tensor %q has %u dimensions", length, name, (uint64_t)count);
	for (uint32_t i = 0; i < count && c->error == 0; i++)
		dims[i] = need_u64(c);
	type = need_u32(c);
	offset = need_u64(c);
	if (c->error != 0)
		return;
	slot = find_slot(m, name, length);
	if (slot.tensor == NULL) {
		REFUSE(c, "tensor %q does not belong to a llama model of %u layers", length, name,
		       (uint64_t)m->config.layers);
		return;
	}
	row = row_bytes(type, slot.cols);
	if (slot.tensor->cols != 0)
		REFUSE(c, "tensor %q is there twice", length, name);
	else if (dims[0] != slot.cols || dims[1] != slot.rows)
		REFUSE(c, "tensor %q is %u x %u, not %u x %u", length, name, dims[0], dims[1], slot.cols, slot.rows);
	else if (row == 0 || (slot.vector && type != FLX_F32))
		REFUSE(c, "tensor %q has type %u, which is not supported there", length, name, (uint64_t)type);
	else if (offset % p->alignment != 0 || offset > c->bytes || row * slot.rows > c->bytes - offset)
		REFUSE(c, "tensor %q lies outside the file or is not aligned", length, name);
	if (c->error != 0)
		return;
	*slot.tensor = (struct flx_tensor){ .data = c->image + offset, .bytes = row * slot.rows, .rows = (uint32_t)slot.rows,
					    .cols = (uint32_t)slot.cols, .type = type };
}

/* Now that the list has ended: offsets count from here, rounded up. */
static void place_tensor(struct parse *p, struct flx_tensor *t, const char *name, uint64_t layer, uint64_t start)
{
	struct cursor *c = &p->cursor;
	uint64_t offset = (uint64_t)(t->data - c->image);

	if (c->error != 0)
		return;
	if (t->cols == 0)
		REFUSE(c, "tensor %s (layer %u) is missing", name, layer);
	else if (start > c->bytes || offset > c->bytes - start || t->bytes > c->bytes - start - offset)
		REFUSE(c, "tensor %s (layer %u) is cut short by the end of the file", name, layer);
	else
		t->data = c->image + start + offset;
}

static void place_tensors(struct parse *p, struct flx_model *m)
{
	struct flx_weights *w = &m->weights;
	uint64_t start = flx_align(p->cursor.at, p->alignment);
	static const char *const names[9] = { "attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm",
					      "ffn_gate", "ffn_up", "ffn_down" };

	place_tensor(p, &w->embedding, "token_embd", 0, start);
	place_tensor(p, &w->output_norm, "output_norm", 0, start);
	for (uint32_t i = 0; i < m->config.layers; i++) {
		struct flx_layer *l = &w->layer[i];
		struct flx_tensor *tensors[9] = { &l->attn_norm, &l->wq, &l->wk, &l->wv, &l->wo, &l->ffn_norm, &l->gate,
						  &l->up, &l->down };

		for (uint32_t k = 0; k < 9; k++)
			place_tensor(p, tensors[k], names[k], i, start);
	}
	if (w->output.cols == 0)
		w->output = w->embedding;
	else
		place_tensor(p, &w->output, "output", 0, start);
	if (w->rope_factors.cols != 0)
		place_tensor(p, &w->rope_factors, "rope_freqs", 0, start);
}

/* Angle of one step for each pair: base^(-2i/n), scaled, divided by the file's factors (llama 3.1's long context). */
static void make_frequencies(struct parse *p, struct flx_model *m)
{
	const struct flx_config *f = &m->config;
	const struct flx_tensor *factors = &m->weights.rope_factors;
	const struct flx_host *host = p->cursor.host;
	double step = flx_log2(f->rope_base) * 2.0 / f->rope_dim;
	int pinned = factors->cols != 0 && host != NULL && host->pin != NULL;

	if (pinned)
		p->cursor.error = host->pin(host->ctx, factors->data, factors->bytes);
	if (p->cursor.error != 0)
		return;
	for (uint32_t i = 0; i < f->rope_dim / 2 && p->cursor.error == 0; i++) {
		double factor = 1.0;

		if (factors->cols != 0)
			factor = (double)flx_bits_float(flx_u32(factors->data + 4ull * i));
		if (!(factor >= 1e-3 && factor <= 1e6))
			REFUSE(&p->cursor, "rope_freqs has a factor out of range");
		m->inv_freq[i] = flx_exp2(-step * i) * f->rope_scale / factor;
	}
	if (pinned && host->unpin != NULL)
		host->unpin(host->ctx, factors->data, factors->bytes);
}

/* ---- the two passes ---- */

/* Everything before the tensor list; takes what `model` needs from the bump. */
static int read_metadata(struct parse *p, struct flx_model *m, struct flx_bump *bump)
{
	struct cursor *c = &p->cursor;
	struct flx_vocab_source source = { 0 };
	int error;

	walk_header(p);
	p->alignment = whole(p, K_ALIGNMENT, 8, 65536, 32);
	if (c->error == 0 && (p->alignment & (p->alignment - 1)) != 0)
		REFUSE(c, "an alignment of %u is not a power of two", p->alignment);
	if (c->error == 0)
		read_config(p, &m->config);
	if (c->error == 0)
		read_vocab(p, &m->vocab, &source);
	if (c->error != 0)
		return c->error;
	m->config.vocab = m->vocab.size;
	m->weights.layer = flx_take(bump, m->config.layers, sizeof(struct flx_layer));
	m->inv_freq = flx_take(bump, m->config.rope_dim / 2, sizeof(double));
	error = flx_vocab_build(&m->vocab, &source, bump, c->reason);
	if (error == FLX_OK && m->vocab.eot < 0 && bump->base != NULL)
		m->vocab.eot = flx_vocab_find(&m->vocab, (const uint8_t *)"<|eot_id|>", 10);
	return error;
}

static void begin(struct parse *p, const struct flx_host *host, const void *image, uint64_t bytes,
		  struct flx_reason *reason)
{
	memset(p, 0, sizeof(*p));
	p->cursor.host = host;
	p->cursor.image = image;
	p->cursor.bytes = bytes;
	p->cursor.reason = reason;
	reason->text[0] = 0;
}

int flx_model_measure(const struct flx_host *host, const void *image, uint64_t bytes, uint64_t *arena_bytes,
		      struct flx_reason *reason)
{
	struct flx_bump bump = { 0 };
	struct flx_model model;
	struct parse p;
	int error;

	memset(&model, 0, sizeof(model));
	begin(&p, host, image, bytes, reason);
	error = read_metadata(&p, &model, &bump);
	unpin_all(&p.cursor);
	*arena_bytes = bump.used;
	return error;
}

int flx_model_load(struct flx_model *model, const struct flx_host *host, const void *image, uint64_t bytes, void *arena,
		   uint64_t arena_bytes, struct flx_reason *reason)
{
	struct flx_bump bump = { .base = arena, .size = arena_bytes };
	struct parse p;
	int error;

	memset(model, 0, sizeof(*model));
	begin(&p, host, image, bytes, reason);
	if (arena == NULL || (uintptr_t)arena % FLX_ARENA_ALIGN != 0)
		return FLX_E_ARENA;
	error = read_metadata(&p, model, &bump);
	if (error == FLX_OK) {
		memset(model->weights.layer, 0, model->config.layers * sizeof(struct flx_layer));
		for (uint64_t i = 0; i < p.tensors && p.cursor.error == 0; i++)
			walk_tensor(&p, model);
		if (p.cursor.error == 0)
			place_tensors(&p, model);
		if (p.cursor.error == 0)
			make_frequencies(&p, model);
		error = p.cursor.error;
	}
	unpin_all(&p.cursor);
	model->image = image;
	model->image_bytes = bytes;
	return error;
}
