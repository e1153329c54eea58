/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the normal world may see: written here, never read back. Stores are single, of aligned words.
 */
#include "rt_arch.h"
#include "serving.h"

#define SHOW(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELAXED)

static uint64_t heartbeat;

static struct flex_status *status(void)
{
	return (struct flex_status *)((uint8_t *)rt_comm() + FLEX_COMM_STATUS);
}

struct flex_session_comm *srv_comm_session(uint64_t number)
{
	return (struct flex_session_comm *)((uint8_t *)rt_comm() + FLEX_COMM_SESSION +
					    number * FLEX_COMM_SESSION_SIZE);
}

struct flex_order *srv_comm_order(uint64_t model)
{
	return (struct flex_order *)((uint8_t *)rt_comm() + FLEX_COMM_ORDER + model * FLEX_COMM_ORDER_SIZE);
}

uint64_t srv_heartbeat(void)
{
	return __atomic_load_n(&heartbeat, __ATOMIC_RELAXED);
}

void srv_comm_status(uint64_t sessions)
{
	SHOW(status()->panics, rt_panics());
	SHOW(status()->pinned_pages, srv_pinned_pages());
	SHOW(status()->sessions, sessions);
}

void srv_comm_init(void)
{
	_Static_assert(sizeof(struct flex_session_comm) <= FLEX_COMM_SESSION_SIZE, "payload.h");
	_Static_assert(sizeof(struct flex_order) <= FLEX_COMM_ORDER_SIZE, "payload.h");
	_Static_assert(FLEX_COMM_SIZE <= FLEX_BOARD_COMM_SIZE, "the communication area is too small");
	memcpy(status()->identity, rt_identity, sizeof(rt_identity));
	SHOW(status()->debug, RT_DEBUG);
	SHOW(status()->heartbeat, 0);
	srv_comm_status(0);
}

void srv_comm_reason(uint64_t session, const char *reason)
{
	unsigned char *to = srv_comm_session(session)->reason;
	size_t n = strlen(reason);

	if (n > FLEX_REASON_BYTES - 1)
		n = FLEX_REASON_BYTES - 1;
	memcpy(to, reason, n);
	memset(to + n, 0, FLEX_REASON_BYTES - n);
}

void srv_beat(struct flex_session_comm *comm, uint64_t beats, uint64_t layer, uint64_t position)
{
	SHOW(status()->heartbeat, __atomic_add_fetch(&heartbeat, 1, __ATOMIC_RELAXED));
	SHOW(comm->heartbeat, beats);
	SHOW(comm->layer, layer);
	SHOW(comm->position, position);
	SHOW(status()->pinned_pages, srv_pinned_pages());
}

uint64_t srv_opening_begin(const struct srv_spent *spent)
{
	uint64_t now = rt_ticks();

	if (spent->comm)
		SHOW(spent->comm->decrypt_since, now);
	return now;
}

void srv_opening_end(struct srv_spent *spent, uint64_t begun)
{
	spent->opened += rt_ticks() - begun;
	if (!spent->comm)
		return;
	SHOW(spent->comm->decrypt_since, 0);
	SHOW(spent->comm->decrypt_ticks, spent->opened);
}
