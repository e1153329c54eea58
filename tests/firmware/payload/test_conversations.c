/* SPDX-License-Identifier: BSD-3-Clause */
/* Sessions that go on: what they remember, what they compute again, what they put aside and have back. */
#define _GNU_SOURCE
#include "client.h"
#include "test.h"

#define GO_ON (FLEX_GENERATE_CONTINUE | FLEX_GENERATE_IGNORE_EOS)
/* Two turns and the prompt of a third as one text: by the fake, a token is its position. */
#define WHOLE "hello\5\6\7\10world\16\17\20\21x"
#define KNOWN 17 /* positions that two turns have computed: the token given last has not been */

static uint64_t session;
static uint8_t store[16][FLEX_PROMPT_BYTES]; /* what the NW keeps */
static uint64_t stored;
static int64_t get_answer;

/* An NW that keeps what it is given to keep. */
static int64_t keeping(uint64_t reason, uint64_t v1, uint64_t v2, uint64_t v3)
{
	if (reason == FLEX_YIELD_PUT) {
		EQUAL(v1, stored++);
		memcpy(store[v1], comm_of(session)->prompt, sizeof(store[v1]));
		return FLEX_OK;
	}
	if (reason == FLEX_YIELD_GET) {
		yields[reason]++;
		memcpy(comm_of(session)->prompt, store[v1], sizeof(store[v1]));
		return get_answer;
	}
	return obliging(reason, v1, v2, v3);
}

static struct rt_call generate(const char *text, uint64_t tokens, uint64_t flags)
{
	set_prompt(session, text);
	return fake_call(FLEX_OP_GENERATE, session, strlen(text), tokens, flags);
}

/* What was done for the positions before the last prompt. */
static void expect_positions(uint64_t kept, uint64_t opened, uint64_t recomputed)
{
	EQUAL(comm_of(session)->kept, kept);
	EQUAL(comm_of(session)->opened, opened);
	EQUAL(comm_of(session)->recomputed, recomputed);
}

static void two_turns(void)
{
	session = open_session(start_model());
	fake_on_yield = keeping;
	EQUAL(generate("hello", 4, FLEX_GENERATE_IGNORE_EOS).status, FLEX_TOS_DONE);
	expect_positions(0, 0, 0);
	EQUAL(generate("world", 4, GO_ON).status, FLEX_TOS_DONE);
	EQUAL(comm_of(session)->prompt_tokens, 5);
	EQUAL(comm_of(session)->prompt_ids[0], 'w');
	expect_positions(8, 0, 0);
}

/* Each byte of the KV cache is as if all had been computed in one go, and no more has been computed than need be. */
static void third_turn_is_right(uint64_t kept, uint64_t opened, uint64_t recomputed)
{
	uint64_t before = fake_computed, digest;

	EQUAL(generate("x", 1, GO_ON).status, FLEX_TOS_DONE);
	expect_positions(kept, opened, recomputed);
	EQUAL(fake_computed - before, recomputed + 2); /* the token given last, and the prompt */
	digest = fake_digest;
	EQUAL(generate(WHOLE, 1, FLEX_GENERATE_IGNORE_EOS).status, FLEX_TOS_DONE);
	expect_positions(0, 0, 0);
	EQUAL(fake_digest, digest);
	EQUAL(srv_pinned_pages(), 0);
}

static uint64_t seal(void)
{
	struct rt_call call;

	stored = 0;
	call = fake_call(FLEX_OP_SESSION_SEAL, session, 0, 0, 0);
	EQUAL(call.status, FLEX_TOS_DONE);
	EQUAL(call.value[0], stored);
	EQUAL(srv_pinned_pages(), 0);
	return stored;
}

/* The session's pages [first, end) that are there; what they held is gone. */
static void recall(uint64_t first, uint64_t end)
{
	for (uint64_t i = first; i < end; i++) {
		uint64_t word = rt_slot_words()[session_first + i];

		if (word >> FLEX_SLOT_STATE_SHIFT == FLEX_SLOT_HELD)
			EQUAL(fake_recall(1, word & FLEX_SLOT_PAGE_MASK), FLEX_OK);
	}
}

/* The payload's own idea of the session; nobody uses it meanwhile. */
static struct srv_session *inside(void)
{
	struct srv_session *found = srv_session_get(session, ~0u, &(int64_t){ 0 });

	srv_session_put(found);
	return found;
}

/* Where a layer's part of the cache begins, as a page of the session. */
static uint64_t cache_page(uint32_t layer)
{
	uint8_t *at = NULL;

	CHECK(flx_kv_piece(&inside()->flx, layer, &at) != 0);
	return (uint64_t)(at - (uint8_t *)rt_slot_address(session_first)) / FLEX_PAGE_SIZE;
}

