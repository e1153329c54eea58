/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An engine that only touches memory: a "model" is a header page and layers of pages, each stamped with its number; a
 * pass pins each layer, reads every stamp through the window, and adds them up. Wrong bytes end the test. Its KV cache is
 * a row of ROW bytes for each layer and position, made of the token and of all rows before it.
 */
#include "fake.h"
#include "fake_engine.h"

#define ROW 192

bool fake_adds_bos;
uint64_t fake_digest, fake_computed;

static const struct fake_header *pinned_header(const struct flx_host *host, const void *image, int *error)
{
	*error = host->pin ? host->pin(host->ctx, image, sizeof(struct fake_header)) : 0;
	return image;
}

static int read_header(const struct flx_host *host, const void *image, uint64_t bytes, struct fake_header *out,
		       struct flx_reason *reason)
{
	int error;
	const struct fake_header *header = pinned_header(host, image, &error);

	if (error)
		return error;
	*out = *header;
	if (host->unpin)
		host->unpin(host->ctx, image, sizeof(struct fake_header));
	if (out->magic == FAKE_MAGIC && bytes == fake_model_pages(out) * FLEX_PAGE_SIZE)
		return FLX_OK;
	strcpy(reason->text, "not a fake model");
	return FLX_E_MODEL;
}

int flx_model_measure(const struct flx_host *host, const void *image, uint64_t bytes, uint64_t *arena_bytes,
		      struct flx_reason *reason)
{
	struct fake_header header;

	*arena_bytes = 5000;
	return read_header(host, image, bytes, &header, reason);
}

/* A layer's pages are its two tensors, the second before the first; what no layer has is the header's. */
static void fill_weights(struct flx_model *model, void *arena)
{
	const uint8_t *at = (const uint8_t *)model->image + FLEX_PAGE_SIZE;
	struct flx_layer *layers = arena;

	memset(&model->weights, 0, sizeof(model->weights));
	memset(layers, 0, model->config.layers * sizeof(*layers));
	model->weights.layer = layers;
	for (uint32_t i = 0; i < model->config.layers; i++) {
		uint64_t bytes = (uint64_t)model->config.dim * FLEX_PAGE_SIZE;

		layers[i].wq = (struct flx_tensor){ .data = at + FLEX_PAGE_SIZE, .bytes = bytes - FLEX_PAGE_SIZE };
		layers[i].down = (struct flx_tensor){ .data = at, .bytes = FLEX_PAGE_SIZE };
		at += bytes;
	}
}

int flx_model_load(struct flx_model *model, const struct flx_host *host, const void *image, uint64_t bytes, void *arena,
		   uint64_t arena_bytes, struct flx_reason *reason)
{
	struct fake_header header;
	int error = read_header(host, image, bytes, &header, reason);

	if (error)
		return error;
	CHECK(arena_bytes >= 5000);
	memset(arena, 0xaa, 5000);
	model->image = image;
	model->config.layers = header.layers;
	model->config.context = header.context;
	model->config.dim = header.layer_pages;
	model->vocab.add_bos = fake_adds_bos;
	model->vocab.bos = FAKE_BOS;
	fill_weights(model, arena);
	return FLX_OK;
}

uint64_t flx_state_bytes(const struct flx_model *model, uint32_t context, uint32_t batch)
{
	(void)model;
	return (uint64_t)context * 1024 + batch;
}

int flx_state_init(struct flx_state *state, const struct flx_model *model, void *arena, uint64_t arena_bytes,
		   uint32_t context, uint32_t batch)
{
	CHECK(arena_bytes >= flx_state_bytes(model, context, batch));
	memset(state, 0, sizeof(*state));
	state->model = model;
	state->context = context;
	state->prompt = arena;
	state->key = (int16_t *)(void *)((uint8_t *)arena + context * sizeof(int32_t));
	CHECK(context * (sizeof(int32_t) + (uint64_t)ROW * model->config.layers) <= arena_bytes);
	return FLX_OK;
}

