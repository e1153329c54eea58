/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Weights: the contents of a sealed model's slots. What the NW brings is ciphertext at best; a page is opened
 * (authenticated and decrypted in place) once, while it is pinned, and nothing computes on a page that is not open.
 *
 * Each slot has a mark. Only a claim puts other contents into a slot, and only through us, so a mark says what the slot
 * holds, however often the page moves:
 *
 *   CLOSED  => OPENING   a thread that has pinned the slot opens it
 *   OPENING => OPEN      authenticated
 *   OPENING => CLOSED    refused, and with it the model
 *   CLOSED, OPEN         | SEIZED while a claim is under way: nobody takes the contents for what they were
 *   | SEIZED => CLOSED   claimed: other contents. Not claimed (the slot held a page): as before
 *
 * A mark is looked at after the pin, and seized before the claim.
 */
#include "rt_arch.h"
#include "serving.h"

#define MARK_CLOSED 0
#define MARK_OPEN 1
#define MARK_OPENING 2
#define MARK_SEIZED 4
#define OPEN_PAGES 32 /* pinned at once by whoever opens what was just claimed */

_Static_assert(FLEX_BOARD_HAS_AES, "sealed models are opened with the processor's AES instructions");

static uint8_t marks[FLEX_BOARD_SLOTS];

static uint8_t mark_of(uint64_t slot)
{
	return __atomic_load_n(&marks[slot], __ATOMIC_ACQUIRE);
}