static void turns_are_one_text(void)
{
	two_turns();
	third_turn_is_right(KNOWN, 0, 0);
}

static void a_text_begins_once(void)
{
	fake_adds_bos = true;
	session = open_session(start_model());
	EQUAL(generate("hello", 4, GO_ON).status, FLEX_TOS_DONE);
	EQUAL(comm_of(session)->prompt_tokens, 6);
	EQUAL(comm_of(session)->prompt_ids[0], FAKE_BOS);
	EQUAL(generate("world", 4, GO_ON).status, FLEX_TOS_DONE);
	EQUAL(comm_of(session)->prompt_tokens, 5);
	EQUAL(comm_of(session)->prompt_ids[0], 'w');
	EQUAL(generate("world", 4, FLEX_GENERATE_IGNORE_EOS).status, FLEX_TOS_DONE);
	EQUAL(comm_of(session)->prompt_tokens, 6);
}

static void lost_memory_is_computed_again(void)
{
	two_turns();
	recall(0, session_pages);
	third_turn_is_right(0, 0, KNOWN);
}

static void one_lost_page_is_enough(void)
{
	two_turns();
	recall(cache_page(2), cache_page(2) + 1);
	third_turn_is_right(0, 0, KNOWN);
}

static void what_holds_no_cache_may_go(void)
{
	two_turns();
	recall(0, SRV_PROMPT_PAGES);
	recall(cache_page(3) + 1, session_pages);
	third_turn_is_right(KNOWN, 0, 0);
}

/* The NW brings contents of its own before it is asked. */
static void contents_of_the_nw_are_not_taken_for_a_cache(void)
{
	uint64_t slot;

	two_turns();
	slot = session_first + cache_page(0);
	recall(cache_page(0), cache_page(0) + 1);
	memset(fake_page(2047), 0xee, FLEX_PAGE_SIZE);
	EQUAL(fake_give(2047, slot), FLEX_TOS_DONE);
	third_turn_is_right(0, 0, KNOWN);
}

/* A claim that is still under way when the session goes on: it may have succeeded already. */
static void a_claim_under_way_is_not_trusted(void)
{
	two_turns();
	srv_kv_claim_begin(inside());
	EQUAL(generate("x", 1, GO_ON).status, FLEX_TOS_DONE);
	expect_positions(0, 0, KNOWN);
	srv_kv_claim_end(inside(), session_first, 0);
	EQUAL(generate("y", 1, GO_ON).status, FLEX_TOS_DONE);
	expect_positions(KNOWN + 2, 0, 0);
}

static void a_moved_page_holds_what_it_held(void)
{
	uint64_t word;

	two_turns();
	word = rt_slot_words()[session_first + cache_page(1)];
	EQUAL(fake_move(1, word & FLEX_SLOT_PAGE_MASK, 2047), FLEX_OK);
	third_turn_is_right(KNOWN, 0, 0);
}

static int64_t refuses_tokens(uint64_t reason, uint64_t v1, uint64_t v2, uint64_t v3)
{
	return reason == FLEX_YIELD_TOKEN && v3 == 2 ? FLEX_E_CANCELLED : keeping(reason, v1, v2, v3);
}

static void a_turn_that_fails_has_not_been(void)
{
	two_turns();
	fake_on_yield = refuses_tokens;
	EQUAL(generate("nonsense", 4, GO_ON).status, FLEX_E_CANCELLED);
	fake_on_yield = keeping;
	EQUAL(generate("", 4, GO_ON).status, FLEX_E_PROMPT);
	/* The one token behind the cache is computed by now. */
	EQUAL(generate("x", 1, GO_ON).status, FLEX_TOS_DONE);
	expect_positions(KNOWN + 1, 0, 0);
	EQUAL(srv_pinned_pages(), 0);
}

static void a_conversation_ends_with_its_context(void)
{
	two_turns();
	EQUAL(generate("x", 128, GO_ON).value[0], 128 - KNOWN - 2 + 1);
	EQUAL(generate("y", 1, GO_ON).status, FLEX_E_PROMPT);
	EQUAL(generate("hello", 4, FLEX_GENERATE_IGNORE_EOS).status, FLEX_TOS_DONE);
}

static void what_is_remembered_is_wiped_on_close(void)
{
	const int32_t nothing[KNOWN + 1] = { 0 }, *history;
	struct srv_session *found;

	two_turns();
	seal();
	found = inside();
	history = found->history.id;
	EQUAL(history[1], 'e');
	EQUAL(fake_call(FLEX_OP_SESSION_CLOSE, session, 0, 0, 0).status, FLEX_TOS_DONE);
	EQUAL(memcmp(history, nothing, sizeof(nothing)), 0);
	EQUAL(memcmp(found->kv.stash.key, nothing, sizeof(found->kv.stash.key)), 0);
	/* The next one begins with nothing. */
	session = open_session(0);
	EQUAL(generate("hello", 1, GO_ON).status, FLEX_TOS_DONE);
	expect_positions(0, 0, 0);
}

