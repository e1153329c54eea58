/* SPDX-License-Identifier: BSD-3-Clause */
/* Operations: what is refused, what may follow what, and a generation through holes. */
#include "client.h"
#include "test.h"

static void bad_arguments_are_refused(void)
{
	static const struct {
		uint64_t op, a1, a2, a3, a4;
		int64_t status;
	} bad[] = {
		{ 0, 0, 0, 0, 0, FLEX_E_UNKNOWN },
		{ FLEX_OP_SESSION_SEAL + 1, 0, 0, 0, 0, FLEX_E_UNKNOWN },
		{ ~0ULL, 0, 0, 0, 0, FLEX_E_UNKNOWN },
		{ FLEX_OP_MODEL_OPEN, 0, 0, 0, 0, FLEX_E_INVAL },
		{ FLEX_OP_MODEL_OPEN, ~0ULL, 0, 0, 0, FLEX_E_EXHAUSTED },
		{ FLEX_OP_MODEL_OPEN, FLEX_BOARD_SLOTS * FLEX_PAGE_SIZE + 1ULL, 0, 0, 0, FLEX_E_EXHAUSTED },
		{ FLEX_OP_CLAIM, FLEX_BOARD_MAILBOXES, 1, 0, 0, FLEX_E_INVAL },
		{ FLEX_OP_CLAIM, 0, 0, 0, 0, FLEX_E_INVAL },
		{ FLEX_OP_CLAIM, 0, 513, 0, 0, FLEX_E_INVAL },
		{ FLEX_OP_CLAIM, 0, 1, FILE_PAGES, 0, FLEX_E_INVAL },        /* behind the model */
		{ FLEX_OP_CLAIM, 0, 2, FILE_PAGES - 1, 0, FLEX_E_INVAL },        /* across its end */
		{ FLEX_OP_CLAIM, 0, 2, ~0ULL, 0, FLEX_E_INVAL },
		{ FLEX_OP_MODEL_REGION, 0, FLEX_BOARD_DRAM_BASE + 4096, 0x200000, 0, FLEX_E_INVAL },
		{ FLEX_OP_MODEL_REGION, 0, FLEX_BOARD_DRAM_BASE, 0, 0, FLEX_E_INVAL },
		{ FLEX_OP_MODEL_REGION, 0, FLEX_BOARD_DRAM_BASE - 0x200000, 0x400000, 0, FLEX_E_INVAL },
		{ FLEX_OP_MODEL_REGION, 0, FLEX_BOARD_DRAM_BASE, 0x2000000, 0, FLEX_E_INVAL },
		{ FLEX_OP_MODEL_REGION, 0, 0x8000000000000000ULL, 0x8000000000000000ULL, 0, FLEX_E_INVAL },
		{ FLEX_OP_MODEL_REGION, 0, FLEX_BOARD_DRAM_BASE, 0x200000, 0, FLEX_E_STATE }, /* not secured */
		{ FLEX_OP_MODEL_REGION, SRV_MODELS, FLEX_BOARD_DRAM_BASE, 0x200000, 0, FLEX_E_INVAL },
		{ FLEX_OP_MODEL_UNSEAL, 1, 0, 0, 0, FLEX_E_STATE },
		{ FLEX_OP_MODEL_UNSEAL, SRV_MODELS, 0, 0, 0, FLEX_E_INVAL },
		{ FLEX_OP_MODEL_START, SRV_MODELS, 0, 0, 0, FLEX_E_INVAL },
		{ FLEX_OP_MODEL_START, 1, 0, 0, 0, FLEX_E_STATE },
		{ FLEX_OP_MODEL_CLOSE, 1, 0, 0, 0, FLEX_E_STATE },
		{ FLEX_OP_MODEL_CLOSE, ~0ULL, 0, 0, 0, FLEX_E_INVAL },
		{ FLEX_OP_SESSION_OPEN, 0, 10, 1, 0, FLEX_E_STATE }, /* not started */
		{ FLEX_OP_GENERATE, 0, 1, 1, 0, FLEX_E_STATE },
		{ FLEX_OP_GENERATE, FLEX_SESSIONS, 1, 1, 0, FLEX_E_INVAL },
		{ FLEX_OP_WORK, 0, 0, 0, 0, FLEX_E_STATE },
		{ FLEX_OP_SESSION_CANCEL, 0, 0, 0, 0, FLEX_E_STATE },
		{ FLEX_OP_SESSION_SEAL, 0, 0, 0, 0, FLEX_E_STATE },
		{ FLEX_OP_SESSION_SEAL, FLEX_SESSIONS, 0, 0, 0, FLEX_E_INVAL },
		{ FLEX_OP_SESSION_CLOSE, 0, 0, 0, 0, FLEX_E_STATE },
		{ FLEX_OP_SESSION_CLOSE, 1ULL << 63, 0, 0, 0, FLEX_E_INVAL },
		{ FLEX_OP_DRILL, 99, 0, 0, 0, FLEX_E_INVAL },
	};

	EQUAL(open_model(), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct rt_call call = fake_call(bad[i].op, bad[i].a1, bad[i].a2, bad[i].a3, bad[i].a4);

		if (call.status != bad[i].status)
			fprintf(stderr, "entry %zu\n", i);
		EQUAL(call.status, bad[i].status);
	}
	EQUAL(yields[FLEX_YIELD_NEED], 0);
}

