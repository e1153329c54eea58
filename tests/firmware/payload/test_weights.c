/* SPDX-License-Identifier: BSD-3-Clause */
/* Sealed contents: whatever the normal world brings, nothing is computed but what was sealed. */
#include <pthread.h>
#include <sched.h>

#include "fake_seal.h"
#include "serving.h"
#include "test.h"

#define PAGES 300 /* of GGUF: three pages of table */
#define FIRST 4   /* of the file: chunk 0 */
#define FILE_PAGES (FIRST + PAGES)
#define STAMP 0x57454947485453ULL

static uint8_t plain[PAGES][FLEX_PAGE_SIZE];
static uint8_t file[FILE_PAGES][FLEX_PAGE_SIZE], again[FILE_PAGES][FLEX_PAGE_SIZE];
static uint8_t (*brought)[FLEX_PAGE_SIZE] = file; /* what the NW answers a NEED with */
static struct srv_model *model;
static uint64_t first_slot;

/* DRAM page n is for slot n of the file, n + 1024 stands by. */
static void bring(uint64_t index, uint64_t page)
{
	memcpy(fake_page(index), brought[page], FLEX_PAGE_SIZE);
	EQUAL(fake_give(index, first_slot + page), FLEX_TOS_DONE);
}

static int64_t obliging(uint64_t reason, uint64_t v1, uint64_t v2, uint64_t v3)
{
	(void)v3;
	EQUAL(reason, FLEX_YIELD_NEED);
	for (uint64_t i = 0; i < v2; i++)
		bring(v1 - first_slot + i, v1 - first_slot + i);
	return FLEX_OK;
}

static uint64_t open_file(void)
{
	struct rt_call call = fake_call(FLEX_OP_MODEL_OPEN, sizeof(file), 0, 0, 0);
	int64_t error;

	EQUAL(call.status, FLEX_TOS_DONE);
	first_slot = call.value[1];
	fake_on_yield = obliging;
	model = srv_model_get(call.value[0], SRV_IN(MODEL_OPEN), &error);
	srv_model_put(model);
	return call.value[0];
}

static int64_t open_header(void)
{
	uint64_t ticks;

	open_file();
	return srv_weights_open(model, &ticks);
}

/* All pages of the GGUF, pinned one after the other, as an engine would: FLEX_OK only if every one is as it was sealed. */
static int64_t read_all(void)
{
	struct srv_spent spent = { 0 };

	for (uint64_t i = 0; i < PAGES; i++) {
		const uint8_t *at = model->image + i * FLEX_PAGE_SIZE;
		int64_t error = srv_weights_pin(model, at, FLEX_PAGE_SIZE, &spent);

		if (error)
			return error;
		EQUAL(memcmp(at, plain[i], FLEX_PAGE_SIZE), 0);
		srv_weights_unpin(model, at, FLEX_PAGE_SIZE);
	}
	return FLEX_OK;
}

static void what_was_sealed_is_read(void)
{
	EQUAL(open_header(), FLEX_OK);
	EQUAL(read_all(), FLEX_OK);
	EQUAL(read_all(), FLEX_OK);
	EQUAL(srv_pinned_pages(), 0);
}

static uint64_t needs;

/* The header alone, then everything behind it from the table on. */
static int64_t needed_in_order(uint64_t reason, uint64_t v1, uint64_t v2, uint64_t v3)
{
	EQUAL(v1, first_slot + needs);
	EQUAL(v2, needs == 0 ? 1 : FILE_PAGES - 1);
	needs++;
	return obliging(reason, v1, v2, v3);
}

static void claims_open_what_they_bring(void)
{
	struct srv_spent spent = { 0 };
	uint64_t ticks;

	open_file();
	fake_on_yield = needed_in_order;
	EQUAL(srv_weights_open(model, &ticks), FLEX_OK);
	/* Already plain in its page, before anybody asked. */
	EQUAL(memcmp(fake_page(FIRST + 7), plain[7], FLEX_PAGE_SIZE), 0);
	fake_on_yield = NULL;
	EQUAL(srv_weights_pin(model, model->image, sizeof(plain), &spent), FLEX_OK);
	EQUAL(memcmp(model->image, plain, sizeof(plain)), 0);
	srv_weights_unpin(model, model->image, sizeof(plain));
}

