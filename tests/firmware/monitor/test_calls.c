/* SPDX-License-Identifier: BSD-3-Clause */
/* The dispatcher: who may call what, and the calls that only report. */
#include <string.h>

#include "fake.h"

#define NW FLEX_CALLER_NW
#define PAYLOAD FLEX_CALLER_PAYLOAD

static const struct {
	uint32_t fid;
	unsigned int callers;
} calls[] = {
	{ FLEX_MON_VERSION, NW | PAYLOAD }, { FLEX_MON_IDENTITY, NW | PAYLOAD }, { FLEX_MON_INFO, NW | PAYLOAD },
	{ FLEX_MON_DONATE, NW }, { FLEX_MON_RECALL, NW }, { FLEX_MON_REGION_SECURE, NW },
	{ FLEX_MON_REGION_RELEASE, NW }, { FLEX_MON_PROTECT, NW }, { FLEX_MON_STAT, NW | PAYLOAD },
	{ FLEX_MON_AUDIT, NW | PAYLOAD }, { FLEX_MON_RECORD, NW }, { FLEX_MON_MOVE, NW }, { FLEX_MON_CLAIM, PAYLOAD },
	{ FLEX_MON_DROP, PAYLOAD }, { FLEX_MON_REGION_USE, PAYLOAD }, { FLEX_MON_PANIC, PAYLOAD },
};
#define CALLS (sizeof(calls) / sizeof(calls[0]))

static void each_call_has_its_callers(void)
{
	unsigned int i, caller;
	struct out o;

	for (i = 0U; i < CALLS; i++) {
		for (caller = NW; caller <= PAYLOAD; caller++) {
			o = call_on(0U, caller, calls[i].fid, UINT64_MAX, UINT64_MAX, UINT64_MAX);
			EXPECT_EQ(o.rc == FLEX_E_DENIED, (calls[i].callers & caller) == 0U);
			EXPECT(o.rc != FLEX_E_UNKNOWN);
			o = call_on(CORES, caller, calls[i].fid, 0U, 0U, 1U);
			EXPECT_EQ(o.rc, FLEX_E_DENIED);
		}
	}
}

static void other_numbers_are_unknown(void)
{
	unsigned int fid, i;
	bool known;

	for (fid = FLEX_MON_BASE; fid < (FLEX_MON_BASE + 0x100U); fid++) {
		known = false;
		for (i = 0U; i < CALLS; i++) {
			known = known || (calls[i].fid == fid);
		}
		if (!known) {
			EXPECT_EQ(nw(fid, 0U, 0U, 1U).rc, FLEX_E_UNKNOWN);
			EXPECT_EQ(payload(fid, 0U, 0U, 1U).rc, FLEX_E_UNKNOWN);
		}
	}
	EXPECT_EQ(nw(FLEX_MON_EL2_FAULT, 0U, 0U, 0U).rc, FLEX_E_UNKNOWN); /* the glue's, never the core's */
}

static void registers_that_a_call_does_not_define_are_zero(void)
{
	struct out o = nw(FLEX_MON_VERSION, 1U, 2U, 3U);

	EXPECT_EQ(o.x1, (FLEX_ABI_MAJOR << 16) | FLEX_ABI_MINOR);
	EXPECT_EQ(o.x2, 0);
	EXPECT_EQ(o.x3, 0);
	o = nw(0xC7000177U, 1U, 2U, 3U);
	EXPECT_EQ(o.x1 | o.x2 | o.x3, 0);
}

static void info_says_what_the_board_is(void)
{
	struct out o = nw(FLEX_MON_INFO, 0U, 0U, 0U);

	EXPECT_EQ(o.x1, SHARED_BASE);
	EXPECT_EQ(o.x2, ((uint64_t)MAILBOXES << 32) | SLOTS);
	EXPECT_EQ(o.x3, (100U << 8) | FLEX_PROTECT_ON);
	EXPECT_EQ(nw(FLEX_MON_PROTECT, 2U, 0U, 0U).rc, FLEX_E_INVAL);
	EXPECT_EQ(nw(FLEX_MON_PROTECT, UINT64_C(1) << 32, 0U, 0U).rc, FLEX_E_INVAL);
	EXPECT_EQ(nw(FLEX_MON_PROTECT, 0U, 0U, 0U).rc, FLEX_OK);
	EXPECT_EQ(nw(FLEX_MON_INFO, 0U, 0U, 0U).x3, (100U << 8) | FLEX_PROTECT_OFF);
	EXPECT_EQ(nw(FLEX_MON_PROTECT, 1U, 0U, 0U).rc, FLEX_OK);
	donate(1U, 0U);
	EXPECT_EQ(nw(FLEX_MON_PROTECT, 0U, 0U, 0U).rc, FLEX_E_STATE);
}

