/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Files cut at every length, and files with hostile values at random places: each is refused with a reason, or loads and
 * computes; never is a byte read that is not pinned, not part of the file, or not written before.
 */
#include <time.h>

#include "model.h"

#define ROOM (1u << 20)
#define SECONDS 6 /* for the random part of each vocabulary */

static uint8_t valid[ROOM], changed[ROOM];

static const uint64_t hostile[] = { 0, 1, 2, 3, 7, 31, 32, 33, 255, 256, 4095, 4096, 65535, 65536, 0x7fffffff, 0x80000000,
				    0xffffffff, 0x100000000, 0x7fffffffffffffff, 0x8000000000000000, 0xfffffffffffffff0,
				    0xfffffffffffffffe, 0xffffffffffffffff };

static int run(const uint8_t *image, uint64_t bytes, uint64_t refuse_at, uint64_t *calls)
{
	struct flx_reason reason;
	struct guarded g;
	int error;

	guard(&g, image, bytes);
	g.refuse_at = refuse_at;
	error = exercise(&g, &reason);
	if (calls != NULL)
		*calls = g.calls;
	unguard(&g);
	return error;
}

static void cut_everywhere(uint64_t bytes, uint64_t metadata)
{
	for (uint64_t length = 0; length < bytes; length += length < metadata + 64 ? 1 : 997)
		CHECK(run(valid, length, 0, NULL) == FLX_E_MODEL);
}

/* Every pin may fail, with whatever error: the call under way ends with it, and nothing stays pinned. */
static void refuse_every_pin(uint64_t bytes)
{
	uint64_t calls;

	CHECK(run(valid, bytes, 0, &calls) == FLX_OK);
	for (uint64_t i = 1; i <= calls; i++)
		CHECK(run(valid, bytes, i, NULL) == (i == 2 ? FLX_OK : -77)); /* 2: a load that is to fail anyway */
}

static void mutate(uint64_t *seed, uint64_t bytes, uint64_t metadata)
{
	uint32_t changes = 1 + draw(seed) % 3;

	memcpy(changed, valid, bytes);
	for (uint32_t i = 0; i < changes; i++) {
		uint64_t range = draw(seed) % 8 == 0 ? bytes : metadata, at = draw(seed) % (range - 8);
		uint64_t value = hostile[draw(seed) % (sizeof(hostile) / sizeof(hostile[0]))];
		uint64_t width = 1ull << draw(seed) % 4;

		if (draw(seed) % 4 == 0)
			value = draw(seed);
		memcpy(changed + at, &value, width);
	}
}

static void mutate_for_a_while(uint64_t seed, uint64_t bytes, uint64_t metadata)
{
	time_t end = time(NULL) + SECONDS;
	uint64_t runs = 0, loaded = 0;

	for (; time(NULL) < end; runs++) {
		mutate(&seed, bytes, metadata);
		loaded += run(changed, draw(&seed) % 4 == 0 ? draw(&seed) % bytes : bytes, 0, NULL) == FLX_OK;
	}
	printf("%llu mutations, %llu of them still compute\n", (unsigned long long)runs, (unsigned long long)loaded);
	CHECK(loaded > 0 && loaded < runs);
}

/* The image may be another when it is loaded than it was when it was measured (pages come and go in between). */
static void change_between_passes(uint64_t seed, uint64_t bytes, uint64_t metadata)
{
	struct flx_reason reason;
	struct flx_model model;
	uint64_t room, loaded = 0;
	void *arena = NULL;

	CHECK(flx_model_measure(NULL, valid, bytes, &room, &reason) == FLX_OK);
	CHECK(posix_memalign(&arena, FLX_ARENA_ALIGN, room) == 0);
	for (uint32_t i = 0; i < 3000; i++) {
		int error;

		mutate(&seed, bytes, metadata);
		error = flx_model_load(&model, NULL, changed, bytes, arena, room, &reason);
		CHECK(error == FLX_OK || error == FLX_E_MODEL || error == FLX_E_ARENA);
		loaded += error == FLX_OK;
	}
	CHECK(loaded > 0 && loaded < 3000);
	free(arena);
}

static void refusals_name_their_reason(uint64_t bytes)
{
	struct flx_reason reason;
	struct guarded g;
	const struct {
		uint64_t at;
		uint8_t value;
		const char *reason;
	} cases[] = { { 0, 'X', "not a GGUF file" }, { 4, 1, "GGUF version 1" }, { 8, 0, "" }, { 15, 1, "tensors" } };

	for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memcpy(changed, valid, bytes);
		changed[cases[i].at] = cases[i].value;
		guard(&g, changed, bytes);
		CHECK(exercise(&g, &reason) == FLX_E_MODEL);
		CHECK(strstr(reason.text, cases[i].reason) != NULL);
		unguard(&g);
	}
}

int main(void)
{
	static const uint32_t kinds[2] = { FLX_TOKENIZER_SPM, FLX_TOKENIZER_BPE };

	for (uint32_t i = 0; i < 2; i++) {
		uint64_t metadata, bytes = model_write(valid, ROOM, kinds[i], &metadata);

		CHECK(run(valid, bytes, 0, NULL) == FLX_OK);
		refusals_name_their_reason(bytes);
		cut_everywhere(bytes, metadata);
		refuse_every_pin(bytes);
		change_between_passes(2000 + i, bytes, metadata);
		mutate_for_a_while(1000 + i, bytes, metadata);
	}
	return 0;
}