static void chunks_brought_before_their_table_are_opened_later(void)
{
	EQUAL(open_header(), FLEX_OK);
	for (uint64_t page = 1; page < FILE_PAGES; page++)
		EQUAL(fake_recall(1, page), FLEX_OK);
	for (uint64_t page = FIRST; page < FILE_PAGES; page++)
		bring(page, page);
	EQUAL(memcmp(fake_page(FIRST), file[FIRST], FLEX_PAGE_SIZE), 0);
	EQUAL(read_all(), FLEX_OK);
}

static void recalled_pages_are_opened_again(void)
{
	static const uint64_t gone[] = { 0, 1, 2, FIRST, FIRST + 1, FIRST + 130, FILE_PAGES - 1 };

	EQUAL(open_header(), FLEX_OK);
	EQUAL(read_all(), FLEX_OK);
	for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
		EQUAL(fake_recall(1, gone[i]), FLEX_OK);
	EQUAL(read_all(), FLEX_OK);
	EQUAL(srv_pinned_pages(), 0);
}

/* What opens a chunk is asked for before the chunk, so that the claim opens it. */
static void the_table_is_asked_for_before_its_chunks(void)
{
	struct srv_spent spent = { 0 };

	EQUAL(open_header(), FLEX_OK);
	for (uint64_t page = 0; page < FILE_PAGES; page++)
		EQUAL(fake_recall(1, page), FLEX_OK);
	EQUAL(srv_weights_pin(model, model->image + 150 * FLEX_PAGE_SIZE, 1, &spent), FLEX_OK);
	srv_weights_unpin(model, model->image + 150 * FLEX_PAGE_SIZE, 1);
	/* Nobody has pinned this one; the claim that came along has opened it. */
	EQUAL(memcmp(fake_page(FIRST + 200), plain[200], FLEX_PAGE_SIZE), 0);
}

/* After everything was right once, `change` is done to what the NW brings for a page that it took away. */
static void refused_after(void (*change)(void), uint64_t page, int why)
{
	EQUAL(open_header(), FLEX_OK);
	EQUAL(read_all(), FLEX_OK);
	for (uint64_t i = 0; i < FILE_PAGES; i++)
		fake_recall(1, i);
	change();
	EQUAL(read_all(), FLEX_E_MODEL);
	EQUAL(strcmp(srv_weights_refusal(model), seal_reason(why)), 0);
	EQUAL(srv_pinned_pages(), 0);
	/* It stays refused, whatever is brought from now on. */
	fake_recall(1, page);
	EQUAL(read_all(), FLEX_E_MODEL);
}

static void flip_a_bit(void)
{
	brought[FIRST + 200][4095] ^= 0x80;
}

static void put_plaintext(void)
{
	memcpy(brought[FIRST + 9], plain[9], FLEX_PAGE_SIZE);
}

static void exchange_chunks(void)
{
	struct flex_sealed_entry *table = (struct flex_sealed_entry *)brought[1], entry = table[3];
	static uint8_t chunk[FLEX_PAGE_SIZE];

	memcpy(chunk, brought[FIRST + 3], FLEX_PAGE_SIZE);
	memcpy(brought[FIRST + 3], brought[FIRST + 4], FLEX_PAGE_SIZE);
	memcpy(brought[FIRST + 4], chunk, FLEX_PAGE_SIZE);
	table[3] = table[4];
	table[4] = entry;
}

static void bring_another_sealing(void)
{
	brought = again;
}

static void a_changed_chunk_is_refused(void)
{
	refused_after(flip_a_bit, FIRST + 200, FLEX_SEALED_E_TAMPERED);
}

static void plaintext_is_refused(void)
{
	refused_after(put_plaintext, FIRST + 9, FLEX_SEALED_E_TAMPERED);
}

static void exchanged_chunks_are_refused(void)
{
	refused_after(exchange_chunks, FIRST + 3, FLEX_SEALED_E_MOVED);
}

static void another_sealings_chunks_are_refused(void)
{
	refused_after(bring_another_sealing, FIRST, FLEX_SEALED_E_SWAPPED);
}

static void a_refused_model_is_fresh_after_it_was_closed(void)
{
	refused_after(flip_a_bit, FIRST + 200, FLEX_SEALED_E_TAMPERED);
	flip_a_bit();
	EQUAL(fake_call(FLEX_OP_MODEL_CLOSE, 0, 0, 0, 0).status, FLEX_TOS_DONE);
	for (uint64_t i = 0; i < FILE_PAGES; i++)
		fake_recall(1, i);
	EQUAL(open_header(), FLEX_OK);
	EQUAL(read_all(), FLEX_OK);
}