/* A helper that waits for a generation to begin is told that there will be none. */
static int64_t no_more_help(uint64_t reason, uint64_t v1, uint64_t v2, uint64_t v3)
{
	EQUAL(reason, FLEX_YIELD_IDLE);
	EQUAL(v1 + v2 + v3, 0);
	yields[reason]++;
	return FLEX_E_CANCELLED;
}

static void bad_arguments_of_a_session_are_refused(void)
{
	uint64_t model = start_model(), session;

	EQUAL(fake_call(FLEX_OP_SESSION_OPEN, model, 0, 1, 0).status, FLEX_E_INVAL);
	EQUAL(fake_call(FLEX_OP_SESSION_OPEN, model, shape.context + 1, 1, 0).status, FLEX_E_INVAL);
	EQUAL(fake_call(FLEX_OP_SESSION_OPEN, model, 0x100000001ULL, 1, 0).status, FLEX_E_INVAL);
	EQUAL(fake_call(FLEX_OP_SESSION_OPEN, model, 8, 0, 0).status, FLEX_E_INVAL);
	EQUAL(fake_call(FLEX_OP_SESSION_OPEN, model, 8, FLEX_BOARD_PAYLOAD_THREADS + 1, 0).status, FLEX_E_INVAL);
	session = open_session(model);
	EQUAL(fake_call(FLEX_OP_GENERATE, session, 0, 4, 0).status, FLEX_E_PROMPT);
	EQUAL(fake_call(FLEX_OP_GENERATE, session, FLEX_PROMPT_BYTES + 1, 4, 0).status, FLEX_E_PROMPT);
	EQUAL(fake_call(FLEX_OP_GENERATE, session, 4, 0, 0).status, FLEX_E_INVAL);
	EQUAL(fake_call(FLEX_OP_GENERATE, session, 4, 129, 0).status, FLEX_E_INVAL);
	EQUAL(fake_call(FLEX_OP_GENERATE, session, 4, 4, 4).status, FLEX_E_INVAL);
	EQUAL(fake_call(FLEX_OP_GENERATE, session, 128, 4, 0).status, FLEX_E_PROMPT); /* no room for a token */
	EQUAL(srv_pinned_pages(), 0);
	fake_on_yield = no_more_help;
	EQUAL(fake_call(FLEX_OP_WORK, session, 0, 0, 0).status, FLEX_E_CANCELLED);
	EQUAL(yields[FLEX_YIELD_IDLE], 1);
	EQUAL(fake_call(FLEX_OP_SESSION_CANCEL, session, 0, 0, 0).status, FLEX_E_STATE);
}

