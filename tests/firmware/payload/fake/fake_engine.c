/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An engine that only touches memory: a "model" is a header page and layers of pages, each stamped with its number; a
 * pass pins each layer, reads every stamp through the window, and adds them up. Wrong bytes end the test.
 */
#include "fake.h"
#include "fake_engine.h"

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
	fill_weights(model, arena);
	return FLX_OK;
}

uint64_t flx_state_bytes(const struct flx_model *model, uint32_t context, uint32_t batch)
{
	(void)model;
	return (uint64_t)context * 256 + batch;
}

int flx_state_init(struct flx_state *state, const struct flx_model *model, void *arena, uint64_t arena_bytes,
		   uint32_t context, uint32_t batch)
{
	CHECK(arena_bytes >= flx_state_bytes(model, context, batch));
	memset(arena, 0x55, flx_state_bytes(model, context, batch));
	memset(state, 0, sizeof(*state));
	state->model = model;
	state->context = context;
	state->prompt = arena;
	return FLX_OK;
}

int flx_prompt(struct flx_state *state, const uint8_t *text, uint64_t bytes)
{
	if (bytes >= state->context)
		return FLX_E_PROMPT;
	for (uint64_t i = 0; i < bytes; i++)
		state->prompt[i] = text[i];
	state->prompt_tokens = (uint32_t)bytes;
	return FLX_OK;
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

	CHECK(ids && count);
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
		if (host->unpin)
			host->unpin(host->ctx, pass.layer, layer_bytes);
	}
	state->position += count;
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