static void header_refused(uint64_t bytes, int why)
{
	struct flex_session_comm *comm = (void *)((uint8_t *)rt_comm() + FLEX_COMM_SESSION);
	struct rt_call call = fake_call(FLEX_OP_MODEL_OPEN, bytes, 0, 0, 0);
	uint64_t number = call.value[0];

	EQUAL(call.status, FLEX_TOS_DONE);
	first_slot = call.value[1];
	fake_on_yield = obliging;
	EQUAL(fake_call(FLEX_OP_MODEL_START, number, 0, 0, 0).status, FLEX_E_MODEL);
	EQUAL(strcmp((char *)comm->reason, seal_reason(why)), 0);
	EQUAL(srv_pinned_pages(), 0);
	EQUAL(fake_call(FLEX_OP_MODEL_CLOSE, number, 0, 0, 0).status, FLEX_TOS_DONE);
}

static void hostile_headers_are_refused_with_their_reasons(void)
{
	struct flex_sealed_header *header = (struct flex_sealed_header *)file[0];

	header_refused(sizeof(file) - FLEX_PAGE_SIZE, FLEX_SEALED_E_CUT);
	header->version++;
	fake_recall(1, 0);
	header_refused(sizeof(file), FLEX_SEALED_E_HEADER);
	header->board_key[0] ^= 1;
	fake_recall(1, 0);
	header_refused(sizeof(file), FLEX_SEALED_E_FOREIGN);
	memcpy(file[0], "GGUF", 4);
	fake_recall(1, 0);
	header_refused(sizeof(file), FLEX_SEALED_E_PLAIN);
}

#define REGION_BASE (FLEX_BOARD_DRAM_BASE + 0x200000)
#define REGION_PAGE 512 /* of DRAM: its first */

/* The whole file as the NW reads it into a region of one block; `spoilt`: with a bit of its last page turned. */
static uint64_t open_in_region(bool spoilt)
{
	uint64_t number = open_file();

	memcpy(fake_page(REGION_PAGE), file, sizeof(file));
	fake_page(REGION_PAGE + FILE_PAGES - 1)[0] ^= spoilt;
	EQUAL(fake_secure(REGION_BASE, 0x200000), FLEX_OK);
	EQUAL(fake_call(FLEX_OP_MODEL_REGION, number, REGION_BASE, 0x200000, 0).status, FLEX_TOS_DONE);
	fake_on_yield = NULL;
	return number;
}

static void close_and_recall(void)
{
	EQUAL(fake_call(FLEX_OP_MODEL_CLOSE, 0, 0, 0, 0).status, FLEX_TOS_DONE);
	for (uint64_t i = 0; i < FILE_PAGES; i++)
		fake_recall(1, i);
}

/* The file's version is 3 and 2 in turn, as an NW that kept the old one would have it. */
static void a_rolled_back_model_is_refused_wherever_it_lies(void)
{
	uint64_t ticks;

	fake_seal(file[0], plain[0], PAGES, 3, "sealing0");
	EQUAL(open_header(), FLEX_OK);
	close_and_recall();
	fake_seal(file[0], plain[0], PAGES, 2, "sealing2");
	header_refused(sizeof(file), FLEX_SEALED_E_OLD);
	open_in_region(false);
	EQUAL(srv_weights_open(model, &ticks), FLEX_E_MODEL);
	EQUAL(strcmp(srv_weights_refusal(model), FLEX_SEALED_E_OLD_TEXT), 0);
	close_and_recall();
	fake_seal(file[0], plain[0], PAGES, 3, "sealing0");
	EQUAL(open_header(), FLEX_OK);
}

/* The older one is open, and all of it is there: it is of no use from then on. */
static void a_newer_version_ends_an_older_one_that_is_open(void)
{
	struct srv_spent spent = { 0 };
	struct srv_model *older;
	uint64_t ticks;

	fake_seal(file[0], plain[0], PAGES, 4, "sealing4");
	EQUAL(open_header(), FLEX_OK);
	EQUAL(read_all(), FLEX_OK);
	older = model;
	fake_seal(file[0], plain[0], PAGES, 5, "sealing5");
	open_in_region(false);
	EQUAL(srv_weights_open(model, &ticks), FLEX_OK);
	EQUAL(read_all(), FLEX_OK);
	EQUAL(srv_weights_pin(older, older->image, 1, &spent), FLEX_E_MODEL);
	EQUAL(strcmp(srv_weights_refusal(older), FLEX_SEALED_E_OLD_TEXT), 0);
	CHECK(!srv_model_refused(model));
}

