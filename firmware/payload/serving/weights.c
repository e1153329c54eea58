/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Weights: a sealed model's pages wherever they lie, in slots or in a region, pinned and open for whoever computes.
 */
#include "rt_arch.h"
#include "serving.h"

#define OPEN_PAGES 32 /* in one go: pinned at once, or taken out of everybody else's hands */

static bool is_sealed_open(const struct srv_model *model)
{
	return __atomic_load_n(&model->opened, __ATOMIC_ACQUIRE);
}

const char *srv_weights_refusal(const struct srv_model *model)
{
	return seal_reason(__atomic_load_n(&model->refused, __ATOMIC_ACQUIRE));
}

uint64_t srv_weights_claimed(struct srv_model *model, uint64_t first, uint64_t count)
{
	uint64_t end = first + count, run, hole;
	struct srv_spent spent = { 0 };
	int64_t error = FLEX_OK;

	if (!is_sealed_open(model))
		return 0;
	if (first < srv_data_slot(model))
		first = srv_data_slot(model);
	/* Whatever goes wrong here is met again by the pin of whoever computes. */
	for (; first < end && !error; first += run) {
		run = end - first < OPEN_PAGES ? end - first : OPEN_PAGES;
		error = srv_pin(first, run, &hole);
		if (error)
			break;
		error = srv_chunks_open(model, first - srv_data_slot(model), run, &spent, &hole);
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
	table = model->slots.first + seal_entry_page(hole - srv_data_slot(model));
	error = srv_pin_wait(table, 1, srv_data_slot(model), waited);
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
		if (srv_model_refused(model))
			return FLEX_E_MODEL;
		error = pin_slots(model, first, count, &spent->waited);
		if (error)
			return error;
		error = srv_chunks_open(model, first - srv_data_slot(model), count, spent, &hole);
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

	return (struct srv_range){ srv_data_slot(model) + first, last - first + 1 };
}

/* Chunks of which every byte has come. */
static uint64_t chunks_there(const struct srv_model *model)
{
	uint64_t pages = __atomic_load_n(&model->region.count, __ATOMIC_ACQUIRE) / FLEX_SEALED_CHUNK;
	uint64_t chunks = pages > model->seal.first_page ? pages - model->seal.first_page : 0;

	return chunks < model->seal.chunks ? chunks : model->seal.chunks;
}

/* The next chunks that nobody has been given yet, of those that are there. */
static bool take_run(struct srv_model *model, struct srv_range *run)
{
	uint64_t there = chunks_there(model);

	run->first = __atomic_load_n(&model->region_given, __ATOMIC_RELAXED);
	do {
		if (run->first >= there)
			return false;
		run->count = there - run->first < OPEN_PAGES ? there - run->first : OPEN_PAGES;
	} while (!__atomic_compare_exchange_n(&model->region_given, &run->first, run->first + run->count, false,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return true;
}

void srv_weights_unseal(struct srv_model *model)
{
	struct srv_spent spent = { 0 };
	struct srv_range run;
	uint64_t hole;

	if (!is_sealed_open(model))
		return;
	/* What somebody else has in hand is not waited for, nor is what goes wrong: whoever computes meets it. */
	rt_context_sync();
	while (!srv_model_refused(model) && take_run(model, &run))
		srv_chunks_open(model, run.first, run.count, &spent, &hole);
}

/* The image's pages, which are in a region: there, and open. Nothing is pinned: a region stays. */
static int64_t region_pin(struct srv_model *model, uint64_t first, uint64_t count, struct srv_spent *spent)
{
	uint64_t end = (model->seal.first_page + first + count) * FLEX_SEALED_CHUNK, hole;
	int64_t error = srv_region_wait(model, end, &spent->waited);

	while (!error) {
		if (srv_model_refused(model))
			return FLEX_E_MODEL;
		error = srv_chunks_open(model, first, count, spent, &hole);
		if (error != FLEX_E_BUSY)
			break;
		error = await_opening(&spent->waited);
	}
	return error;
}

int64_t srv_weights_pin(struct srv_model *model, const void *addr, uint64_t bytes, struct srv_spent *spent)
{
	struct srv_range slots = slots_of(model, addr, bytes);

	if (model->region.count)
		return region_pin(model, slots.first - srv_data_slot(model), slots.count, spent);
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
		return srv_model_refuse(model, why);
	model->image = model->file + model->seal.first_page * FLEX_PAGE_SIZE;
	return FLEX_OK;
}

/* The header and the table. */
static int64_t open_in_region(struct srv_model *model)
{
	uint64_t waited = 0;
	int64_t error = srv_region_wait(model, FLEX_PAGE_SIZE, &waited);

	if (!error)
		error = open_header(model);
	if (!error)
		error = srv_rollback_check(model);
	if (!error)
		error = srv_region_wait(model, model->seal.first_page * FLEX_SEALED_CHUNK, &waited);
	if (!error)
		__atomic_store_n(&model->opened, true, __ATOMIC_RELEASE);
	return error;
}

/* Asks for the table: chunks that come before it have to wait for it. */
static int64_t await_table(const struct srv_model *model)
{
	uint64_t end = model->slots.first + model->slots.count, waited = 0, run;

	for (uint64_t slot = model->slots.first + 1; slot < srv_data_slot(model); slot += run) {
		int64_t error;

		run = srv_data_slot(model) - slot < OPEN_PAGES ? srv_data_slot(model) - slot : OPEN_PAGES;
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
	if (!error)
		error = srv_rollback_check(model);
	if (error)
		return error;
	__atomic_store_n(&model->opened, true, __ATOMIC_RELEASE);
	error = await_table(model);
	if (!error)
		*ticks = srv_weights_claimed(model, srv_data_slot(model), model->seal.chunks);
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
	return open_in_region(model);
}

void srv_weights_close(struct srv_model *model)
{
	seal_wipe(&model->seal, sizeof(model->seal));
	model->admitted.version = 0;
	model->opened = false;
	model->refused = 0;
	model->region_given = 0;
}
