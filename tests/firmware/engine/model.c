/* SPDX-License-Identifier: BSD-3-Clause */
#include "model.h"

#if defined(__has_feature) /* clang */
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#endif

#define PAGE 4096u
#define DIM 32u
#define FF 64u
#define LAYERS 2u
#define HEADS 4u
#define KV_HEADS 2u
#define VOCAB 280u
#define CONTEXT 64u

/* ---- writing ---- */

struct writer {
	uint8_t *to;
	uint64_t at, room;
};

static void put(struct writer *w, const void *bytes, uint64_t count)
{
	CHECK(count <= w->room - w->at);
	memcpy(w->to + w->at, bytes, count);
	w->at += count;
}

static void put_u32(struct writer *w, uint32_t v)
{
	put(w, &v, sizeof(v));
}

static void put_u64(struct writer *w, uint64_t v)
{
	put(w, &v, sizeof(v));
}

static void put_string(struct writer *w, const char *text)
{
	put_u64(w, strlen(text));
	put(w, text, strlen(text));
}

static void put_number(struct writer *w, const char *key, uint32_t value)
{
	put_string(w, key);
	put_u32(w, 4);
	put_u32(w, value);
}

static void put_float(struct writer *w, const char *key, float value)
{
	put_string(w, key);
	put_u32(w, 6);
	put(w, &value, sizeof(value));
}

static void put_text(struct writer *w, const char *key, const char *value)
{
	put_string(w, key);
	put_u32(w, 8);
	put_string(w, value);
}

static void put_array(struct writer *w, const char *key, uint32_t type, uint64_t count)
{
	put_string(w, key);
	put_u32(w, 9);
	put_u32(w, type);
	put_u64(w, count);
}

/* Bytes as <0xNN> (SPM) or as GPT-2's letters (BPE), three specials, some words. */
static void token_text(uint32_t kind, uint32_t id, char out[16])
{
	static const char *const special[3] = { "<unk>", "<s>", "</s>" };
	uint32_t byte = id - 3, code;

	if (id < 3) {
		snprintf(out, 16, "%s", special[id]);
	} else if (byte >= 256) {
		snprintf(out, 16, "%c%c", 'a' + (int)(byte - 256) / 5, 'a' + (int)(byte - 256) % 5);
	} else if (kind == FLX_TOKENIZER_SPM) {
		snprintf(out, 16, "<0x%02X>", byte);
	} else {
		static const uint32_t first[3] = { 0x21, 0xa1, 0xae }, last[3] = { 0x7e, 0xac, 0xff };
		uint32_t hidden = 0;

		code = 0;
		for (uint32_t b = 0; b <= byte; b++) {
			int visible = 0;

			for (uint32_t r = 0; r < 3; r++)
				visible |= b >= first[r] && b <= last[r];
			code = visible ? b : 0x100 + hidden;
			hidden += !visible;
		}
		if (code < 0x80)
			snprintf(out, 16, "%c", (int)code);
		else
			snprintf(out, 16, "%c%c", (int)(0xc0 | code >> 6), (int)(0x80 | (code & 63)));
	}
}

static void put_vocabulary(struct writer *w, uint32_t kind)
{
	char text[16];

	put_array(w, "tokenizer.ggml.tokens", 8, VOCAB);
	for (uint32_t i = 0; i < VOCAB; i++) {
		token_text(kind, i, text);
		put_string(w, text);
	}
	put_array(w, "tokenizer.ggml.token_type", 5, VOCAB);
	for (uint32_t i = 0; i < VOCAB; i++)
		put_u32(w, i == 0 ? 2 : i < 3 ? 3 : kind == FLX_TOKENIZER_SPM && i < 259 ? 6 : 1);
	put_number(w, "tokenizer.ggml.bos_token_id", 1);
	put_number(w, "tokenizer.ggml.eos_token_id", 2);
	if (kind == FLX_TOKENIZER_SPM) {
		put_text(w, "tokenizer.ggml.model", "llama");
		put_array(w, "tokenizer.ggml.scores", 6, VOCAB);
		for (uint32_t i = 0; i < VOCAB; i++) {
			float score = -(float)i;

			put(w, &score, sizeof(score));
		}
		return;
	}
	put_text(w, "tokenizer.ggml.model", "gpt2");
	put_text(w, "tokenizer.ggml.pre", "llama-bpe");
	put_array(w, "tokenizer.ggml.merges", 8, VOCAB - 259);
	for (uint32_t i = 259; i < VOCAB; i++) {
		token_text(kind, i, text);
		snprintf(text + 2, 8, "%c", text[1]);
		text[1] = ' ';
		put_string(w, text);
	}
}

struct entry {
	const char *name;
	uint32_t rows, cols, type;
};