/* A claim for a slot that holds a page changes nothing, above all not what the slot is known to hold. */
static void a_claim_that_fails_leaves_an_open_page_open(void)
{
	EQUAL(open_header(), FLEX_OK);
	EQUAL(read_all(), FLEX_OK);
	EQUAL(fake_give(1500, first_slot + FIRST + 5), FLEX_E_STATE);
	fake_on_yield = NULL;
	EQUAL(read_all(), FLEX_OK);
}

/* What the NW put there meanwhile does not pass for what was open before. */
static void a_slot_that_was_open_is_closed_by_its_next_claim(void)
{
	struct srv_spent spent = { 0 };

	EQUAL(open_header(), FLEX_OK);
	EQUAL(read_all(), FLEX_OK);
	EQUAL(fake_recall(1, FIRST + 5), FLEX_OK);
	memset(fake_page(1500), 0x66, FLEX_PAGE_SIZE);
	EQUAL(fake_give(1500, first_slot + FIRST + 5), FLEX_TOS_DONE);
	EQUAL(srv_weights_pin(model, model->image + 5 * FLEX_PAGE_SIZE, 1, &spent), FLEX_E_MODEL);
}

static unsigned int naps;

/* The other claim has come to nothing. */
static int64_t settles_meanwhile(uint64_t reason, uint64_t v1, uint64_t v2, uint64_t v3)
{
	(void)v2;
	(void)v3;
	EQUAL(reason, FLEX_YIELD_IDLE);
	EQUAL(v1, FLEX_IDLE_OPENING);
	naps++;
	srv_contents_settle(first_slot + FIRST + 5, 1, 0);
	return FLEX_OK;
}

static void what_another_has_in_its_hands_is_waited_for(void)
{
	struct srv_spent spent = { 0 };

	EQUAL(open_header(), FLEX_OK);
	EQUAL(read_all(), FLEX_OK);
	EQUAL(srv_contents_seize(first_slot + FIRST + 5, 1), true);
	fake_on_yield = settles_meanwhile;
	EQUAL(srv_weights_pin(model, model->image + 5 * FLEX_PAGE_SIZE, 1, &spent), FLEX_OK);
	srv_weights_unpin(model, model->image + 5 * FLEX_PAGE_SIZE, 1);
	EQUAL(naps, 1);
	CHECK(spent.waited != 0);
}

static void opening_is_shown_apart_from_waiting(void)
{
	struct flex_session_comm *comm = srv_comm_session(0);
	struct srv_spent spent = { .comm = comm };
	uint64_t begun;

	EQUAL(open_header(), FLEX_OK);
	/* No claim opens it: its table was away. */
	EQUAL(fake_recall(1, 1), FLEX_OK);
	EQUAL(fake_recall(1, FIRST + 5), FLEX_OK);
	bring(FIRST + 5, FIRST + 5);
	bring(1, 1);
	fake_on_yield = NULL;
	EQUAL(srv_weights_pin(model, model->image + 5 * FLEX_PAGE_SIZE, 1, &spent), FLEX_OK);
	srv_weights_unpin(model, model->image + 5 * FLEX_PAGE_SIZE, 1);
	CHECK(spent.opened != 0);
	EQUAL(spent.waited, 0);
	EQUAL(comm->decrypt_ticks, spent.opened);
	EQUAL(comm->decrypt_since, 0);
	begun = srv_opening_begin(&spent);
	EQUAL(comm->decrypt_since, begun);
	srv_opening_end(&spent, begun);
	EQUAL(comm->decrypt_since, 0);
}

static void contents_are_seized_by_one_at_a_time(void)
{
	EQUAL(srv_contents_seize(10, 4), true);
	EQUAL(srv_contents_seize(13, 2), false);
	EQUAL(srv_contents_seize(14, 2), true);
	srv_contents_settle(10, 4, 2);
	EQUAL(srv_contents_seize(10, 4), true);
}

static void a_page_that_was_moved_is_still_open(void)
{
	EQUAL(open_header(), FLEX_OK);
	EQUAL(read_all(), FLEX_OK);
	EQUAL(fake_move(1, FIRST + 5, 1500), FLEX_OK);
	CHECK(fake_is_nw(FIRST + 5));
	CHECK(!fake_is_nw(1500));
	fake_on_yield = NULL;
	EQUAL(read_all(), FLEX_OK);
}

