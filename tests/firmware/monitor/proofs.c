/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Proofs, by CBMC (test_proofs.py): one call of the monitor's core, whatever the machine's state was before it as long as
 * that made sense, whatever its slots, its mailbox and the arguments hold. Afterwards the state makes sense again, pages
 * have changed as page.h's table has it for this verb, as many as the call says, and no other; no access was out of
 * bounds. Since each call begins where any other may have ended, this is so for every sequence of calls of any length, on
 * one core at a time; cores at once are explore.c's, regions are its and the fuzzer's.
 *
 * One function for each proof (cbmc --function NAME), on a machine of three pages and two slots. A batch that is taken
 * has up to two entries, from the first or the second on; one that is refused is any.
 */
#include "flex_words.h"

#define PAGES 3U
#define SLOTS 2U
#define MAILBOXES 1U
#define CORES 1U
#define DRAM_BASE UINT64_C(0x40000000)
#define PAYLOAD_BASE UINT64_C(0x0e100000)
#define ENTRIES 2U

#define ASSUME(condition) __CPROVER_assume(condition)
#define PROVE(condition) __CPROVER_assert(condition, #condition)

uint64_t nondet_u64(void);
uint32_t nondet_u32(void);
bool nondet_bool(void);

/* The machine. `mapped`: the NW reaches the page; `stale`: a TLB or a cache may still; `secret`: secure bytes in it. */
static struct flex_monitor m;
static uint32_t pages[PAGES], block;
static uint64_t slots[SLOTS], lists[CORES][FLEX_MAILBOX_ENTRIES], payload[8];
static struct flex_mailbox boxes[MAILBOXES];
static bool mapped[PAGES], stale[PAGES], secret[PAGES], protection;

static uint32_t state(uint32_t i)
{
	return pages[i] >> FLEX_PAGE_STATE_SHIFT;
}

static bool is_secure(uint32_t i)
{
	return (state(i) == FLEX_PAGE_DONATED) || (state(i) == FLEX_PAGE_CLAIMED);
}

static uint32_t index_of(uint64_t page)
{
	PROVE(flex_address_ok(&m, page));
	return flex_page_index(&m, page);
}

static void op_unmap(uint64_t address, uint64_t size)
{
	uint32_t i = index_of(address);

	PROVE((size == FLEX_PAGE_SIZE) && (state(i) == FLEX_PAGE_BUSY));
	mapped[i] = false;
	stale[i] = true;
}

static void op_map(uint64_t address, uint64_t size)
{
	uint32_t i = index_of(address);

	PROVE((size == FLEX_PAGE_SIZE) && (state(i) == FLEX_PAGE_BUSY) && !secret[i]);
	mapped[i] = true;
}

static int op_invalidate(void)
{
	return nondet_bool() ? FLEX_OK : FLEX_E_TIMEOUT;
}

static void op_settle(const uint64_t *page, uint32_t count)
{
	uint32_t i;

	for (i = 0U; i < count; i++) {
		if (page[i] != 0U) {
			stale[index_of(page[i])] = false;
		}
	}
}

static void op_publish(void)
{
}

static void op_scrub(uint64_t page)
{
	uint32_t i = index_of(page);

	PROVE((state(i) == FLEX_PAGE_BUSY) && !mapped[i]);
	secret[i] = false;
}

static void op_copy(uint64_t to, uint64_t from)
{
	PROVE((state(index_of(to)) == FLEX_PAGE_BUSY) && (state(index_of(from)) == FLEX_PAGE_BUSY));
	PROVE(!mapped[index_of(to)] && !stale[index_of(to)]);
	secret[index_of(to)] = true;
}

static bool op_any(void)
{
	return nondet_bool();
}

static uint64_t op_any64(void)
{
	return nondet_u64();
}

static int op_protect(bool on)
{
	if (!on && (m.stat[FLEX_STAT_SECURE_PAGES] != 0U)) {
		return FLEX_E_STATE;
	}
	protection = on;
	return FLEX_OK;
}

static bool op_protected(void)
{
	return protection;
}

static const struct flex_ops ops = {
	.unmap = op_unmap, .map = op_map, .invalidate = op_invalidate, .settle = op_settle, .publish = op_publish,
	.scrub = op_scrub, .copy = op_copy, .interrupt_pending = op_any, .ticks = op_any64, .dma_blocked = op_any64,
	.donate_pages = ENTRIES, .protect = op_protect, .protected = op_protected,
};