static void what_was_put_aside_comes_back(void)
{
	two_turns();
	CHECK(seal() > 0);
	recall(0, session_pages);
	third_turn_is_right(0, KNOWN, 0);
	EQUAL(yields[FLEX_YIELD_GET], stored);
}

static void nothing_is_fetched_while_memory_holds_it(void)
{
	two_turns();
	seal();
	third_turn_is_right(KNOWN, 0, 0);
	EQUAL(yields[FLEX_YIELD_GET], 0);
}

/* An older stash still has the beginning; only the rest is computed. */
static void a_stash_serves_until_there_is_another(void)
{
	uint64_t before;

	two_turns();
	seal();
	EQUAL(generate("more", 4, GO_ON).status, FLEX_TOS_DONE);
	recall(0, session_pages);
	before = fake_computed;
	EQUAL(generate("y", 1, GO_ON).status, FLEX_TOS_DONE);
	expect_positions(0, KNOWN, 8);
	EQUAL(fake_computed - before, 8 + 2);
}

static void what_is_put_aside_shows_nothing(void)
{
	uint8_t cache[64], *at;

	two_turns();
	flx_kv_piece(&inside()->flx, 0, &at);
	EQUAL(srv_pin(session_first, session_pages, &(uint64_t){ 0 }), FLEX_OK);
	memcpy(cache, at, sizeof(cache));
	srv_unpin(session_first, session_pages);
	CHECK(seal() > 0);
	for (uint64_t i = 0; i + 8 <= sizeof(cache); i += 8)
		EQUAL((uint64_t)memmem(store, stored * sizeof(store[0]), cache + i, 8), 0);
}

/* The same tokens put aside twice: under two keys. */
static void no_two_stashes_are_alike(void)
{
	static uint8_t first[FLEX_PROMPT_BYTES];
	unsigned int same = 0;

	two_turns();
	seal();
	memcpy(first, store[0], sizeof(first));
	seal();
	for (uint64_t i = 0; i < sizeof(first); i++)
		same += first[i] == store[0][i];
	CHECK(same < sizeof(first) / 64);
}

/* Two turns put aside; the NW does `harm` to what it keeps, and takes the memory. */
static void harm_is_computed_away(void (*harm)(void))
{
	two_turns();
	seal();
	harm();
	recall(0, session_pages);
	third_turn_is_right(0, 0, KNOWN);
	CHECK(yields[FLEX_YIELD_GET] > 0);
}

static void tamper(void)
{
	store[stored - 1][77] ^= 1;
}

static void a_tampered_stash_is_computed_again(void)
{
	harm_is_computed_away(tamper);
}

static void tamper_tag(void)
{
	store[0][FLEX_PROMPT_BYTES - 1] ^= 0x80;
}

static void a_forged_tag_is_computed_again(void)
{
	harm_is_computed_away(tamper_tag);
}

static void lose(void)
{
	get_answer = FLEX_E_EXHAUSTED;
}

static void a_lost_stash_is_computed_again(void)
{
	harm_is_computed_away(lose);
}

/* Brings the first stash of a session for its second, of the same tokens. */
static void replay(void)
{
	static uint8_t older[16][FLEX_PROMPT_BYTES];

	memcpy(older, store, sizeof(store));
	seal();
	memcpy(store, older, sizeof(store));
}

static void a_replayed_stash_is_computed_again(void)
{
	harm_is_computed_away(replay);
}

/* Another session's, which has said the same. */
static void swap(void)
{
	uint64_t ours = session, first = session_first, pages = session_pages;

	session = open_session(0);
	EQUAL(generate("hello", 4, FLEX_GENERATE_IGNORE_EOS).status, FLEX_TOS_DONE);
	EQUAL(generate("world", 4, GO_ON).status, FLEX_TOS_DONE);
	seal();
	session = ours;
	session_first = first;
	session_pages = pages;
}

static void anothers_stash_is_computed_again(void)
{
	harm_is_computed_away(swap);
}

static int64_t gives_up(uint64_t reason, uint64_t v1, uint64_t v2, uint64_t v3)
{
	return reason == FLEX_YIELD_GET ? FLEX_E_CANCELLED : keeping(reason, v1, v2, v3);
}

static void a_client_that_gives_up_is_not_kept_computing(void)
{
	two_turns();
	seal();
	recall(0, session_pages);
	fake_on_yield = gives_up;
	EQUAL(generate("x", 1, GO_ON).status, FLEX_E_CANCELLED);
	fake_on_yield = keeping;
	third_turn_is_right(0, KNOWN, 0);
}