static uint64_t entry_bytes(const struct entry *e)
{
	uint64_t elements = (uint64_t)e->rows * e->cols;

	return e->type == FLX_F32 ? elements * 4 : elements / 32 * 34;
}

static void put_entry(struct writer *w, const struct entry *e, const char *name, uint64_t offset)
{
	put_string(w, name);
	put_u32(w, e->rows == 1 ? 1 : 2);
	put_u64(w, e->cols);
	if (e->rows != 1)
		put_u64(w, e->rows);
	put_u32(w, e->type);
	put_u64(w, offset);
}

static void put_weights(struct writer *w, uint64_t bytes, uint32_t type, uint64_t *seed)
{
	for (uint64_t i = 0; i < bytes; i++) {
		uint8_t byte = (uint8_t)draw(seed);

		/* a float near 1, or the half 0.0078 before 32 weights */
		if (type == FLX_F32)
			byte = i % 4 == 3 ? 0x3f : i % 4 == 2 ? 0x80 : byte;
		else if (i % 34 < 2)
			byte = i % 34 == 0 ? 0x00 : 0x20;
		put(w, &byte, 1);
	}
}

uint64_t model_write(uint8_t *to, uint64_t room, uint32_t kind, uint64_t *metadata)
{
	static const struct entry top[] = { { "token_embd.weight", VOCAB, DIM, FLX_Q8_0 },
					    { "output_norm.weight", 1, DIM, FLX_F32 },
					    { "output.weight", VOCAB, DIM, FLX_F32 } };
	static const struct entry layer[] = {
		{ "attn_norm", 1, DIM, FLX_F32 },	{ "attn_q", DIM, DIM, FLX_Q8_0 },
		{ "attn_k", DIM / 2, DIM, FLX_Q8_0 },	{ "attn_v", DIM / 2, DIM, FLX_Q8_0 },
		{ "attn_output", DIM, DIM, FLX_Q8_0 },	{ "ffn_norm", 1, DIM, FLX_F32 },
		{ "ffn_gate", FF, DIM, FLX_Q8_0 },	{ "ffn_up", FF, DIM, FLX_Q8_0 },
		{ "ffn_down", DIM, FF, FLX_Q8_0 },
	};
	const uint32_t layer_count = sizeof(layer) / sizeof(layer[0]), top_count = sizeof(top) / sizeof(top[0]);
	struct writer w = { to, 0, room };
	uint64_t offset = 0, seed = 88172645463325252ull;
	char name[64];

	put(&w, "GGUF", 4);
	put_u32(&w, 3);
	put_u64(&w, top_count + LAYERS * layer_count);
	put_u64(&w, kind == FLX_TOKENIZER_SPM ? 15 : 16);
	put_text(&w, "general.architecture", "llama");
	put_text(&w, "general.name", "test");
	put_number(&w, "llama.block_count", LAYERS);
	put_number(&w, "llama.context_length", CONTEXT);
	put_number(&w, "llama.embedding_length", DIM);
	put_number(&w, "llama.feed_forward_length", FF);
	put_number(&w, "llama.attention.head_count", HEADS);
	put_number(&w, "llama.attention.head_count_kv", KV_HEADS);
	put_float(&w, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
	put_vocabulary(&w, kind);
	for (uint32_t i = 0; i < top_count + LAYERS * layer_count; i++) {
		const struct entry *e = i < top_count ? &top[i] : &layer[(i - top_count) % layer_count];

		snprintf(name, sizeof(name), "%s", e->name);
		if (i >= top_count)
			snprintf(name, sizeof(name), "blk.%u.%s.weight", (i - top_count) / layer_count, e->name);
		put_entry(&w, e, name, offset);
		offset = (offset + entry_bytes(e) + 31) / 32 * 32;
	}
	*metadata = w.at;
	for (uint32_t i = 0; i < top_count + LAYERS * layer_count; i++) {
		const struct entry *e = i < top_count ? &top[i] : &layer[(i - top_count) % layer_count];

		while (w.at % 32 != 0)
			put(&w, "", 1);
		put_weights(&w, entry_bytes(e), e->type, &seed);
	}
	return w.at;
}

/* ---- guarded pages ---- */

static void check_range(const struct guarded *g, const void *addr, uint64_t bytes, uint64_t *first, uint64_t *last)
{
	uint64_t at = (uint64_t)((const uint8_t *)addr - g->image);

	CHECK((const uint8_t *)addr >= g->image && at <= g->bytes && bytes <= g->bytes - at && bytes > 0);
	*first = at / PAGE;
	*last = (at + bytes - 1) / PAGE;
}

/* The bytes of a page that belong to the image; behind its end nothing is ever readable. */
static uint64_t page_bytes(const struct guarded *g, uint64_t page)
{
	uint64_t left = g->bytes - page * PAGE;

	return left < PAGE ? left : PAGE;
}

static int guarded_pin(void *ctx, const void *addr, uint64_t bytes)
{
	struct guarded *g = ctx;
	uint64_t first, last;

	check_range(g, addr, bytes, &first, &last);
	if (++g->calls == g->refuse_at)
		return -77;
	for (uint64_t page = first; page <= last; page++) {
		if (g->pins[page]++ == 0)
			ASAN_UNPOISON_MEMORY_REGION(g->image + page * PAGE, page_bytes(g, page));
		g->pinned++;
	}
	return 0;
}

static void guarded_unpin(void *ctx, const void *addr, uint64_t bytes)
{
	struct guarded *g = ctx;
	uint64_t first, last;

	check_range(g, addr, bytes, &first, &last);
	for (uint64_t page = first; page <= last; page++) {
		CHECK(g->pins[page] > 0);
		if (--g->pins[page] == 0)
			ASAN_POISON_MEMORY_REGION(g->image + page * PAGE, PAGE);
		g->pinned--;
	}
}

void guard(struct guarded *g, const uint8_t *image, uint64_t bytes)
{
	memset(g, 0, sizeof(*g));
	g->bytes = bytes;
	g->pages = (bytes + PAGE - 1) / PAGE;
	CHECK(posix_memalign((void **)&g->image, PAGE, (g->pages + 1) * PAGE) == 0);
	memcpy(g->image, image, bytes);
	g->pins = calloc(g->pages + 1, sizeof(*g->pins));
	ASAN_POISON_MEMORY_REGION(g->image, (g->pages + 1) * PAGE);
	g->host = (struct flx_host){ .ctx = g, .pin = guarded_pin, .unpin = guarded_unpin };
}

void unguard(struct guarded *g)
{
	ASAN_UNPOISON_MEMORY_REGION(g->image, (g->pages + 1) * PAGE);
	free(g->image);
	free(g->pins);
}

/* ---- the usual life ---- */

/* An arena of exactly this size; freed by the caller. */
static void *arena(uint64_t bytes)
{
	void *at = NULL;

	CHECK(bytes < 1ull << 32 && posix_memalign(&at, FLX_ARENA_ALIGN, bytes + 1) == 0);
	return at;
}

static int generate(struct guarded *g, struct flx_state *s)
{
	static const char prompt[] = "ab <s> abcd\xc3\xa9 123 it's  \n\nba\xe2\x82\xac";
	int error = flx_prompt(s, (const uint8_t *)prompt, sizeof(prompt) - 1);
	uint8_t text[8];

	if (error != 0)
		return error;
	error = flx_forward(s, &g->host, s->prompt, s->prompt_tokens);
	for (uint32_t i = 0; i < 2 && error == 0 && s->position < s->context; i++) {
		int32_t id = flx_greedy(s);

		CHECK(id >= 0 && (uint32_t)id < s->model->config.vocab);
		flx_token_text(s->model, id, text, sizeof(text));
		flx_is_end(s->model, id);
		error = flx_forward(s, &g->host, &id, 1);
	}
	return error;
}

static int with_session(struct guarded *g, const struct flx_model *model)
{
	uint32_t context = model->config.context < 64 ? model->config.context : 64;
	uint64_t bytes = flx_state_bytes(model, context, 5);
	struct flx_state state;
	void *memory;
	int error;

	CHECK(bytes > 0);
	if (bytes > 64u << 20) /* a mutation asked for a huge model: nobody has to compute it */
		return FLX_E_ARENA;
	memory = arena(bytes);
	CHECK(flx_state_init(&state, model, memory, bytes - 1, context, 5) == FLX_E_ARENA);
	error = flx_state_init(&state, model, memory, bytes, context, 5);
	if (error == 0)
		error = generate(g, &state);
	free(memory);
	return error;
}

int exercise(struct guarded *g, struct flx_reason *reason)
{
	struct flx_model model;
	uint64_t bytes;
	void *memory;
	int error = flx_model_measure(&g->host, g->image, g->bytes, &bytes, reason);

	CHECK(g->pinned == 0);
	CHECK((error == FLX_E_MODEL) == (reason->text[0] != 0));
	if (error != 0)
		return error;
	CHECK(bytes < 1ull << 31);
	memory = arena(bytes);
	CHECK(flx_model_load(&model, &g->host, g->image, g->bytes, memory, bytes - 1, reason) != FLX_OK);
	CHECK(g->pinned == 0);
	error = flx_model_load(&model, &g->host, g->image, g->bytes, memory, bytes, reason);
	CHECK(g->pinned == 0);
	CHECK((error == FLX_E_MODEL) == (reason->text[0] != 0));
	for (const char *c = reason->text; *c != 0; c++)
		CHECK(*c >= 0x20 && *c < 0x7f);
	if (error == 0)
		error = with_session(g, &model);
	CHECK(g->pinned == 0);
	free(memory);
	return error;
}
