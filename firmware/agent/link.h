/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The link: a reliable, ordered stream of bytes in both directions, made of records (record.h). This is the board's
 * half; the host's is toolkit/flexkit/link/link.py. No clock, no descriptor: both are the caller's, so that a test can
 * lose, split and repeat what it likes.
 *
 *   state    event                      what happens
 *   -------  -------------------------  -------------------------------------------------------
 *   any      hello, a new session       everything reset, welcome sent, OPEN
 *   OPEN     hello, the same session    welcome sent again (idempotent)
 *   OPEN     data, expected number      taken, acknowledged
 *   OPEN     data, any other number     dropped, the expected number acknowledged again
 *   OPEN     ack beyond the oldest      window moves on
 *   OPEN     ack of the oldest, again   the whole window is sent once more
 *   OPEN     nothing for the timeout    the same, timeout doubled
 *   OPEN     no progress for 20 s, bye  CLOSED
 *   CLOSED   data                       bye sent: the host learns at once that its session is gone
 *   CLOSED   anything but hello, data   ignored
 *
 * Records of another session are ignored in every state.
 */
#ifndef FLEXAGENT_LINK_H
#define FLEXAGENT_LINK_H

#include "buffer.h"
#include "record.h"

#define FLEX_LINK_WINDOW 8          /* records on their way: 8 lines fit into a terminal's 4096 bytes */
#define FLEX_LINK_RESEND_MS 300     /* first timeout */
#define FLEX_LINK_RESEND_MAX_MS 2400
#define FLEX_LINK_LOST_MS 20000     /* without any progress */
#define FLEX_LINK_QUEUE (1u << 20)  /* bytes that wait to be sent */
#define FLEX_LINK_RECEIVED (1u << 17)

enum flex_link_event {
	FLEX_LINK_NOTHING,
	FLEX_LINK_OPENED, /* a new session: whatever belonged to the last one is void */
	FLEX_LINK_CLOSED,
};

struct flex_link {
	bool open;
	uint16_t session;
	uint32_t base;                  /* oldest record that is not acknowledged */
	uint32_t next;                  /* number of the next new record */
	uint32_t expected;              /* number of the next record to take */
	struct flex_record window[FLEX_LINK_WINDOW]; /* record n at n % FLEX_LINK_WINDOW */
	bool repeated;                  /* the window was sent again for this base */
	uint64_t progress_ms;           /* when base last moved, or the window was last empty */
	uint64_t resend_ms;             /* when to send the window again */
	uint32_t timeout_ms;
	struct flex_buffer queue;       /* bytes to send */
	struct flex_buffer received;    /* bytes that came, for the caller to consume */
	struct flex_buffer *wire;       /* lines to write, the caller's */
};

/* `wire` takes the lines that the caller has to write out. */
void flex_link_init(struct flex_link *link, struct flex_buffer *wire);
void flex_link_free(struct flex_link *link);

/* Takes a record that came over the wire. */
enum flex_link_event flex_link_take(struct flex_link *link, const struct flex_record *record, uint64_t now_ms);

/* Queues bytes; false when the link is closed or the queue is full. */
bool flex_link_send(struct flex_link *link, const void *bytes, size_t count);

/* Sends what the window has room for and repeats what was not acknowledged in time. To be called after every event. */
enum flex_link_event flex_link_run(struct flex_link *link, uint64_t now_ms);

/* Milliseconds until flex_link_run() has something to do again, -1 for never. */
int flex_link_patience(const struct flex_link *link, uint64_t now_ms);

#endif /* FLEXAGENT_LINK_H */