static void chunks_do_not_change_places(void)
{
	static uint8_t chunk[FLEX_PROMPT_BYTES];
	char text[101] = { 0 };

	memset(text, 'a', sizeof(text) - 1);
	session = open_session(start_model());
	fake_on_yield = keeping;
	EQUAL(generate(text, 1, FLEX_GENERATE_IGNORE_EOS).status, FLEX_TOS_DONE);
	EQUAL(seal(), 3);
	recall(0, session_pages);
	EQUAL(generate("x", 1, GO_ON).status, FLEX_TOS_DONE);
	expect_positions(0, 100, 0);
	memcpy(chunk, store[0], sizeof(chunk));
	memcpy(store[0], store[1], sizeof(chunk));
	memcpy(store[1], chunk, sizeof(chunk));
	recall(0, session_pages);
	EQUAL(generate("y", 1, GO_ON).status, FLEX_TOS_DONE);
	expect_positions(0, 0, 102);
}

static void a_cache_with_a_hole_is_not_put_aside(void)
{
	two_turns();
	recall(cache_page(3), cache_page(3) + 1);
	EQUAL(fake_call(FLEX_OP_SESSION_SEAL, session, 0, 0, 0).status, FLEX_E_STATE);
	EQUAL(srv_pinned_pages(), 0);
	third_turn_is_right(0, 0, KNOWN);
	EQUAL(yields[FLEX_YIELD_GET], 0);
}

static void what_the_nw_brought_is_not_put_aside(void)
{
	two_turns();
	recall(cache_page(1), cache_page(1) + 1);
	EQUAL(fake_give(2047, session_first + cache_page(1)), FLEX_TOS_DONE);
	EQUAL(fake_call(FLEX_OP_SESSION_SEAL, session, 0, 0, 0).status, FLEX_E_STATE);
	EQUAL(stored, 0);
	third_turn_is_right(0, 0, KNOWN);
}

static uint64_t victim;

/* Takes a page away and brings another one while the cache is being put aside. */
static int64_t takes_meanwhile(uint64_t reason, uint64_t v1, uint64_t v2, uint64_t v3)
{
	if (reason == FLEX_YIELD_PUT && v1 == 0) {
		uint64_t slot = session_first + victim;

		EQUAL(fake_recall(1, rt_slot_words()[slot] & FLEX_SLOT_PAGE_MASK), FLEX_OK);
		EQUAL(fake_give(2047, slot), FLEX_TOS_DONE);
		EQUAL(fake_call(FLEX_OP_GENERATE, session, 1, 1, GO_ON).status, FLEX_E_BUSY);
		EQUAL(fake_call(FLEX_OP_SESSION_CLOSE, session, 0, 0, 0).status, FLEX_E_BUSY);
	}
	return keeping(reason, v1, v2, v3);
}

static void what_changes_meanwhile_is_put_aside_for_nobody(void)
{
	two_turns();
	victim = cache_page(0);
	fake_on_yield = takes_meanwhile;
	EQUAL(fake_call(FLEX_OP_SESSION_SEAL, session, 0, 0, 0).status, FLEX_E_STATE);
	fake_on_yield = keeping;
	third_turn_is_right(0, 0, KNOWN);
	EQUAL(yields[FLEX_YIELD_GET], 0);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(turns_are_one_text),
		TEST(a_text_begins_once),
		TEST(lost_memory_is_computed_again),
		TEST(one_lost_page_is_enough),
		TEST(what_holds_no_cache_may_go),
		TEST(contents_of_the_nw_are_not_taken_for_a_cache),
		TEST(a_claim_under_way_is_not_trusted),
		TEST(a_moved_page_holds_what_it_held),
		TEST(a_turn_that_fails_has_not_been),
		TEST(a_conversation_ends_with_its_context),
		TEST(what_is_remembered_is_wiped_on_close),
		TEST(what_was_put_aside_comes_back),
		TEST(nothing_is_fetched_while_memory_holds_it),
		TEST(a_stash_serves_until_there_is_another),
		TEST(what_is_put_aside_shows_nothing),
		TEST(no_two_stashes_are_alike),
		TEST(a_tampered_stash_is_computed_again),
		TEST(a_forged_tag_is_computed_again),
		TEST(a_lost_stash_is_computed_again),
		TEST(a_replayed_stash_is_computed_again),
		TEST(anothers_stash_is_computed_again),
		TEST(chunks_do_not_change_places),
		TEST(a_client_that_gives_up_is_not_kept_computing),
		TEST(a_cache_with_a_hole_is_not_put_aside),
		TEST(what_the_nw_brought_is_not_put_aside),
		TEST(what_changes_meanwhile_is_put_aside_for_nobody),
	};

	make_file();
	return run_tests(tests, sizeof(tests) / sizeof(tests[0]));
}
