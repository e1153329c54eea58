/* SPDX-License-Identifier: BSD-3-Clause */
/* Two links talk over a wire that loses, damages, repeats and delays lines; what arrives is what was sent, or nothing. */
#include <string.h>

#include "check.h"
#include "link.h"

#define LIMIT (1u << 20)

struct end {
	struct flex_buffer wire;
	struct flex_link link;
};

static void open_ends(struct end *host, struct end *board)
{
	struct flex_record hello = { .kind = FLEX_RECORD_HELLO, .session = 7 };

	flex_buffer_init(&host->wire, LIMIT);
	flex_buffer_init(&board->wire, LIMIT);
	flex_link_init(&host->link, &host->wire);
	flex_link_init(&board->link, &board->wire);
	CHECK(flex_link_take(&board->link, &hello, 0) == FLEX_LINK_OPENED);
	flex_buffer_clear(&board->wire); /* the welcome */
	CHECK(flex_link_take(&host->link, &hello, 0) == FLEX_LINK_OPENED);
	flex_buffer_clear(&host->wire);
}

static void close_ends(struct end *host, struct end *board)
{
	flex_buffer_free(&host->wire);
	flex_buffer_free(&board->wire);
	flex_link_free(&host->link);
	flex_link_free(&board->link);
}

/* Carries whole lines from one end to the other; each suffers with a probability of `harm` percent. */
static void carry(struct end *from, struct end *to, uint64_t *random, uint32_t harm, uint64_t now)
{
	char line[FLEX_RECORD_LINE];

	while (flex_buffer_used(&from->wire)) {
		const uint8_t *head = flex_buffer_head(&from->wire);
		const uint8_t *end = memchr(head, '\n', flex_buffer_used(&from->wire));
		size_t count = (size_t)(end - head) + 1;
		struct flex_record record;
		int times = 1;

		memcpy(line, head, count);
		flex_buffer_consume(&from->wire, count);
		if (draw_below(random, 100) < harm) {
			switch (draw_below(random, 3)) {
			case 0:
				times = 0;
				break;
			case 1:
				times = 2;
				break;
			default:
				line[draw_below(random, (uint32_t)count)] ^= (char)(1 + draw_below(random, 127));
			}
		}
		while (times--)
			if (flex_record_decode(line, count, &record))
				flex_link_take(&to->link, &record, now);
	}
}

static void all_arrives_in_order(uint64_t *random, uint32_t harm, size_t bytes)
{
	struct end host, board;
	uint64_t now = 0;
	size_t sent = 0, arrived = 0;

	open_ends(&host, &board);
	while (arrived < bytes) {
		while (sent < bytes && flex_buffer_used(&board.link.queue) < 4000) {
			uint8_t byte = (uint8_t)(sent * 31 + (sent >> 8));

			CHECK(flex_link_send(&board.link, &byte, 1));
			sent++;
		}
		CHECK(flex_link_run(&board.link, now) == FLEX_LINK_NOTHING);
		CHECK(flex_link_run(&host.link, now) == FLEX_LINK_NOTHING);
		carry(&board, &host, random, harm, now);
		carry(&host, &board, random, harm, now);
		for (; flex_buffer_used(&host.link.received); arrived++) {
			CHECK(*flex_buffer_head(&host.link.received) == (uint8_t)(arrived * 31 + (arrived >> 8)));
			flex_buffer_consume(&host.link.received, 1);
		}
		now += 10;
		CHECK(now < 3600000);
	}
	close_ends(&host, &board);
}