/*
 * What is used first stands first: header and table, then each layer, whatever the order of its tensors. The fake's
 * embedding and output are empty, and have a run all the same: the numbers tell where a pass is.
 */
static void the_order_of_next_use_is_published(void)
{
	uint64_t model = start_model();
	const struct flex_order *order =
		(void *)((uint8_t *)rt_comm() + FLEX_COMM_ORDER + model * FLEX_COMM_ORDER_SIZE);

	EQUAL(order->count, 3 + shape.layers);
	EQUAL(order->run[0], SEAL_PAGES);
	EQUAL(order->run[1], 0);
	for (uint64_t i = 0; i < shape.layers; i++)
		EQUAL(order->run[2 + i], (SEAL_PAGES + 1 + i * shape.layer_pages) << 32 | shape.layer_pages);
}

static void model_in_use_is_not_closed(void)
{
	uint64_t model = start_model();
	uint64_t session = open_session(model);

	EQUAL(fake_call(FLEX_OP_MODEL_CLOSE, model, 0, 0, 0).status, FLEX_E_BUSY);
	EQUAL(fake_call(FLEX_OP_MODEL_START, model, 0, 0, 0).value[0], shape.context);
	EQUAL(fake_call(FLEX_OP_MODEL_REGION, model, FLEX_BOARD_DRAM_BASE, 0x200000, 0).status, FLEX_E_STATE);
	EQUAL(fake_call(FLEX_OP_SESSION_CLOSE, session, 0, 0, 0).status, FLEX_TOS_DONE);
	EQUAL(fake_call(FLEX_OP_SESSION_CLOSE, session, 0, 0, 0).status, FLEX_E_STATE);
	EQUAL(fake_call(FLEX_OP_MODEL_CLOSE, model, 0, 0, 0).status, FLEX_TOS_DONE);
	EQUAL(fake_call(FLEX_OP_MODEL_CLOSE, model, 0, 0, 0).status, FLEX_E_STATE);
}

static void pages_claimed_before_a_region_are_given_back(void)
{
	uint64_t model = open_model();
	struct rt_call call;

	give_slot(model_first + 2);
	EQUAL(fake_secure(FLEX_BOARD_DRAM_BASE + 0x200000, 0x200000), FLEX_OK);
	call = fake_call(FLEX_OP_MODEL_REGION, model, FLEX_BOARD_DRAM_BASE + 0x200000, 0x200000, 0);
	EQUAL(call.status, FLEX_TOS_DONE);
	EQUAL(fake_call(FLEX_OP_CLAIM, 0, 1, model_first, 0).status, FLEX_E_INVAL);
	EQUAL(fake_call(FLEX_OP_MODEL_REGION, model, FLEX_BOARD_DRAM_BASE + 0x200000, 0x200000, 0).status, FLEX_E_INVAL);
	EQUAL(fake_release(FLEX_BOARD_DRAM_BASE + 0x200000, 0x200000), FLEX_E_PINNED);
	EQUAL(fake_call(FLEX_OP_MODEL_CLOSE, model, 0, 0, 0).status, FLEX_TOS_DONE);
	EQUAL(rt_slot_words()[model_first + 2] >> FLEX_SLOT_STATE_SHIFT, FLEX_SLOT_EMPTY);
	EQUAL(fake_release(FLEX_BOARD_DRAM_BASE + 0x200000, 0x200000), FLEX_OK);
}