/* What a page's entry says of it, and what is true. */
static bool page_makes_sense(uint32_t i)
{
	uint32_t slot = pages[i] & FLEX_PAGE_SLOT_MASK;

	switch (state(i)) {
	case FLEX_PAGE_NORMAL:
		return (slot == 0U) && mapped[i] && !secret[i];
	case FLEX_PAGE_DONATED:
		return (slot == FLEX_SLOT_NONE) && !mapped[i] && !stale[i];
	case FLEX_PAGE_CLAIMED:
		return (slot < SLOTS) && !mapped[i] && !stale[i];
	case FLEX_PAGE_HIDDEN:
		return (slot == 0U) && !mapped[i];
	default:
		return false; /* BUSY: no call is under way */
	}
}

/* Any state in which no call is under way; slots are the payload's to spoil, so of them nothing is believed. */
static bool makes_sense(void)
{
	uint32_t i, secure = 0U;

	for (i = 0U; i < PAGES; i++) {
		if (!page_makes_sense(i)) {
			return false;
		}
		secure += is_secure(i) ? 1U : 0U;
	}
	return (m.stat[FLEX_STAT_SECURE_PAGES] == secure) && ((secure == 0U) || protection) &&
	       (((block >> FLEX_BLOCK_STATE_SHIFT) != FLEX_BLOCK_OPEN) ? ((secure == 0U) && ((block << 4) == 0U)) :
								  (block == secure));
}

static void begin(void)
{
	uint32_t i;

	m.layout = (struct flex_layout){
		.dram_base = DRAM_BASE, .dram_size = PAGES * FLEX_PAGE_SIZE, .payload_base = PAYLOAD_BASE,
		.payload_size = sizeof(payload), .slots = SLOTS, .mailboxes = MAILBOXES, .scrub_chunk = 1U, .cores = CORES,
	};
	m.ops = &ops;
	m.pages = pages;
	m.blocks = &block;
	m.slots = slots;
	m.mailboxes = boxes;
	m.payload = (const uint8_t *)payload;
	m.lists = lists;
	m.stat[FLEX_STAT_SECURE_PAGES] = nondet_u64();
	block = nondet_u32();
	protection = nondet_bool();
	for (i = 0U; i < PAGES; i++) {
		pages[i] = nondet_u32();
		mapped[i] = nondet_bool();
		stale[i] = nondet_bool();
		secret[i] = nondet_bool();
	}
	for (i = 0U; i < SLOTS; i++) {
		slots[i] = nondet_u64();
	}
	for (i = 0U; i <= ENTRIES; i++) {
		boxes[0].page[i] = nondet_u64();
		boxes[0].page[FLEX_MOVE_ENTRIES + i] = nondet_u64();
		payload[i] = nondet_u64();
	}
	ASSUME(makes_sense());
}

static uint32_t old[PAGES];
static uint64_t old_slots[SLOTS];

static uint32_t old_state(uint32_t i)
{
	return old[i] >> FLEX_PAGE_STATE_SHIFT;
}

/* Any call of this number; what it says of itself is in `call`. */
static void one_call(struct flex_call *call, uint32_t fid, enum flex_caller caller)
{
	uint32_t i;

	begin();
	for (i = 0U; i < PAGES; i++) {
		old[i] = pages[i];
	}
	for (i = 0U; i < SLOTS; i++) {
		old_slots[i] = slots[i];
	}
	*call = (struct flex_call){ .fid = fid, .caller = caller };
	for (i = 0U; i < 4U; i++) {
		call->arg[i] = nondet_u64();
	}
	ASSUME((call->arg[2] > FLEX_MAILBOX_ENTRIES) || (call->arg[1] >= call->arg[2]) ||
	       ((call->arg[1] < 2U) && ((call->arg[2] - call->arg[1]) <= ENTRIES)));
	(void)flex_dispatch(&m, call);
	PROVE(makes_sense());
}

/* How many pages went from one state to the other. */
static uint64_t changed(uint32_t from, uint32_t to)
{
	uint64_t count = 0U;
	uint32_t i;

	for (i = 0U; i < PAGES; i++) {
		count += ((old_state(i) == from) && (state(i) == to)) ? 1U : 0U;
	}
	return count;
}

static uint64_t unchanged(void)
{
	uint64_t count = 0U;
	uint32_t i;

	for (i = 0U; i < PAGES; i++) {
		count += (old[i] == pages[i]) ? 1U : 0U;
	}
	return count;
}

