/* SPDX-License-Identifier: BSD-3-Clause */
/* A session's memory, and what a session does that is not computing. */
#include "state.h"

#include "kernels.h"

#define PROMPT_BYTES_MAX 32768u

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

uint32_t flx_padded_head(const struct flx_config *f)
{
	return (uint32_t)flx_align(f->head_dim, 8);
}

/* No prompt that fits the context is longer: a token stands for at most `longest` bytes. */
static uint64_t prompt_bytes(const struct flx_model *model, uint32_t context)
{
	uint64_t most = (uint64_t)context * larger(model->vocab.longest, 1);

	return most < PROMPT_BYTES_MAX ? most : PROMPT_BYTES_MAX;
}

/* What lives from call to call: the KV cache, prompt and logits. */
static void lay_out_kept(struct flx_state *s, struct flx_bump *bump)
{
	const struct flx_config *f = &s->model->config;
	uint64_t rows = (uint64_t)f->layers * f->kv_heads * s->context;

	s->prompt = flx_take(bump, s->context, sizeof(*s->prompt));
	s->logits = flx_take(bump, f->vocab, sizeof(*s->logits));
	s->key = flx_take(bump, rows * flx_padded_head(f), sizeof(*s->key));
	s->value = flx_take(bump, rows * flx_padded_head(f), sizeof(*s->value));
	s->key_scale = flx_take(bump, rows, sizeof(*s->key_scale));
	s->value_scale = flx_take(bump, rows, sizeof(*s->value_scale));
}

/* What a pass needs. */
static void lay_out_run(struct flx_state *s, struct flx_bump *bump)
{
	const struct flx_config *f = &s->model->config;
	uint64_t q = (uint64_t)f->heads * f->head_dim, kv = (uint64_t)f->kv_heads * f->head_dim;
	uint64_t widest = larger(larger(f->dim, q), f->ff), batch = s->batch, padded = flx_align(batch, 4);

	s->x = flx_take(bump, batch * f->dim, sizeof(float));
	s->xb = flx_take(bump, batch * larger(f->dim, q), sizeof(float));
	s->delta = flx_take(bump, batch * f->dim, sizeof(float));
	s->q = flx_take(bump, batch * q, sizeof(float));
	s->k = flx_take(bump, batch * kv, sizeof(float));
	s->v = flx_take(bump, batch * kv, sizeof(float));
	s->hb = flx_take(bump, batch * f->ff, sizeof(float));
	s->hb2 = flx_take(bump, batch * f->ff, sizeof(float));
	s->rope = flx_take(bump, batch * f->rope_dim, sizeof(float));
	s->act = flx_take(bump, padded * widest, sizeof(int16_t));
	s->act_scale = flx_take(bump, padded * (widest / FLX_BLOCK + 1), sizeof(int32_t));
	s->act_unit = flx_take(bump, padded, sizeof(float));
	s->att = flx_take(bump, (uint64_t)f->heads * ((batch + FLX_QUERIES - 1) / FLX_QUERIES) * s->context, sizeof(int32_t));
}

static uint64_t lay_out(struct flx_state *s, struct flx_bump *bump)
{
	struct flx_bump scratch;

	lay_out_kept(s, bump);
	scratch = *bump;
	lay_out_run(s, bump);
	/* the tokenizer's memory lies over that of the pass */
	s->scratch_bytes = flx_scratch_bytes(s->model, prompt_bytes(s->model, s->context));
	s->scratch = flx_take(&scratch, s->scratch_bytes, 1);
	bump->full |= scratch.full;
	return larger(bump->used, scratch.used);
}

static int in_range(const struct flx_model *model, uint32_t context, uint32_t batch)
{
	return context >= 1 && context <= model->config.context && batch >= 1 && batch <= FLX_BATCH_MAX;
}

uint64_t flx_state_bytes(const struct flx_model *model, uint32_t context, uint32_t batch)
{
	struct flx_state state = { .model = model, .context = context, .batch = batch };
	struct flx_bump bump = { 0 };

	return in_range(model, context, batch) ? lay_out(&state, &bump) : 0;
}

int flx_state_init(struct flx_state *state, const struct flx_model *model, void *arena, uint64_t arena_bytes,
		   uint32_t context, uint32_t batch)
{
	struct flx_bump bump = { .base = arena, .size = arena_bytes };

	memset(state, 0, sizeof(*state));
	if (!in_range(model, context, batch))
		return FLX_E_CONTEXT;
	if (arena == NULL || (uintptr_t)arena % FLX_ARENA_ALIGN != 0)
		return FLX_E_ARENA;
	state->model = model;
	state->context = context;
	state->batch = batch;
	lay_out(state, &bump);
	return bump.full ? FLX_E_ARENA : FLX_OK;
}

int flx_prompt(struct flx_state *state, const uint8_t *text, uint64_t bytes)
{
	int64_t count;

	state->position = 0;
	state->prompt_tokens = 0;
	if (bytes == 0 || bytes > prompt_bytes(state->model, state->context))
		return FLX_E_PROMPT;
	count = flx_tokenize(state->model, text, bytes, state->scratch, state->scratch_bytes, state->prompt,
			     state->context);
	if (count < 0)
		return (int)count;
	if (count == 0)
		return FLX_E_PROMPT;
	state->prompt_tokens = (uint32_t)count;
	return FLX_OK;
}

uint64_t flx_kv_piece(const struct flx_state *state, uint32_t number, uint8_t **at)
{
	const struct flx_config *f = &state->model->config;
	uint64_t row = (uint64_t)(number / 4) * state->context, head = flx_padded_head(f);
	void *const piece[] = { state->key + row * head, state->value + row * head, state->key_scale + row,
				state->value_scale + row };

	if (number / 4 >= f->layers * f->kv_heads)
		return 0;
	*at = piece[number % 4];
	return state->position * (number % 4 < 2 ? head * sizeof(*state->key) : sizeof(*state->key_scale));
}

/* A NaN is never larger than anything, so it is never chosen. */
int32_t flx_greedy(const struct flx_state *state)
{
	uint32_t best = 0;
	float top = -__builtin_inff();

	for (uint32_t i = 0; i < state->model->config.vocab; i++) {
		if (state->logits[i] > top) {
			top = state->logits[i];
			best = i;
		}
	}
	return (int32_t)best;
}