static void model_in_a_region_asks_for_nothing(void)
{
	uint64_t model = open_model(), session;

	for (uint64_t i = 0; i < FILE_PAGES; i++)
		load_page(512 + i, i);
	EQUAL(fake_secure(FLEX_BOARD_DRAM_BASE + 0x200000, 0x200000), FLEX_OK);
	EQUAL(fake_call(FLEX_OP_MODEL_REGION, model, FLEX_BOARD_DRAM_BASE + 0x200000, 0x200000, 0).status, FLEX_TOS_DONE);
	EQUAL(fake_call(FLEX_OP_MODEL_START, model, 0, 0, 0).status, FLEX_TOS_DONE);
	EQUAL(yields[FLEX_YIELD_NEED], 0);
	session = open_session(model);
	set_prompt(session, "hello");
	EQUAL(fake_call(FLEX_OP_GENERATE, session, 5, 4, 0).status, FLEX_TOS_DONE);
	EQUAL(yields[FLEX_YIELD_TOKEN], 4);
}

#define BLOCK (1ULL << FLEX_BLOCK_SHIFT)
#define REGION_BASE (FLEX_BOARD_DRAM_BASE + BLOCK)
static uint64_t growing_first, growing_pages; /* slots of the model in a region */

/* The second segment comes when it is asked for, while the first is computed on. */
static int64_t next_segment(uint64_t reason, uint64_t v1, uint64_t v2, uint64_t v3)
{
	if (reason != FLEX_YIELD_NEED || v1 < growing_first || v1 >= growing_first + growing_pages)
		return obliging(reason, v1, v2, v3);
	yields[reason]++;
	EQUAL(v1, growing_first + 512);
	CHECK(v2 >= 1 && v2 <= growing_pages - 512);
	EQUAL(fake_secure(REGION_BASE + BLOCK, BLOCK), FLEX_OK);
	EQUAL(fake_call(FLEX_OP_MODEL_REGION, 0, REGION_BASE + 2 * BLOCK, BLOCK, 0).status, FLEX_E_INVAL);
	EQUAL(fake_call(FLEX_OP_MODEL_REGION, 0, REGION_BASE, BLOCK, 0).status, FLEX_E_INVAL);
	EQUAL(fake_call(FLEX_OP_MODEL_REGION, 0, REGION_BASE + BLOCK, BLOCK, 0).status, FLEX_TOS_DONE);
	return FLEX_OK;
}

static void region_grows_while_the_model_computes(void)
{
	static const struct fake_header big = { FAKE_MAGIC, 4, 150, 200 };
	static uint8_t plain[601][FLEX_PAGE_SIZE];
	uint64_t session;
	struct rt_call call;

	EQUAL(fake_model_pages(&big), 601);
	memcpy(plain[0], &big, sizeof(big));
	for (uint64_t i = 1; i < 601; i++)
		memcpy(plain[i], &(uint64_t){ FAKE_STAMP + i }, sizeof(uint64_t));
	fake_seal(fake_page(512), plain[0], 601, 1, "sealing1");
	growing_pages = fake_sealed_pages(601);
	call = fake_call(FLEX_OP_MODEL_OPEN, growing_pages * FLEX_PAGE_SIZE, 0, 0, 0);
	growing_first = call.value[1];
	model_first = FLEX_BOARD_SLOTS; /* no page of it lies in a slot */
	fake_on_yield = next_segment;
	EQUAL(fake_secure(REGION_BASE, BLOCK), FLEX_OK);
	EQUAL(fake_call(FLEX_OP_MODEL_REGION, 0, REGION_BASE, 2 * BLOCK, 0).status, FLEX_E_STATE); /* not all secure */
	EQUAL(fake_call(FLEX_OP_MODEL_REGION, 0, REGION_BASE, BLOCK, 0).status, FLEX_TOS_DONE);
	EQUAL(fake_call(FLEX_OP_MODEL_START, 0, 0, 0, 0).status, FLEX_TOS_DONE);
	EQUAL(yields[FLEX_YIELD_NEED], 0);
	session = open_session(0);
	set_prompt(session, "hello");
	EQUAL(fake_call(FLEX_OP_GENERATE, session, 5, 4, 0).status, FLEX_TOS_DONE);
	EQUAL(yields[FLEX_YIELD_TOKEN], 4);
	EQUAL(yields[FLEX_YIELD_NEED], 2); /* working memory, and the segment: once */
	EQUAL(fake_release(REGION_BASE, BLOCK), FLEX_E_PINNED);
	EQUAL(fake_call(FLEX_OP_SESSION_CLOSE, session, 0, 0, 0).status, FLEX_TOS_DONE);
	EQUAL(fake_call(FLEX_OP_MODEL_CLOSE, 0, 0, 0, 0).status, FLEX_TOS_DONE);
	EQUAL(fake_release(REGION_BASE, BLOCK), FLEX_OK);
	EQUAL(fake_release(REGION_BASE + BLOCK, BLOCK), FLEX_OK);
}