static bool mark_move(uint64_t slot, uint8_t from, uint8_t to)
{
	return __atomic_compare_exchange_n(&marks[slot], &from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

void srv_contents_settle(uint64_t first, uint64_t count, uint64_t claimed)
{
	for (uint64_t i = 0; i < count; i++) {
		uint8_t before = mark_of(first + i) & (uint8_t)~MARK_SEIZED;

		__atomic_store_n(&marks[first + i], i < claimed ? MARK_CLOSED : before, __ATOMIC_RELEASE);
	}
}

bool srv_contents_seize(uint64_t first, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		uint8_t mark = mark_of(first + i);

		if ((mark != MARK_CLOSED && mark != MARK_OPEN) || !mark_move(first + i, mark, mark | MARK_SEIZED)) {
			srv_contents_settle(first, i, 0);
			return false;
		}
	}
	return true;
}

static bool is_sealed_open(const struct srv_model *model)
{
	return __atomic_load_n(&model->opened, __ATOMIC_ACQUIRE);
}

/* From here on every use of the model is refused, until it is closed. */
static int64_t refuse(struct srv_model *model, int why)
{
	__atomic_store_n(&model->refused, why, __ATOMIC_RELEASE);
	return FLEX_E_MODEL;
}

const char *srv_weights_refusal(const struct srv_model *model)
{
	return seal_reason(__atomic_load_n(&model->refused, __ATOMIC_ACQUIRE));
}

/* Where chunk 0 lies, for a model in slots. */
static uint64_t data_slot(const struct srv_model *model)
{
	return model->slots.first + model->seal.first_page;
}

/* Opens a pinned slot. FLEX_E_STATE: its part of the table, *hole, is not there. FLEX_E_BUSY: somebody else has it. */
static int64_t open_slot(struct seal_cipher *cipher, struct srv_model *model, uint64_t slot, uint64_t *hole)
{
	uint64_t index = slot - data_slot(model), table = model->slots.first + seal_entry_page(index);
	const struct flex_sealed_entry *entries = rt_slot_address(table);
	int64_t error = srv_pin(table, 1, hole);
	int why;

	if (error)
		return error;
	if (!mark_move(slot, MARK_CLOSED, MARK_OPENING)) {
		srv_unpin(table, 1);
		return FLEX_E_BUSY;
	}
	why = seal_chunk(cipher, index, &entries[seal_entry_place(index)], rt_slot_address(slot));
	__atomic_store_n(&marks[slot], why ? MARK_CLOSED : MARK_OPEN, __ATOMIC_RELEASE);
	srv_unpin(table, 1);
	return why ? refuse(model, why) : FLEX_OK;
}

/* Opens what is closed among pinned slots of chunks; errors as above, and FLEX_E_MODEL. */
static int64_t open_slots(struct srv_model *model, uint64_t first, uint64_t count, struct srv_spent *spent,
			  uint64_t *hole)
{
	struct seal_cipher cipher;
	int64_t error = FLEX_OK;
	uint64_t slot = first, begun;

	while (slot < first + count && mark_of(slot) == MARK_OPEN)
		slot++;
	if (slot == first + count)
		return FLEX_OK;
	begun = srv_opening_begin(spent);
	seal_begin(&cipher, &model->seal);
	for (; slot < first + count && !error; slot++) {
		if (mark_of(slot) != MARK_OPEN)
			error = open_slot(&cipher, model, slot, hole);
	}
	seal_end(&cipher);
	srv_opening_end(spent, begun);
	return error;
}

uint64_t srv_weights_claimed(struct srv_model *model, uint64_t first, uint64_t count)
{
	uint64_t end = first + count, run, hole;
	struct srv_spent spent = { 0 };
	int64_t error = FLEX_OK;

	if (!is_sealed_open(model))
		return 0;
	if (first < data_slot(model))
		first = data_slot(model);
	/* Whatever goes wrong here is met again by the pin of whoever computes. */
	for (; first < end && !error; first += run) {
		run = end - first < OPEN_PAGES ? end - first : OPEN_PAGES;
		error = srv_pin(first, run, &hole);
		if (error)
			break;
		error = open_slots(model, first, run, &spent, &hole);
		srv_unpin(first, run);
	}
	return spent.opened;
}

/* Somebody else has it: a little later, then. */
static int64_t await_opening(uint64_t *waited)
{
	uint64_t start = rt_ticks();
	int64_t error = srv_answer(rt_yield(FLEX_YIELD_IDLE, FLEX_IDLE_OPENING, 0, 0));

	*waited += rt_ticks() - start;
	return error;
}

/* Makes another try to open worth while. */
static int64_t await(int64_t error, uint64_t hole, uint64_t *waited)
{
	if (error == FLEX_E_BUSY)
		return await_opening(waited);
	if (error != FLEX_E_STATE)
		return error;
	error = srv_pin_wait(hole, 1, hole + 1, waited);
	if (!error)
		srv_unpin(hole, 1);
	return error;
}

/* As srv_pin_wait(). When something is missing its part of the table is asked for first, so that the claim opens it. */
static int64_t pin_slots(const struct srv_model *model, uint64_t first, uint64_t count, uint64_t *waited)
{
	uint64_t end = model->slots.first + model->slots.count, table, hole = 0;
	int64_t error = srv_pin(first, count, &hole);

	if (error != FLEX_E_STATE)
		return error;
	table = model->slots.first + seal_entry_page(hole - data_slot(model));
	error = srv_pin_wait(table, 1, data_slot(model), waited);
	if (error)
		return error;
	srv_unpin(table, 1);
	return srv_pin_wait(first, count, end, waited);
}

static int64_t pin_open(struct srv_model *model, uint64_t first, uint64_t count, struct srv_spent *spent)
{
	uint64_t hole = 0;
	int64_t error;

	do {
		if (__atomic_load_n(&model->refused, __ATOMIC_ACQUIRE))
			return FLEX_E_MODEL;
		error = pin_slots(model, first, count, &spent->waited);
		if (error)
			return error;
		error = open_slots(model, first, count, spent, &hole);
		if (!error)
			return FLEX_OK;
		srv_unpin(first, count);
		error = await(error, hole, &spent->waited);
	} while (!error);
	return error;
}

/* The slots of [addr, addr + bytes) of a model's image. */
static struct srv_range slots_of(const struct srv_model *model, const void *addr, uint64_t bytes)
{
	uint64_t offset = (uint64_t)((const uint8_t *)addr - (const uint8_t *)model->image);
	uint64_t first = offset / FLEX_PAGE_SIZE, last = (offset + bytes - 1) / FLEX_PAGE_SIZE;

	return (struct srv_range){ data_slot(model) + first, last - first + 1 };
}

/*
 * A region's chunks are opened in their order, by one thread at a time: whoever needs one, or brings a segment. True:
 * chunks up to `wanted` are open, or the model is refused; false: somebody else is at it.
 */
static bool open_region_to(struct srv_model *model, uint64_t wanted, struct srv_spent *spent)
{
	struct seal_cipher cipher;
	uint64_t index = __atomic_load_n(&model->region_open, __ATOMIC_ACQUIRE), begun;
	int why = 0;

	if (index >= wanted || __atomic_load_n(&model->refused, __ATOMIC_ACQUIRE))
		return true;
	if (__atomic_exchange_n(&model->region_opening, true, __ATOMIC_ACQUIRE))
		return false;
	begun = srv_opening_begin(spent);
	seal_begin(&cipher, &model->seal);
	for (index = model->region_open; index < wanted && !why; index++) {
		const struct flex_sealed_entry *entries =
			(const void *)(model->file + seal_entry_page(index) * FLEX_SEALED_CHUNK);

		why = seal_chunk(&cipher, index, &entries[seal_entry_place(index)],
				 model->file + (model->seal.first_page + index) * FLEX_SEALED_CHUNK);
		if (!why)
			__atomic_store_n(&model->region_open, index + 1, __ATOMIC_RELEASE);
	}
	seal_end(&cipher);
	srv_opening_end(spent, begun);
	if (why)
		refuse(model, why);
	__atomic_store_n(&model->region_opening, false, __ATOMIC_RELEASE);
	return true;
}

/* Chunks of which every byte has come. */
static uint64_t chunks_there(const struct srv_model *model)
{
	uint64_t pages = __atomic_load_n(&model->region.count, __ATOMIC_ACQUIRE) / FLEX_SEALED_CHUNK;
	uint64_t chunks = pages > model->seal.first_page ? pages - model->seal.first_page : 0;

	return chunks < model->seal.chunks ? chunks : model->seal.chunks;
}

uint64_t srv_weights_grown(struct srv_model *model)
{
	struct srv_spent spent = { 0 };

	if (!is_sealed_open(model))
		return 0;
	/* If somebody is at it, or it is refused: whoever computes meets what is left. */
	rt_context_sync();
	open_region_to(model, chunks_there(model), &spent);
	return spent.opened;
}

/* The image up to `end`, which is in a region: there, and open. Nothing is pinned: a region stays. */
static int64_t region_pin(struct srv_model *model, uint64_t end, struct srv_spent *spent)
{
	uint64_t chunks = (end + FLEX_SEALED_CHUNK - 1) / FLEX_SEALED_CHUNK;
	int64_t error = srv_region_wait(model, (model->seal.first_page + chunks) * FLEX_SEALED_CHUNK, &spent->waited);

	while (!error && !open_region_to(model, chunks, spent))
		error = await_opening(&spent->waited);
	if (!error && __atomic_load_n(&model->refused, __ATOMIC_ACQUIRE))
		return FLEX_E_MODEL;
	return error;
}

int64_t srv_weights_pin(struct srv_model *model, const void *addr, uint64_t bytes, struct srv_spent *spent)
{
	struct srv_range slots = slots_of(model, addr, bytes);

	if (model->region.count)
		return region_pin(model, (uint64_t)((const uint8_t *)addr - model->image) + bytes, spent);
	return pin_open(model, slots.first, slots.count, spent);
}

void srv_weights_unpin(const struct srv_model *model, const void *addr, uint64_t bytes)
{
	struct srv_range slots = slots_of(model, addr, bytes);

	if (!model->region.count)
		srv_unpin(slots.first, slots.count);
}

/* The header, whose page is secure and stays. */
static int64_t open_header(struct srv_model *model)
{
	int why = seal_open(&model->seal, (const void *)model->file, model->bytes, &seal_test_board);

	if (why)
		return refuse(model, why);
	model->image = model->file + model->seal.first_page * FLEX_PAGE_SIZE;
	return FLEX_OK;
}

/* The header and the table. All chunks too, if all of the file came at once: a plain strawman decrypts, then computes. */
static int64_t open_in_region(struct srv_model *model, uint64_t *ticks)
{
	struct srv_spent spent = { 0 };
	uint64_t waited = 0;
	int64_t error = srv_region_wait(model, FLEX_PAGE_SIZE, &waited);

	if (!error)
		error = open_header(model);
	if (!error)
		error = srv_region_wait(model, model->seal.first_page * FLEX_SEALED_CHUNK, &waited);
	if (error)
		return error;
	__atomic_store_n(&model->opened, true, __ATOMIC_RELEASE);
	if (model->segments == 1 && model->region.count >= model->bytes)
		open_region_to(model, model->seal.chunks, &spent);
	*ticks = spent.opened;
	return model->refused ? FLEX_E_MODEL : FLEX_OK;
}

/* Asks for the table: chunks that come before it have to wait for it. */
static int64_t await_table(const struct srv_model *model)
{
	uint64_t end = model->slots.first + model->slots.count, waited = 0, run;

	for (uint64_t slot = model->slots.first + 1; slot < data_slot(model); slot += run) {
		int64_t error;

		run = data_slot(model) - slot < OPEN_PAGES ? data_slot(model) - slot : OPEN_PAGES;
		error = srv_pin_wait(slot, run, end, &waited);
		if (error)
			return error;
		srv_unpin(slot, run);
	}
	return FLEX_OK;
}

/*
 * The first page alone: with its key, what comes after it is opened as it comes. What came before it, ahead of being asked
 * for, is opened now, up to the first page that is missing.
 */
static int64_t open_in_slots(struct srv_model *model, uint64_t *ticks)
{
	uint64_t first = model->slots.first, waited = 0;
	int64_t error = srv_pin_wait(first, 1, first + 1, &waited);

	if (error)
		return error;
	error = open_header(model);
	srv_unpin(first, 1);
	if (error)
		return error;
	__atomic_store_n(&model->opened, true, __ATOMIC_RELEASE);
	error = await_table(model);
	if (!error)
		*ticks = srv_weights_claimed(model, data_slot(model), model->seal.chunks);
	return error;
}

int64_t srv_weights_open(struct srv_model *model, uint64_t *ticks)
{
	*ticks = 0;
	if (model->refused)
		return FLEX_E_MODEL;
	if (is_sealed_open(model))
		return FLEX_OK;
	if (model->region.count == 0)
		return open_in_slots(model, ticks);
	return open_in_region(model, ticks);
}

void srv_weights_close(struct srv_model *model)
{
	seal_wipe(&model->seal, sizeof(model->seal));
	model->opened = false;
	model->refused = 0;
	model->region_open = 0;
}
