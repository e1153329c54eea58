/* SPDX-License-Identifier: BSD-3-Clause */
/* The pool's tiles are run once each, and a model on several threads races nowhere (run under the thread sanitizer). */
#include <stdatomic.h>

#include "model.h"
#include "pool.h"

static _Atomic uint32_t done[1000];

static void count(void *arg, uint32_t tile)
{
	(void)arg;
	atomic_fetch_add(&done[tile], 1);
}

static void every_tile_once(void)
{
	struct flx_pool *pool = flx_pool_start(4);

	CHECK(pool != NULL);
	for (uint32_t round = 1; round <= 300; round++) {
		flx_pool_parallel(pool, count, NULL, round % 7 == 0 ? 3 : 1000);
		CHECK(done[0] == round);
	}
	CHECK(done[999] == 300 - 300 / 7);
	flx_pool_stop(pool);
}

static void parallel(void *ctx, void (*fn)(void *arg, uint32_t tile), void *arg, uint32_t tiles)
{
	flx_pool_parallel(ctx, fn, arg, tiles);
}

static void compute(const struct flx_model *model, struct flx_host *host, float *logits)
{
	uint64_t bytes = flx_state_bytes(model, 32, 8);
	void *memory = aligned_alloc(FLX_ARENA_ALIGN, bytes);
	struct flx_state state;

	CHECK(flx_state_init(&state, model, memory, bytes, 32, 8) == FLX_OK);
	CHECK(flx_prompt(&state, (const uint8_t *)"abcd efgh", 9) == FLX_OK);
	CHECK(flx_forward(&state, host, state.prompt, state.prompt_tokens) == FLX_OK);
	memcpy(logits, state.logits, model->config.vocab * sizeof(*logits));
	free(memory);
}

int main(void)
{
	static uint8_t image[1u << 20];
	static float alone[1000], together[1000];
	struct flx_host serial = { 0 }, host = { .parallel = parallel };
	struct flx_reason reason;
	struct flx_model model;
	uint64_t metadata, bytes = model_write(image, sizeof(image), FLX_TOKENIZER_SPM, &metadata), room;
	void *memory;

	every_tile_once();
	CHECK(flx_model_measure(NULL, image, bytes, &room, &reason) == FLX_OK);
	memory = aligned_alloc(FLX_ARENA_ALIGN, room);
	CHECK(flx_model_load(&model, NULL, image, bytes, memory, room, &reason) == FLX_OK);
	compute(&model, &serial, alone);
	host.ctx = flx_pool_start(4);
	for (uint32_t i = 0; i < 20; i++) {
		compute(&model, &host, together);
		CHECK(memcmp(alone, together, sizeof(alone)) == 0);
	}
	flx_pool_stop(host.ctx);
	free(memory);
	return 0;
}