static void foreign_file_is_refused_with_a_reason(void)
{
	struct rt_call call = fake_call(FLEX_OP_MODEL_OPEN, 3 * FLEX_PAGE_SIZE, 0, 0, 0);
	struct flex_session_comm *comm = (void *)((uint8_t *)rt_comm() + FLEX_COMM_SESSION);

	model_first = FLEX_BOARD_SLOTS; /* so that nothing is written into its pages */
	fake_on_yield = obliging;
	EQUAL(fake_call(FLEX_OP_MODEL_START, call.value[0], 0, 0, 0).status, FLEX_E_MODEL);
	EQUAL(strcmp((char *)comm->reason, FLEX_SEALED_E_PLAIN_TEXT), 0);
	EQUAL(srv_pinned_pages(), 0);
	/* It stays refused until it is closed. */
	EQUAL(fake_call(FLEX_OP_MODEL_START, call.value[0], 0, 0, 0).status, FLEX_E_MODEL);
	EQUAL(fake_call(FLEX_OP_MODEL_CLOSE, call.value[0], 0, 0, 0).status, FLEX_TOS_DONE);
}

static uint64_t tokens_seen;

/* Takes pages away wherever it may, at each token. */
static int64_t greedy_nw(uint64_t reason, uint64_t v1, uint64_t v2, uint64_t v3)
{
	if (reason == FLEX_YIELD_TOKEN) {
		EQUAL(v3, tokens_seen);
		EQUAL(v1, 5 + tokens_seen);
		EQUAL(v2, 1);
		tokens_seen++;
		for (uint64_t index = 0; index < 2048; index += 1 + v3 % 3) {
			if (!fake_is_nw(index))
				fake_recall(1, index);
		}
	}
	return obliging(reason, v1, v2, v3);
}

static void generation_survives_recall_of_everything_unpinned(void)
{
	uint64_t model = start_model();
	uint64_t session = open_session(model);
	struct flex_session_comm *comm =
		(void *)((uint8_t *)rt_comm() + FLEX_COMM_SESSION + session * FLEX_COMM_SESSION_SIZE);
	struct rt_call call;

	set_prompt(session, "hello");
	fake_on_yield = greedy_nw;
	call = fake_call(FLEX_OP_GENERATE, session, 5, 20, FLEX_GENERATE_IGNORE_EOS);
	EQUAL(call.status, FLEX_TOS_DONE);
	EQUAL(call.value[0], 20);
	EQUAL(call.value[1], FLEX_FINISH_LENGTH);
	EQUAL(tokens_seen, 20);
	CHECK(yields[FLEX_YIELD_NEED] > 20);
	EQUAL(srv_pinned_pages(), 0);
	EQUAL(comm->prompt_tokens, 5);
	EQUAL(comm->prompt_ids[4], 'o');
	CHECK(comm->heartbeat >= 80);
	EQUAL(fake_call(FLEX_OP_SESSION_CLOSE, session, 0, 0, 0).status, FLEX_TOS_DONE);
}