static void identities(void)
{
	struct flex_identity id = { UINT64_C(0x0011223344556677), UINT64_C(0x8899aabbccddeeff), 0U };
	struct out o;

	fake.m.identity[FLEX_PART_PAYLOAD] = id;
	fake.m.identity[FLEX_PART_PAYLOAD].debug = 1U;
	o = nw(FLEX_MON_IDENTITY, FLEX_PART_PAYLOAD, 0U, 0U);
	EXPECT_EQ(o.rc, FLEX_OK);
	EXPECT_EQ(o.x1, id.high);
	EXPECT_EQ(o.x2, id.low);
	EXPECT_EQ(o.x3, 1);
	EXPECT_EQ(nw(FLEX_MON_IDENTITY, 2U, 0U, 0U).rc, FLEX_E_INVAL);
	EXPECT_EQ(nw(FLEX_MON_IDENTITY, UINT64_MAX, 0U, 0U).rc, FLEX_E_INVAL);
}

static void statistics(void)
{
	EXPECT_EQ(nw(FLEX_MON_STAT, FLEX_STAT_COUNT, 0U, 0U).rc, FLEX_E_INVAL);
	EXPECT_EQ(nw(FLEX_MON_STAT, UINT64_MAX, 0U, 0U).rc, FLEX_E_INVAL);
	donate(20U, 0U);
	EXPECT_EQ(nw(FLEX_MON_STAT, FLEX_STAT_DONATED, 0U, 0U).x1, 20);
	EXPECT_EQ(nw(FLEX_MON_STAT, FLEX_STAT_SECURE_PAGES, 0U, 0U).x1, 20);
	EXPECT_EQ(nw(FLEX_MON_RECALL, 0U, 0U, 5U).x2, 5);
	EXPECT_EQ(nw(FLEX_MON_STAT, FLEX_STAT_RECALLED, 0U, 0U).x1, 5);
	EXPECT_EQ(nw(FLEX_MON_STAT, FLEX_STAT_SECURE_PAGES, 0U, 0U).x1, 15);
	fake.dma_blocked = 3U;
	EXPECT_EQ(nw(FLEX_MON_STAT, FLEX_STAT_DMA_BLOCKED, 0U, 0U).x1, 3);
	fake.dma_blocked = 2U;
	EXPECT_EQ(nw(FLEX_MON_STAT, FLEX_STAT_DMA_BLOCKED, 0U, 0U).x1, 5);
	fake.m.longest = 0U;
	(void)nw(FLEX_MON_VERSION, 0U, 0U, 0U);
	EXPECT_EQ(nw(FLEX_MON_STAT, FLEX_STAT_EL3_MAX_TICKS, 0U, 0U).x1, 10); /* the fake clock's step */
	EXPECT_EQ(nw(FLEX_MON_STAT, FLEX_STAT_EL3_MAX_CALL, 0U, 0U).x1, FLEX_MON_VERSION & 0xffU);
}

static void an_audit_walks_all_slots(void)
{
	uint64_t slot = 0U, pinned = 0U, held = 0U;
	struct out o;

	donate(400U, 0U);
	EXPECT_EQ(claim(200U, 0U, 0U).rc, FLEX_OK);
	EXPECT_EQ(claim(200U, 200U, SLOTS - 200U).rc, FLEX_OK);
	EXPECT(pin(3U, 3U, 1U));
	EXPECT(pin(3U, 3U, 1U));
	EXPECT(pin(SLOTS - 1U, 399U, 1U));
	do {
		o = nw(FLEX_MON_AUDIT, slot, 0U, 0U);
		EXPECT_EQ(o.rc, FLEX_OK);
		EXPECT((o.x1 == 0U) || (o.x1 == (slot + FLEX_AUDIT_SLOTS)));
		slot = o.x1;
		pinned += o.x2;
		held += o.x3;
	} while (slot != 0U);
	EXPECT_EQ(held, 400);
	EXPECT_EQ(pinned, 2);
	EXPECT_EQ(nw(FLEX_MON_AUDIT, SLOTS, 0U, 0U).rc, FLEX_E_INVAL);
	EXPECT_EQ(nw(FLEX_MON_AUDIT, UINT64_MAX, 0U, 0U).rc, FLEX_E_INVAL);
}