static void a_region_is_unsealed_once_it_has_its_key(void)
{
	uint64_t ticks = 0, number = open_in_region(false);

	EQUAL(fake_call(FLEX_OP_MODEL_UNSEAL, number, 0, 0, 0).status, FLEX_TOS_DONE);
	EQUAL(memcmp(fake_page(REGION_PAGE), file, sizeof(file)), 0);
	EQUAL(srv_weights_open(model, &ticks), FLEX_OK);
	EQUAL(fake_call(FLEX_OP_MODEL_UNSEAL, number, 0, 0, 0).status, FLEX_TOS_DONE);
	EQUAL(memcmp(model->image, plain, sizeof(plain)), 0);
	EQUAL(read_all(), FLEX_OK);
}

/* Whoever computes opens what it needs, and that alone. */
static void a_region_is_opened_by_need(void)
{
	struct srv_spent spent = { 0 };
	uint64_t ticks;

	open_in_region(false);
	EQUAL(srv_weights_open(model, &ticks), FLEX_OK);
	EQUAL(srv_weights_pin(model, model->image + 7 * FLEX_PAGE_SIZE, 2 * FLEX_PAGE_SIZE, &spent), FLEX_OK);
	EQUAL(memcmp(model->image + 7 * FLEX_PAGE_SIZE, plain[7], 2 * FLEX_PAGE_SIZE), 0);
	EQUAL(memcmp(model->image + 9 * FLEX_PAGE_SIZE, file[FIRST + 9], FLEX_PAGE_SIZE), 0);
	CHECK(spent.opened != 0);
	EQUAL(read_all(), FLEX_OK);
}

static void a_changed_region_is_refused(void)
{
	uint64_t ticks, number = open_in_region(true);

	EQUAL(srv_weights_open(model, &ticks), FLEX_OK);
	EQUAL(fake_call(FLEX_OP_MODEL_UNSEAL, number, 0, 0, 0).status, FLEX_TOS_DONE);
	EQUAL(read_all(), FLEX_E_MODEL);
	EQUAL(srv_weights_open(model, &ticks), FLEX_E_MODEL);
	EQUAL(strcmp(srv_weights_refusal(model), FLEX_SEALED_E_TAMPERED_TEXT), 0);
}

/* Slots that an earlier model left open say nothing of what the region holds. */
static void a_region_believes_no_mark_of_an_earlier_model(void)
{
	uint64_t ticks;

	EQUAL(open_header(), FLEX_OK);
	EQUAL(read_all(), FLEX_OK);
	EQUAL(fake_call(FLEX_OP_MODEL_CLOSE, 0, 0, 0, 0).status, FLEX_TOS_DONE);
	open_in_region(true);
	EQUAL(srv_weights_open(model, &ticks), FLEX_OK);
	EQUAL(read_all(), FLEX_E_MODEL);
}

/* ---- a region: two that decrypt, and one that computes ---- */

static int64_t nap(uint64_t reason, uint64_t v1, uint64_t v2, uint64_t v3)
{
	(void)v2;
	(void)v3;
	EQUAL(reason, FLEX_YIELD_IDLE);
	EQUAL(v1, FLEX_IDLE_OPENING);
	sched_yield();
	return FLEX_OK;
}

static void *unsealer(void *arg)
{
	fake_core_number = 1 + (unsigned int)(uintptr_t)arg;
	srv_weights_unseal(model);
	return NULL;
}

static void threads_share_the_opening_of_a_region(void)
{
	pthread_t threads[2];
	uint64_t ticks;

	open_in_region(false);
	EQUAL(srv_weights_open(model, &ticks), FLEX_OK);
	fake_on_yield = nap;
	for (uintptr_t i = 0; i < 2; i++)
		CHECK(pthread_create(&threads[i], NULL, unsealer, (void *)i) == 0);
	EQUAL(read_all(), FLEX_OK);
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	EQUAL(memcmp(model->image, plain, sizeof(plain)), 0);
}

/* ---- the race: two that compute, and an NW that takes pages away and brings them again ---- */

#define RACE_CHUNKS 20
#define RACE_ROUNDS 4000

static pthread_mutex_t bringing = PTHREAD_MUTEX_INITIALIZER;
static int race_over;
static uint64_t race_seen;

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* A recall may have the page again before it is claimed (STATE): then it is asked for once more. */
static void bring_in_race(uint64_t page)
{
	int64_t error;

	memcpy(fake_page(page), brought[page], FLEX_PAGE_SIZE);
	error = fake_give(page, first_slot + page);
	CHECK(error == FLEX_TOS_DONE || error == FLEX_E_STATE);
}