int flx_prompt(struct flx_state *state, const uint8_t *text, uint64_t bytes)
{
	uint32_t n = 0;

	state->position = 0;
	if (bytes >= state->context)
		return FLX_E_PROMPT;
	if (state->model->vocab.add_bos)
		state->prompt[n++] = FAKE_BOS;
	for (uint64_t i = 0; i < bytes; i++)
		state->prompt[n++] = text[i];
	state->prompt_tokens = n;
	return FLX_OK;
}

static uint8_t *row_of(const struct flx_state *state, uint32_t layer, uint32_t position)
{
	return (uint8_t *)state->key + ((uint64_t)layer * state->context + position) * ROW;
}

uint64_t flx_kv_piece(const struct flx_state *state, uint32_t number, uint8_t **at)
{
	if (number >= state->model->config.layers)
		return 0;
	*at = row_of(state, number, 0);
	return (uint64_t)state->position * ROW;
}

/* FNV-1a over a layer's rows before `position`, and over what comes. */
static uint64_t digest_rows(const struct flx_state *state, uint32_t layer, uint32_t position, uint64_t digest)
{
	const uint8_t *row = row_of(state, layer, 0);

	for (uint64_t i = 0; i < (uint64_t)position * ROW; i++)
		digest = (digest ^ row[i]) * 1099511628211u;
	return digest;
}

static void compute_row(const struct flx_state *state, uint32_t layer, uint32_t position, int32_t id)
{
	uint64_t digest = digest_rows(state, layer, position, 14695981039346656037u + layer);

	for (unsigned int i = 0; i < ROW; i++) {
		digest = (digest ^ (uint32_t)id) * 1099511628211u;
		row_of(state, layer, position)[i] = (uint8_t)(digest >> 32);
	}
}

struct pass {
	const uint8_t *layer;
	uint32_t number;
	uint32_t pages;
};

static void read_stamp(void *arg, uint32_t tile)
{
	const struct pass *pass = arg;
	uint64_t stamp;

	memcpy(&stamp, pass->layer + (uint64_t)tile * FLEX_PAGE_SIZE, sizeof(stamp));
	EQUAL(stamp, FAKE_STAMP + 1 + (uint64_t)pass->number * pass->pages + tile);
}

int flx_forward(struct flx_state *state, const struct flx_host *host, const int32_t *ids, uint32_t count)
{
	uint64_t layer_bytes = (uint64_t)state->model->config.dim * FLEX_PAGE_SIZE;

	CHECK(ids && count && count <= state->context - state->position);
	for (uint32_t i = 0; i < state->model->config.layers; i++) {
		struct pass pass = { state->model->image + FLEX_PAGE_SIZE + i * layer_bytes, i, state->model->config.dim };
		int error;

		host->beat(host->ctx, i, state->position);
		if (host->cancelled(host->ctx))
			return FLX_E_CANCELLED;
		error = host->pin ? host->pin(host->ctx, pass.layer, layer_bytes) : 0;
		if (error)
			return error;
		host->parallel(host->ctx, read_stamp, &pass, pass.pages);
		for (uint32_t t = 0; t < count; t++)
			compute_row(state, i, state->position + t, ids[t]);
		if (host->unpin)
			host->unpin(host->ctx, pass.layer, layer_bytes);
	}
	state->position += count;
	fake_computed += count;
	fake_digest = 0;
	for (uint32_t i = 0; i < state->model->config.layers; i++)
		fake_digest = digest_rows(state, i, state->position, fake_digest);
	return FLX_OK;
}

uint32_t flx_fastest_caps(uint32_t caps, uint64_t (*ticks)(void))
{
	ticks();
	return caps;
}

int32_t flx_greedy(const struct flx_state *state)
{
	return (int32_t)state->position;
}

int flx_is_end(const struct flx_model *model, int32_t token)
{
	(void)model;
	return token == FAKE_END;
}

uint32_t flx_token_text(const struct flx_model *model, int32_t token, uint8_t *out, uint32_t max)
{
	(void)model;
	CHECK(max > 0);
	out[0] = (uint8_t)token;
	return 1;
}