static void a_panic_record_is_handed_out_in_pieces(void)
{
	struct flex_panic record = { .magic = FLEX_PANIC_MAGIC, .sequence = 3U, .esr = 4U }, got;
	uint64_t words[(sizeof(record) + 23U) / 24U * 3U], offset;
	struct out o;

	EXPECT_EQ(nw(FLEX_MON_RECORD, 0U, 0U, 0U).x1, 0); /* none yet */
	memset(record.message, 'm', sizeof(record.message));
	memcpy(fake.payload + 64, &record, sizeof(record));
	EXPECT_EQ(payload(FLEX_MON_PANIC, PAYLOAD_BASE + 64U, sizeof(record) - 8U, 0U).rc, FLEX_E_INVAL);
	EXPECT_EQ(payload(FLEX_MON_PANIC, PAYLOAD_BASE + 64U, UINT64_MAX, 0U).rc, FLEX_E_INVAL);
	EXPECT_EQ(payload(FLEX_MON_PANIC, PAYLOAD_BASE + 60U, sizeof(record), 0U).rc, FLEX_E_INVAL);
	EXPECT_EQ(payload(FLEX_MON_PANIC, PAYLOAD_BASE + PAYLOAD_SIZE - 8U, sizeof(record), 0U).rc, FLEX_E_INVAL);
	EXPECT_EQ(payload(FLEX_MON_PANIC, SHARED_BASE, sizeof(record), 0U).rc, FLEX_E_INVAL);
	EXPECT_EQ(fake.m.stat[FLEX_STAT_PANICS], 0);
	EXPECT_EQ(payload(FLEX_MON_PANIC, PAYLOAD_BASE + 64U, sizeof(record), 0U).rc, FLEX_OK);
	EXPECT_EQ(fake.m.stat[FLEX_STAT_PANICS], 1);
	for (offset = 0U; offset < sizeof(record); offset += 24U) {
		o = nw(FLEX_MON_RECORD, offset, 0U, 0U);
		EXPECT_EQ(o.rc, FLEX_OK);
		words[offset / 8U] = o.x1;
		words[(offset / 8U) + 1U] = o.x2;
		words[(offset / 8U) + 2U] = o.x3;
	}
	memcpy(&got, words, sizeof(got));
	EXPECT_EQ(memcmp(&got, &record, sizeof(got)), 0);
	EXPECT_EQ(nw(FLEX_MON_RECORD, 4U, 0U, 0U).rc, FLEX_E_INVAL);
	EXPECT_EQ(nw(FLEX_MON_RECORD, sizeof(record), 0U, 0U).rc, FLEX_E_INVAL);
	EXPECT_EQ(nw(FLEX_MON_RECORD, UINT64_MAX - 7U, 0U, 0U).rc, FLEX_E_INVAL);
	fake.m.panic_busy = 1U;
	EXPECT_EQ(nw(FLEX_MON_RECORD, 0U, 0U, 0U).rc, FLEX_E_BUSY);
	EXPECT_EQ(payload(FLEX_MON_PANIC, PAYLOAD_BASE + 64U, sizeof(record), 0U).rc, FLEX_E_BUSY);
	fake.m.panic_busy = 0U;
}

int main(void)
{
	RUN(each_call_has_its_callers);
	RUN(other_numbers_are_unknown);
	RUN(registers_that_a_call_does_not_define_are_zero);
	RUN(info_says_what_the_board_is);
	RUN(identities);
	RUN(statistics);
	RUN(an_audit_walks_all_slots);
	RUN(a_panic_record_is_handed_out_in_pieces);
	return 0;
}
