/* SPDX-License-Identifier: BSD-3-Clause */
/* A model of a few pages and an NW that serves it, for tests of operations. */
#ifndef CLIENT_H
#define CLIENT_H

#include "fake.h"
#include "fake_engine.h"
#include "fake_seal.h"
#include "serving.h"

static const struct fake_header shape = { FAKE_MAGIC, 4, 5, 200 };
#define PLAIN_PAGES 21 /* of the shape */
#define SEAL_PAGES 2 /* header and table */
#define FILE_PAGES (SEAL_PAGES + PLAIN_PAGES)
#define MODEL_BYTES (FILE_PAGES * FLEX_PAGE_SIZE)

static uint8_t file[FILE_PAGES][FLEX_PAGE_SIZE]; /* the model, sealed */

static inline void make_file(void)
{
	static uint8_t plain[PLAIN_PAGES][FLEX_PAGE_SIZE];

	EQUAL(fake_model_pages(&shape), PLAIN_PAGES);
	EQUAL(fake_sealed_pages(PLAIN_PAGES), FILE_PAGES);
	memcpy(plain[0], &shape, sizeof(shape));
	for (uint64_t number = 1; number < PLAIN_PAGES; number++)
		memcpy(plain[number], &(uint64_t){ FAKE_STAMP + number }, sizeof(uint64_t));
	fake_seal(file[0], plain[0], PLAIN_PAGES, 1, "sealing0");
}

/* The file's page `number`, into DRAM page `index`. */
static inline void load_page(uint64_t index, uint64_t number)
{
	memcpy(fake_page(index), file[number], FLEX_PAGE_SIZE);
}

static uint64_t next_page; /* DRAM pages are given in this order */
static uint64_t model_first, session_first, session_pages;
static uint64_t yields[6];

static inline void give_slot(uint64_t slot)
{
	uint64_t index = next_page++ % 2048;

	while (!fake_is_nw(index))
		index = next_page++ % 2048;
	if (slot >= model_first && slot < model_first + FILE_PAGES)
		load_page(index, slot - model_first);
	EQUAL(fake_give(index, slot), FLEX_TOS_DONE);
}

/* An NW that does as it is asked. */
static inline int64_t obliging(uint64_t reason, uint64_t v1, uint64_t v2, uint64_t v3)
{
	(void)v3;
	yields[reason]++;
	if (reason == FLEX_YIELD_NEED) {
		CHECK(v2 >= 1);
		for (uint64_t i = 0; i < v2; i++)
			give_slot(v1 + i);
	}
	return FLEX_OK;
}

static inline uint64_t open_model(void)
{
	struct rt_call call = fake_call(FLEX_OP_MODEL_OPEN, MODEL_BYTES, 0, 0, 0);

	EQUAL(call.status, FLEX_TOS_DONE);
	model_first = call.value[1];
	fake_on_yield = obliging;
	return call.value[0];
}

static inline uint64_t start_model(void)
{
	uint64_t model = open_model();
	struct rt_call call = fake_call(FLEX_OP_MODEL_START, model, 0, 0, 0);

	EQUAL(call.status, FLEX_TOS_DONE);
	EQUAL(call.value[0], shape.context);
	return model;
}

static inline uint64_t open_session(uint64_t model)
{
	struct rt_call call = fake_call(FLEX_OP_SESSION_OPEN, model, 128, 2, 0);

	EQUAL(call.status, FLEX_TOS_DONE);
	session_first = call.value[1];
	session_pages = call.value[2];
	return call.value[0];
}

static inline struct flex_session_comm *comm_of(uint64_t session)
{
	return (void *)((uint8_t *)rt_comm() + FLEX_COMM_SESSION + session * FLEX_COMM_SESSION_SIZE);
}

static inline void set_prompt(uint64_t session, const char *text)
{
	memcpy(comm_of(session)->prompt, text, strlen(text));
}

#endif