static void end_of_sequence_ends_unless_ignored(void)
{
	uint64_t session = open_session(start_model());
	struct rt_call call;

	set_prompt(session, "0123456789012345678901234567890123456789012345678901234567");
	call = fake_call(FLEX_OP_GENERATE, session, 58, 20, 0);
	EQUAL(call.status, FLEX_TOS_DONE);
	EQUAL(call.value[0], 2);
	EQUAL(call.value[1], FLEX_FINISH_EOS);
	call = fake_call(FLEX_OP_GENERATE, session, 58, 20, FLEX_GENERATE_IGNORE_EOS);
	EQUAL(call.value[0], 20);
	/* Until the context is full: 128 tokens, 58 of them the prompt's, and one that needs no room. */
	call = fake_call(FLEX_OP_GENERATE, session, 58, 128, FLEX_GENERATE_IGNORE_EOS);
	EQUAL(call.status, FLEX_TOS_DONE);
	EQUAL(call.value[0], 71);
	EQUAL(call.value[1], FLEX_FINISH_LENGTH);
}

static int64_t refusing(uint64_t reason, uint64_t v1, uint64_t v2, uint64_t v3)
{
	if (reason == FLEX_YIELD_NEED)
		return FLEX_E_EXHAUSTED;
	return obliging(reason, v1, v2, v3);
}

static int64_t nonsense(uint64_t reason, uint64_t v1, uint64_t v2, uint64_t v3)
{
	(void)v1;
	(void)v2;
	(void)v3;
	return reason == FLEX_YIELD_NEED ? -202 : 7; /* neither is an answer */
}

static void answers_of_the_nw_end_a_generation(void)
{
	uint64_t session = open_session(start_model());

	set_prompt(session, "hello");
	fake_on_yield = refusing;
	EQUAL(fake_call(FLEX_OP_GENERATE, session, 5, 4, 0).status, FLEX_E_EXHAUSTED);
	fake_on_yield = nonsense;
	EQUAL(fake_call(FLEX_OP_GENERATE, session, 5, 4, 0).status, FLEX_E_INVAL);
	EQUAL(srv_pinned_pages(), 0);
	fake_on_yield = obliging;
	EQUAL(fake_call(FLEX_OP_GENERATE, session, 5, 4, 0).status, FLEX_TOS_DONE);
}

static uint64_t generating;

/* During a generation, from "another thread": what must be refused, and the cancellation. */
static int64_t meddling(uint64_t reason, uint64_t v1, uint64_t v2, uint64_t v3)
{
	if (reason == FLEX_YIELD_TOKEN && v3 == 2) {
		EQUAL(fake_call(FLEX_OP_GENERATE, generating, 5, 4, 0).status, FLEX_E_BUSY);
		EQUAL(fake_call(FLEX_OP_SESSION_CLOSE, generating, 0, 0, 0).status, FLEX_E_BUSY);
		EQUAL(fake_call(FLEX_OP_MODEL_CLOSE, 0, 0, 0, 0).status, FLEX_E_BUSY);
		EQUAL(fake_call(FLEX_OP_SESSION_CANCEL, generating, 0, 0, 0).status, FLEX_TOS_DONE);
	}
	return obliging(reason, v1, v2, v3);
}

static void cancelled_generation_ends_and_the_session_goes_on(void)
{
	struct rt_call call;

	generating = open_session(start_model());
	set_prompt(generating, "hello");
	fake_on_yield = meddling;
	call = fake_call(FLEX_OP_GENERATE, generating, 5, 10, 0);
	EQUAL(call.status, FLEX_E_CANCELLED);
	EQUAL(srv_pinned_pages(), 0);
	fake_on_yield = obliging;
	EQUAL(fake_call(FLEX_OP_GENERATE, generating, 5, 10, 0).status, FLEX_TOS_DONE);
	EQUAL(fake_call(FLEX_OP_SESSION_CLOSE, generating, 0, 0, 0).status, FLEX_TOS_DONE);
}