/* An NW of several threads that brings, whenever it is asked, what is missing when it looks. */
static int64_t racing_nw(uint64_t reason, uint64_t v1, uint64_t v2, uint64_t v3)
{
	(void)v3;
	if (reason == FLEX_YIELD_IDLE)
		return FLEX_OK;
	pthread_mutex_lock(&bringing);
	for (uint64_t page = v1 - first_slot; page < v1 - first_slot + v2 && page < FIRST + RACE_CHUNKS; page++) {
		if (fake_is_nw(page))
			bring_in_race(page);
	}
	pthread_mutex_unlock(&bringing);
	return FLEX_OK;
}

static void *race_reader(void *arg)
{
	uint64_t random = 88172645463325252ULL + (uint64_t)(uintptr_t)arg;
	struct srv_spent spent = { 0 };

	fake_core_number = 1 + (unsigned int)(uintptr_t)arg;
	while (!__atomic_load_n(&race_over, __ATOMIC_ACQUIRE)) {
		uint64_t chunk = next_random(&random) % RACE_CHUNKS;
		const uint8_t *at = model->image + chunk * FLEX_PAGE_SIZE;

		EQUAL(srv_weights_pin(model, at, FLEX_PAGE_SIZE, &spent), FLEX_OK);
		EQUAL(memcmp(at, plain[chunk], FLEX_PAGE_SIZE), 0);
		srv_weights_unpin(model, at, FLEX_PAGE_SIZE);
		__atomic_fetch_add(&race_seen, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void race_of_opening_against_recall(void)
{
	uint64_t random = 1234567890123456789ULL;
	struct srv_spent spent = { 0 };
	pthread_t readers[2];

	EQUAL(open_header(), FLEX_OK);
	fake_on_yield = racing_nw;
	EQUAL(srv_weights_pin(model, model->image, RACE_CHUNKS * FLEX_PAGE_SIZE, &spent), FLEX_OK);
	srv_weights_unpin(model, model->image, RACE_CHUNKS * FLEX_PAGE_SIZE);
	for (uintptr_t i = 0; i < 2; i++)
		CHECK(pthread_create(&readers[i], NULL, race_reader, (void *)i) == 0);
	for (unsigned int i = 0; i < RACE_ROUNDS; i++)
		fake_recall(0, next_random(&random) % (FIRST + RACE_CHUNKS));
	while (__atomic_load_n(&race_seen, __ATOMIC_RELAXED) < 200)
		usleep(1000);
	__atomic_store_n(&race_over, 1, __ATOMIC_RELEASE);
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(readers[i], NULL);
	EQUAL(srv_pinned_pages(), 0);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(what_was_sealed_is_read),
		TEST(claims_open_what_they_bring),
		TEST(chunks_brought_before_their_table_are_opened_later),
		TEST(recalled_pages_are_opened_again),
		TEST(the_table_is_asked_for_before_its_chunks),
		TEST(a_changed_chunk_is_refused),
		TEST(plaintext_is_refused),
		TEST(exchanged_chunks_are_refused),
		TEST(another_sealings_chunks_are_refused),
		TEST(a_refused_model_is_fresh_after_it_was_closed),
		TEST(hostile_headers_are_refused_with_their_reasons),
		TEST(a_rolled_back_model_is_refused_wherever_it_lies),
		TEST(a_newer_version_ends_an_older_one_that_is_open),
		TEST(a_claim_that_fails_leaves_an_open_page_open),
		TEST(a_slot_that_was_open_is_closed_by_its_next_claim),
		TEST(what_another_has_in_its_hands_is_waited_for),
		TEST(opening_is_shown_apart_from_waiting),
		TEST(contents_are_seized_by_one_at_a_time),
		TEST(a_page_that_was_moved_is_still_open),
		TEST(a_region_is_unsealed_once_it_has_its_key),
		TEST(a_region_is_opened_by_need),
		TEST(a_changed_region_is_refused),
		TEST(a_region_believes_no_mark_of_an_earlier_model),
		TEST(threads_share_the_opening_of_a_region),
		TEST(race_of_opening_against_recall),
	};

	for (unsigned int i = 0; i < PAGES; i++) {
		uint64_t stamp = STAMP + i;

		memcpy(plain[i], &stamp, sizeof(stamp));
	}
	EQUAL(fake_sealed_pages(PAGES), FILE_PAGES);
	fake_seal(file[0], plain[0], PAGES, 1, "sealing0");
	fake_seal(again[0], plain[0], PAGES, 1, "sealing1");
	return run_tests(tests, sizeof(tests) / sizeof(tests[0]));
}