void proof_donate(void)
{
	struct flex_call call;
	uint64_t donated;

	one_call(&call, FLEX_MON_DONATE, FLEX_CALLER_NW);
	donated = changed(FLEX_PAGE_NORMAL, FLEX_PAGE_DONATED);
	PROVE((donated + unchanged()) == PAGES);
	PROVE((donated == 0U) || (donated == (call.ret[1] - call.arg[1])));
	PROVE(((int64_t)call.ret[0] != FLEX_E_INVAL) || (donated == 0U));
	PROVE(((int64_t)call.ret[0] != FLEX_OK) || (call.ret[1] == call.arg[2]));
}

void proof_recall(void)
{
	struct flex_call call;
	uint64_t recalled;
	uint32_t i, slot;

	one_call(&call, FLEX_MON_RECALL, FLEX_CALLER_NW);
	recalled = changed(FLEX_PAGE_DONATED, FLEX_PAGE_NORMAL) + changed(FLEX_PAGE_CLAIMED, FLEX_PAGE_NORMAL);
	PROVE((recalled + unchanged()) == PAGES);
	PROVE(recalled == call.ret[2]);
	for (i = 0U; i < PAGES; i++) {
		slot = old[i] & FLEX_PAGE_SLOT_MASK;
		if ((old_state(i) == FLEX_PAGE_CLAIMED) && (flex_slot_state(old_slots[slot]) == FLEX_SLOT_HELD) &&
		    (flex_slot_page(old_slots[slot]) == i) && (flex_slot_pins(old_slots[slot]) != 0U)) {
			PROVE((pages[i] == old[i]) && (slots[slot] == old_slots[slot]));
		}
	}
}

void proof_move(void)
{
	struct flex_call call;
	uint64_t moved;
	uint32_t i;

	one_call(&call, FLEX_MON_MOVE, FLEX_CALLER_NW);
	moved = changed(FLEX_PAGE_CLAIMED, FLEX_PAGE_NORMAL);
	PROVE(moved <= call.ret[2]); /* a chain: what came is moved on */
	PROVE(moved == changed(FLEX_PAGE_NORMAL, FLEX_PAGE_CLAIMED));
	for (i = 0U; i < PAGES; i++) {
		PROVE((old_state(i) == state(i)) || ((old_state(i) != FLEX_PAGE_DONATED) && (state(i) != FLEX_PAGE_DONATED)));
	}
}

void proof_claim(void)
{
	struct flex_call call;
	uint64_t claimed;

	one_call(&call, FLEX_MON_CLAIM, FLEX_CALLER_PAYLOAD);
	claimed = changed(FLEX_PAGE_DONATED, FLEX_PAGE_CLAIMED);
	PROVE((claimed + unchanged()) == PAGES);
	PROVE(claimed == call.ret[1]);
}

void proof_drop(void)
{
	struct flex_call call;

	one_call(&call, FLEX_MON_DROP, FLEX_CALLER_PAYLOAD);
	PROVE((changed(FLEX_PAGE_CLAIMED, FLEX_PAGE_DONATED) + unchanged()) == PAGES);
}

/* The other world's calls are refused, and calls that only report change nothing. */
void proof_others(void)
{
	struct flex_call call;
	static const struct {
		uint32_t fid;
		enum flex_caller caller;
	} others[] = {
		{ FLEX_MON_DONATE, FLEX_CALLER_PAYLOAD }, { FLEX_MON_RECALL, FLEX_CALLER_PAYLOAD },
		{ FLEX_MON_MOVE, FLEX_CALLER_PAYLOAD },	  { FLEX_MON_REGION_SECURE, FLEX_CALLER_PAYLOAD },
		{ FLEX_MON_CLAIM, FLEX_CALLER_NW },	  { FLEX_MON_DROP, FLEX_CALLER_NW },
		{ FLEX_MON_REGION_USE, FLEX_CALLER_NW },  { FLEX_MON_PROTECT, FLEX_CALLER_PAYLOAD },
		{ FLEX_MON_AUDIT, FLEX_CALLER_NW },	  { FLEX_MON_STAT, FLEX_CALLER_NW },
		{ FLEX_MON_PROTECT, FLEX_CALLER_NW },
	};
	uint32_t i;

	for (i = 0U; i < (sizeof(others) / sizeof(others[0])); i++) {
		one_call(&call, others[i].fid, others[i].caller);
		PROVE(unchanged() == PAGES);
	}
}