static uint64_t early_helps;

/* A helper comes before the generation, sees it begin at its third look, and leaves when it has ended. */
static int64_t begins_late(uint64_t reason, uint64_t v1, uint64_t v2, uint64_t v3)
{
	if (reason == FLEX_YIELD_IDLE && ++early_helps == 3)
		CHECK(srv_session_begin(srv_session_get(generating, SRV_IN(SESSION_IDLE), &(int64_t){ 0 })));
	if (reason == FLEX_YIELD_IDLE && early_helps == 5)
		srv_session_end(srv_session_get(generating, SRV_IN(SESSION_GENERATING), &(int64_t){ 0 }));
	CHECK(early_helps <= 5);
	return obliging(reason, v1, v2, v3);
}

static void helper_waits_for_the_beginning_and_leaves_at_the_end(void)
{
	generating = open_session(start_model());
	fake_on_yield = begins_late;
	EQUAL(fake_call(FLEX_OP_WORK, generating, 0, 0, 0).status, FLEX_TOS_DONE);
	EQUAL(early_helps, 5);
}

static void working_memory_is_wiped_on_close(void)
{
	uint64_t session = open_session(start_model());
	uint64_t slot, secret = 0;

	set_prompt(session, "a secret");
	EQUAL(fake_call(FLEX_OP_GENERATE, session, 8, 2, 0).status, FLEX_TOS_DONE);
	slot = rt_slot_words()[session_first] & FLEX_SLOT_PAGE_MASK;
	EQUAL(memcmp(fake_page(slot), "a secret", 8), 0);
	EQUAL(fake_call(FLEX_OP_SESSION_CLOSE, session, 0, 0, 0).status, FLEX_TOS_DONE);
	CHECK(!fake_is_nw(slot));
	EQUAL(memcmp(fake_page(slot), &secret, 8), 0);
}

static void sessions_and_models_run_out_and_come_back(void)
{
	uint64_t model = start_model(), session[FLEX_SESSIONS];

	for (unsigned int i = 0; i < FLEX_SESSIONS; i++)
		session[i] = open_session(model);
	EQUAL(fake_call(FLEX_OP_SESSION_OPEN, model, 128, 1, 0).status, FLEX_E_EXHAUSTED);
	EQUAL(fake_call(FLEX_OP_SESSION_CLOSE, session[3], 0, 0, 0).status, FLEX_TOS_DONE);
	EQUAL(open_session(model), session[3]);
	for (unsigned int i = 1; i < SRV_MODELS; i++)
		EQUAL(fake_call(FLEX_OP_MODEL_OPEN, 100, 0, 0, 0).status, FLEX_TOS_DONE);
	EQUAL(fake_call(FLEX_OP_MODEL_OPEN, 100, 0, 0, 0).status, FLEX_E_EXHAUSTED);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(bad_arguments_are_refused),
		TEST(bad_arguments_of_a_session_are_refused),
		TEST(the_order_of_next_use_is_published),
		TEST(model_in_use_is_not_closed),
		TEST(pages_claimed_before_a_region_are_given_back),
		TEST(model_in_a_region_asks_for_nothing),
		TEST(region_grows_while_the_model_computes),
		TEST(foreign_file_is_refused_with_a_reason),
		TEST(generation_survives_recall_of_everything_unpinned),
		TEST(end_of_sequence_ends_unless_ignored),
		TEST(answers_of_the_nw_end_a_generation),
		TEST(cancelled_generation_ends_and_the_session_goes_on),
		TEST(helper_waits_for_the_beginning_and_leaves_at_the_end),
		TEST(working_memory_is_wiped_on_close),
		TEST(sessions_and_models_run_out_and_come_back),
	};

	make_file();
	return run_tests(tests, sizeof(tests) / sizeof(tests[0]));
}