static void a_silent_wire_closes_the_link(void)
{
	struct end host, board;
	uint64_t now = 0;

	open_ends(&host, &board);
	CHECK(flex_link_send(&board.link, "x", 1));
	while (flex_link_run(&board.link, now) == FLEX_LINK_NOTHING) {
		int patience = flex_link_patience(&board.link, now);

		CHECK(patience >= 0);
		flex_buffer_clear(&board.wire);
		now += (uint64_t)patience + 1;
	}
	CHECK(now >= FLEX_LINK_LOST_MS && now < FLEX_LINK_LOST_MS + 2 * FLEX_LINK_RESEND_MAX_MS);
	CHECK(!board.link.open);
	CHECK(!flex_link_send(&board.link, "x", 1));
	CHECK(flex_link_patience(&board.link, now) < 0);
	close_ends(&host, &board);
}

static void hello_is_idempotent_and_a_new_one_resets(void)
{
	struct end host, board;
	struct flex_record hello = { .kind = FLEX_RECORD_HELLO, .session = 7 };
	struct flex_record data = { .kind = FLEX_RECORD_DATA_KIND, .session = 7, .length = 3, .data = "abc" };

	open_ends(&host, &board);
	flex_link_take(&board.link, &data, 0);
	CHECK(flex_link_take(&board.link, &hello, 1) == FLEX_LINK_NOTHING);
	CHECK(flex_buffer_used(&board.link.received) == 3);
	hello.session = 8;
	CHECK(flex_link_take(&board.link, &hello, 2) == FLEX_LINK_OPENED);
	CHECK(flex_buffer_used(&board.link.received) == 0);
	flex_link_take(&board.link, &data, 3); /* late, of the session before */
	CHECK(flex_buffer_used(&board.link.received) == 0);
	close_ends(&host, &board);
}

static void a_repeated_record_is_taken_once(void)
{
	struct end host, board;
	struct flex_record data = { .kind = FLEX_RECORD_DATA_KIND, .session = 7, .length = 1, .data = "a" };

	open_ends(&host, &board);
	for (int i = 0; i < 3; i++)
		flex_link_take(&board.link, &data, 0);
	CHECK(flex_buffer_used(&board.link.received) == 1);
	close_ends(&host, &board);
}

static void a_full_receiver_makes_the_sender_wait(void)
{
	struct end host, board;
	struct flex_record data = { .kind = FLEX_RECORD_DATA_KIND, .session = 7, .length = FLEX_RECORD_DATA };

	open_ends(&host, &board);
	while (flex_buffer_room(&board.link.received) >= FLEX_RECORD_DATA) {
		flex_link_take(&board.link, &data, 0);
		data.sequence++;
		flex_buffer_clear(&board.wire);
	}
	flex_link_take(&board.link, &data, 0);
	CHECK(board.link.expected == data.sequence);
	flex_buffer_consume(&board.link.received, FLEX_RECORD_DATA);
	flex_link_take(&board.link, &data, 0);
	CHECK(board.link.expected == data.sequence + 1);
	close_ends(&host, &board);
}

static void a_forgotten_session_is_told_so(void)
{
	struct flex_buffer wire;
	struct flex_link link;
	struct flex_record data = { .kind = FLEX_RECORD_DATA_KIND, .session = 9, .length = 1 }, answer;

	flex_buffer_init(&wire, LIMIT);
	flex_link_init(&link, &wire);
	CHECK(flex_link_take(&link, &data, 0) == FLEX_LINK_NOTHING);
	CHECK(flex_record_decode((const char *)flex_buffer_head(&wire), flex_buffer_used(&wire), &answer));
	CHECK(answer.kind == FLEX_RECORD_BYE && answer.session == 9);
	flex_link_free(&link);
	flex_buffer_free(&wire);
}

int main(void)
{
	uint64_t random = seed();

	all_arrives_in_order(&random, 0, 200000);
	all_arrives_in_order(&random, 5, 100000);
	all_arrives_in_order(&random, 30, 20000);
	a_silent_wire_closes_the_link();
	hello_is_idempotent_and_a_new_one_resets();
	a_repeated_record_is_taken_once();
	a_full_receiver_makes_the_sender_wait();
	a_forgotten_session_is_told_so();
	return 0;
}
