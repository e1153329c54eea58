/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Opening: the marks of chunks, and what changes them. What the NW brings is ciphertext at best; a chunk is opened
 * (authenticated and decrypted in place) once, by whoever takes it first, and nothing computes on one that is not open.
 *
 * A chunk's mark is that of its slot, which a model in a region has too, without a page in it. Only a claim puts other
 * contents into a slot, and only through us, so a mark says what the slot holds, however often the page moves:
 *
 *   CLOSED  => OPENING   a thread that has the chunk in secure memory, and keeps it there, opens it
 *   OPENING => OPEN      authenticated
 *   OPENING => CLOSED    refused, and with it the model
 *   CLOSED, OPEN         | SEIZED while a claim is under way: nobody takes the contents for what they were
 *   | SEIZED => CLOSED   claimed: other contents. Not claimed (the slot held a page): as before
 *
 * A mark is looked at after the pin, and seized before the claim. The marks of a region are closed before it is there.
 */
#include "rt_arch.h"
#include "serving.h"

#define MARK_CLOSED 0
#define MARK_OPEN 1
#define MARK_OPENING 2
#define MARK_SEIZED 4

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

uint64_t srv_data_slot(const struct srv_model *model)
{
	return model->slots.first + model->seal.first_page;
}

int64_t srv_model_refuse(struct srv_model *model, int why)
{
	__atomic_store_n(&model->refused, why, __ATOMIC_RELEASE);
	return FLEX_E_MODEL;
}

bool srv_model_refused(const struct srv_model *model)
{
	return __atomic_load_n(&model->refused, __ATOMIC_ACQUIRE) != 0;
}

static bool is_open(const struct srv_model *model, uint64_t index)
{
	return mark_of(srv_data_slot(model) + index) == MARK_OPEN;
}

/* FLEX_E_BUSY: somebody else has it. */
static int64_t open_chunk(struct seal_cipher *cipher, struct srv_model *model, uint64_t index)
{
	const struct flex_sealed_entry *entries = (const void *)(model->file + seal_entry_page(index) * FLEX_SEALED_CHUNK);
	uint64_t slot = srv_data_slot(model) + index;
	int why;

	if (!mark_move(slot, MARK_CLOSED, MARK_OPENING))
		return is_open(model, index) ? FLEX_OK : FLEX_E_BUSY;
	why = seal_chunk(cipher, index, &entries[seal_entry_place(index)],
			 model->file + (model->seal.first_page + index) * FLEX_SEALED_CHUNK);
	__atomic_store_n(&marks[slot], why ? MARK_CLOSED : MARK_OPEN, __ATOMIC_RELEASE);
	return why ? srv_model_refuse(model, why) : FLEX_OK;
}

/* With its part of the table kept in place; FLEX_E_STATE: that, *hole, is not there. */
static int64_t open_with_entry(struct seal_cipher *cipher, struct srv_model *model, uint64_t index, uint64_t *hole)
{
	uint64_t table = model->slots.first + seal_entry_page(index);
	int64_t error;

	if (model->region.count)
		return open_chunk(cipher, model, index);
	error = srv_pin(table, 1, hole);
	if (error)
		return error;
	error = open_chunk(cipher, model, index);
	srv_unpin(table, 1);
	return error;
}

int64_t srv_chunks_open(struct srv_model *model, uint64_t first, uint64_t count, struct srv_spent *spent, uint64_t *hole)
{
	uint64_t index = first, end = first + count, begun;
	struct seal_cipher cipher;
	int64_t error = FLEX_OK;
	bool busy = false;

	while (index < end && is_open(model, index))
		index++;
	if (index == end)
		return FLEX_OK;
	begun = srv_opening_begin(spent);
	seal_begin(&cipher, &model->seal);
	for (; index < end && (!error || error == FLEX_E_BUSY); index++) {
		if (!is_open(model, index))
			error = open_with_entry(&cipher, model, index, hole);
		busy |= error == FLEX_E_BUSY;
	}
	seal_end(&cipher);
	srv_opening_end(spent, begun);
	return busy && !error ? FLEX_E_BUSY : error;
}
