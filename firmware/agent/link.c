/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "link.h"

/* A wire that is this full takes no new record: what waits there is older than any timeout. */
#define WIRE_BUSY (2 * FLEX_LINK_WINDOW * FLEX_RECORD_LINE)

static void put_line(struct flex_link *link, const struct flex_record *record)
{
	char line[FLEX_RECORD_LINE];

	/* A line that finds no room is as lost as one that noise destroyed: it will be sent again. */
	flex_buffer_append(link->wire, line, flex_record_encode(record, line));
}

static void put_control(struct flex_link *link, char kind, uint32_t sequence)
{
	struct flex_record record = { .kind = kind, .session = link->session, .sequence = sequence };

	put_line(link, &record);
}

void flex_link_init(struct flex_link *link, struct flex_buffer *wire)
{
	memset(link, 0, sizeof(*link));
	flex_buffer_init(&link->queue, FLEX_LINK_QUEUE);
	flex_buffer_init(&link->received, FLEX_LINK_RECEIVED);
	link->wire = wire;
}

void flex_link_free(struct flex_link *link)
{
	flex_buffer_free(&link->queue);
	flex_buffer_free(&link->received);
}

static void begin_session(struct flex_link *link, uint16_t session, uint64_t now_ms)
{
	link->open = true;
	link->session = session;
	link->base = 0;
	link->next = 0;
	link->expected = 0;
	link->repeated = false;
	link->progress_ms = now_ms;
	link->timeout_ms = FLEX_LINK_RESEND_MS;
	flex_buffer_clear(&link->queue);
	flex_buffer_clear(&link->received);
}

static enum flex_link_event take_hello(struct flex_link *link, const struct flex_record *record, uint64_t now_ms)
{
	bool fresh = !link->open || record->session != link->session;

	if (fresh)
		begin_session(link, record->session, now_ms);
	put_control(link, FLEX_RECORD_WELCOME, 0);
	return fresh ? FLEX_LINK_OPENED : FLEX_LINK_NOTHING;
}

static void take_data(struct flex_link *link, const struct flex_record *record)
{
	if (record->sequence == link->expected && flex_buffer_append(&link->received, record->data, record->length))
		link->expected++;
	put_control(link, FLEX_RECORD_ACK, link->expected);
}

static void send_window(struct flex_link *link, uint64_t now_ms)
{
	for (uint32_t number = link->base; number != link->next; number++)
		put_line(link, &link->window[number % FLEX_LINK_WINDOW]);
	link->resend_ms = now_ms + link->timeout_ms;
}

static void take_ack(struct flex_link *link, uint32_t expected, uint64_t now_ms)
{
	uint32_t pending = link->next - link->base;
	uint32_t advance = expected - link->base;

	if (advance > pending)
		return; /* older than the window, or never sent */
	if (advance == 0) {
		if (pending && !link->repeated) {
			link->repeated = true; /* once: the others of this window repeat the same complaint */
			send_window(link, now_ms);
		}
		return;
	}
	link->base = expected;
	link->repeated = false;
	link->progress_ms = now_ms;
	link->timeout_ms = FLEX_LINK_RESEND_MS;
	link->resend_ms = now_ms + link->timeout_ms;
}

enum flex_link_event flex_link_take(struct flex_link *link, const struct flex_record *record, uint64_t now_ms)
{
	if (record->kind == FLEX_RECORD_HELLO)
		return take_hello(link, record, now_ms);
	if (!link->open && record->kind == FLEX_RECORD_DATA_KIND) {
		link->session = record->session; /* a session from before the agent was restarted */
		put_control(link, FLEX_RECORD_BYE, 0);
		return FLEX_LINK_NOTHING;
	}
	if (!link->open || record->session != link->session)
		return FLEX_LINK_NOTHING;
	if (record->kind == FLEX_RECORD_DATA_KIND)
		take_data(link, record);
	else if (record->kind == FLEX_RECORD_ACK)
		take_ack(link, record->sequence, now_ms);
	else if (record->kind == FLEX_RECORD_BYE) {
		link->open = false;
		return FLEX_LINK_CLOSED;
	}
	return FLEX_LINK_NOTHING;
}

bool flex_link_send(struct flex_link *link, const void *bytes, size_t count)
{
	return link->open && flex_buffer_append(&link->queue, bytes, count);
}

/* Turns queued bytes into new records while the window has room. */
static void fill_window(struct flex_link *link, uint64_t now_ms)
{
	while (flex_buffer_used(&link->queue) && link->next - link->base < FLEX_LINK_WINDOW &&
	       flex_buffer_used(link->wire) < WIRE_BUSY) {
		struct flex_record *record = &link->window[link->next % FLEX_LINK_WINDOW];
		size_t count = flex_buffer_used(&link->queue);

		if (count > FLEX_RECORD_DATA)
			count = FLEX_RECORD_DATA;
		record->kind = FLEX_RECORD_DATA_KIND;
		record->session = link->session;
		record->sequence = link->next;
		record->length = (uint16_t)count;
		memcpy(record->data, flex_buffer_head(&link->queue), count);
		flex_buffer_consume(&link->queue, count);
		if (link->next == link->base) {
			link->progress_ms = now_ms;
			link->resend_ms = now_ms + link->timeout_ms;
		}
		link->next++;
		put_line(link, record);
	}
}

enum flex_link_event flex_link_run(struct flex_link *link, uint64_t now_ms)
{
	if (!link->open)
		return FLEX_LINK_NOTHING;
	fill_window(link, now_ms);
	if (link->next == link->base)
		return FLEX_LINK_NOTHING;
	if (now_ms - link->progress_ms >= FLEX_LINK_LOST_MS) {
		link->open = false;
		return FLEX_LINK_CLOSED;
	}
	if (now_ms >= link->resend_ms) {
		if (link->timeout_ms < FLEX_LINK_RESEND_MAX_MS)
			link->timeout_ms *= 2;
		send_window(link, now_ms);
	}
	return FLEX_LINK_NOTHING;
}

int flex_link_patience(const struct flex_link *link, uint64_t now_ms)
{
	if (!link->open || link->next == link->base)
		return -1;
	return link->resend_ms > now_ms ? (int)(link->resend_ms - now_ms) : 0;
}
