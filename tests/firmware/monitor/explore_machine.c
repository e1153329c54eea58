/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "explore.h"

struct world now;
unsigned int running;

static struct flex_mailbox boxes[CORES_MAX];
static uint64_t payload_lists[CORES_MAX][FLEX_MAILBOX_ENTRIES];
static bool smmu_silent;

static uint64_t address(unsigned int page)
{
	return DRAM_BASE + ((uint64_t)page * FLEX_PAGE_SIZE);
}

static unsigned int number(uint64_t page)
{
	return (unsigned int)((page - DRAM_BASE) / FLEX_PAGE_SIZE);
}

static unsigned int state(unsigned int page)
{
	return now.pages[page] >> FLEX_PAGE_STATE_SHIFT;
}

static bool is_region(void)
{
	return (now.block >> FLEX_BLOCK_STATE_SHIFT) == FLEX_BLOCK_REGION;
}

/* The machine. */

static void op_unmap(uint64_t address, uint64_t size)
{
	explore_stop();
	if (size == FLEX_BLOCK_SIZE) {
		EXPECT(is_region() && now.block_mapped);
		now.block_mapped = false;
		now.block_forgotten = false;
		now.block_stale = true;
		return;
	}
	EXPECT_EQ(state(number(address)), FLEX_PAGE_BUSY);
	EXPECT(now.mapped[number(address)]);
	now.mapped[number(address)] = false;
	now.forgotten[number(address)] = false;
	now.stale[number(address)] = true;
}

static void op_map(uint64_t address, uint64_t size)
{
	explore_stop();
	if (size == FLEX_BLOCK_SIZE) {
		EXPECT(is_region() && !now.block_secret);
		now.block_mapped = true;
		return;
	}
	EXPECT_EQ(state(number(address)), FLEX_PAGE_BUSY);
	EXPECT(!now.secret[number(address)] && (now.pins[number(address)] == 0U));
	now.mapped[number(address)] = true;
}

static int op_invalidate(void)
{
	unsigned int i;

	explore_stop();
	if (smmu_silent) {
		return FLEX_E_TIMEOUT;
	}
	now.block_forgotten = now.block_forgotten || !now.block_mapped;
	for (i = 0U; i < TRACKED; i++) {
		now.forgotten[i] = now.forgotten[i] || !now.mapped[i];
	}
	return FLEX_OK;
}

/* Only what is named is in memory, and only once it is forgotten. */
static void op_settle(const uint64_t *page, uint32_t count)
{
	uint32_t i;

	for (i = 0U; i < count; i++) {
		if ((page[i] != 0U) && is_region()) {
			EXPECT(now.block_forgotten);
			now.block_stale = number(page[i]) != (FLEX_BLOCK_PAGES - 1U);
		} else if (page[i] != 0U) {
			explore_stop();
			EXPECT(now.forgotten[number(page[i])]);
			now.stale[number(page[i])] = false;
		}
	}
}

static void op_publish(void)
{
}

static void op_scrub(uint64_t page)
{
	if (is_region()) {
		now.block_secret = number(page) != (FLEX_BLOCK_PAGES - 1U);
		return;
	}
	explore_stop();
	EXPECT_EQ(state(number(page)), FLEX_PAGE_BUSY);
	EXPECT(!now.mapped[number(page)] && (now.pins[number(page)] == 0U));
	now.secret[number(page)] = false;
}

static void op_copy(uint64_t to, uint64_t from)
{
	explore_stop();
	EXPECT_EQ(state(number(to)), FLEX_PAGE_BUSY);
	EXPECT_EQ(state(number(from)), FLEX_PAGE_BUSY);
	EXPECT(!now.mapped[number(to)] && !now.stale[number(to)] && (now.pins[number(from)] == 0U));
	now.secret[number(to)] = true;
}

static bool op_never(void)
{
	return false;
}

static uint64_t op_zero(void)
{
	return 0U;
}

/* Off, without the other cores: so a backend does whose table stays on (gpt). Bus masters reach everything then. */
static int op_protect(bool on)
{
	bool secure;

	EXPECT(!on);
	if (now.switching || !now.on) {
		return FLEX_E_BUSY; /* where a lock is, who waits for it is not of interest */
	}
	now.switching = true;
	now.said_on = false;
	explore_stop();
	secure = now.m.stat[FLEX_STAT_SECURE_PAGES] != 0U;
	explore_stop();
	now.on = secure;
	now.said_on = secure;
	now.switching = false;
	return secure ? FLEX_E_STATE : FLEX_OK;
}

static bool op_protected(void)
{
	explore_stop();
	return now.said_on;
}

static const struct flex_ops ops = {
	.unmap = op_unmap, .map = op_map, .invalidate = op_invalidate, .settle = op_settle, .publish = op_publish,
	.scrub = op_scrub,
	.copy = op_copy, .interrupt_pending = op_never, .ticks = op_zero, .dma_blocked = op_zero,
	.donate_pages = FLEX_MAILBOX_ENTRIES, .protect = op_protect,
	.protected = op_protected,
};

/* What a core does. */

static int64_t call(enum flex_caller caller, uint32_t fid, uint64_t a, uint64_t b, uint64_t c)
{
	struct flex_call made = { .fid = fid, .caller = caller, .core = running, .arg = { a, b, c } };

	return flex_dispatch(&now.m, &made);
}

static void nw_batch(const struct program *p)
{
	boxes[running].page[0] = address(p->page[0]);
	boxes[running].page[1] = address(p->page[1]);
	(void)call(FLEX_CALLER_NW, p->fid, running, 0U, p->count);
}

static void nw_move(const struct program *p)
{
	boxes[running].page[0] = address(p->page[0]);
	boxes[running].page[FLEX_MOVE_ENTRIES] = address(p->page[1]);
	(void)call(FLEX_CALLER_NW, FLEX_MON_MOVE, running, 0U, 1U);
}

static int64_t region_call(uint32_t fid)
{
	struct flex_call made = { .fid = fid, .caller = FLEX_CALLER_NW, .core = running,
				  .arg = { DRAM_BASE, FLEX_BLOCK_SIZE } };

	while (flex_dispatch(&now.m, &made) == FLEX_E_INTERRUPTED) {
		made.arg[2] = made.ret[1];
	}
	return (int64_t)made.ret[0];
}

static void nw_region(const struct program *p)
{
	(void)p;
	if (region_call(FLEX_MON_REGION_SECURE) == FLEX_OK) {
		now.block_secret = true;
		EXPECT_EQ(region_call(FLEX_MON_REGION_RELEASE), FLEX_OK);
	}
}

static void nw_protect_off(const struct program *p)
{
	(void)p;
	(void)call(FLEX_CALLER_NW, FLEX_MON_PROTECT, FLEX_PROTECT_OFF, 0U, 0U);
}

static void payload_claim(const struct program *p)
{
	payload_lists[running][0] = address(p->page[0]);
	(void)call(FLEX_CALLER_PAYLOAD, FLEX_MON_CLAIM, PAYLOAD_BASE + (running * sizeof(payload_lists[0])), 1U, p->slot);
}

static void payload_drop(const struct program *p)
{
	(void)call(FLEX_CALLER_PAYLOAD, FLEX_MON_DROP, p->slot, p->count, 0U);
}

/* Pins whatever the slot has, works on it, and lets go. */
static void payload_work(const struct program *p)
{
	uint64_t *word = &now.slots[p->slot], old = __atomic_load_n(word, __ATOMIC_SEQ_CST);
	unsigned int page = flex_slot_page(old);

	do {
		if (flex_slot_state(old) != FLEX_SLOT_HELD) {
			return;
		}
		page = flex_slot_page(old);
	} while (!__atomic_compare_exchange_n(word, &old, old + (UINT64_C(1) << FLEX_SLOT_PINS_SHIFT), false,
					      __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
	now.pins[page]++;
	explore_stop();
	EXPECT(now.secret[page] && !now.mapped[page] && !now.stale[page]);
	now.pins[page]--;
	(void)__atomic_sub_fetch(word, UINT64_C(1) << FLEX_SLOT_PINS_SHIFT, __ATOMIC_SEQ_CST);
}

const struct program programs[] = {
	{ "donate 0", nw_batch, FLEX_MON_DONATE, 1U, { 0U, 0U }, 0U },
	{ "donate 0 1", nw_batch, FLEX_MON_DONATE, 2U, { 0U, 1U }, 0U },
	{ "donate 1 1", nw_batch, FLEX_MON_DONATE, 2U, { 1U, 1U }, 0U },
	{ "recall 0", nw_batch, FLEX_MON_RECALL, 1U, { 0U, 0U }, 0U },
	{ "recall 1 0", nw_batch, FLEX_MON_RECALL, 2U, { 1U, 0U }, 0U },
	{ "move 0 to 1", nw_move, 0U, 1U, { 0U, 1U }, 0U },
	{ "move 1 to 0", nw_move, 0U, 1U, { 1U, 0U }, 0U },
	{ "move 0 to 2", nw_move, 0U, 1U, { 0U, 2U }, 0U },
	{ "region", nw_region, 0U, 0U, { 0U, 0U }, 0U },
	{ "protection off", nw_protect_off, 0U, 0U, { 0U, 0U }, 0U },
	{ "claim 0 for 0", payload_claim, 0U, 1U, { 0U, 0U }, 0U },
	{ "claim 0 for 1", payload_claim, 0U, 1U, { 0U, 0U }, 1U },
	{ "claim 1 for 0", payload_claim, 0U, 1U, { 1U, 0U }, 0U },
	{ "drop 0 1", payload_drop, 0U, 2U, { 0U, 0U }, 0U },
	{ "work on 0", payload_work, 0U, 0U, { 0U, 0U }, 0U },
};
const unsigned int program_count = sizeof(programs) / sizeof(programs[0]);

/* From where cores set out: the pages that are DONATED first, then claimed for the slot of the same number. */
static const struct {
	const char *name;
	uint32_t donated, claimed;
	bool silent;
} situations[] = {
	{ "all NORMAL", 0U, 0U, false },	   { "0 DONATED", 1U, 0U, false },
	{ "0 and 1 DONATED", 2U, 0U, false },	   { "0 CLAIMED", 1U, 1U, false },
	{ "0 CLAIMED, 1 DONATED", 2U, 1U, false }, { "0 and 1 CLAIMED", 2U, 2U, false },
	{ "all NORMAL, SMMU silent", 0U, 0U, true }, { "0 CLAIMED, SMMU silent", 1U, 1U, true },
};
const unsigned int situation_count = sizeof(situations) / sizeof(situations[0]);

const char *situation_name(unsigned int s)
{
	return situations[s].name;
}

void set_out(unsigned int s)
{
	uint32_t i;

	running = 0U;
	memset(&now, 0, sizeof(now));
	now.m.layout = (struct flex_layout){
		.dram_base = DRAM_BASE, .dram_size = FLEX_BLOCK_SIZE, .payload_base = PAYLOAD_BASE,
		.payload_size = sizeof(payload_lists), .slots = 2U, .mailboxes = CORES_MAX,
		.scrub_chunk = FLEX_MAILBOX_ENTRIES, .cores = CORES_MAX,
	};
	now.m.ops = &ops;
	now.m.pages = now.pages;
	now.m.blocks = &now.block;
	now.m.slots = now.slots;
	now.m.mailboxes = boxes;
	now.m.payload = (const uint8_t *)payload_lists;
	now.m.lists = now.list;
	flex_core_init(&now.m);
	memset(now.mapped, 1, sizeof(now.mapped));
	now.block_mapped = true;
	now.on = true;
	now.said_on = true;
	smmu_silent = false;
	for (i = 0U; i < situations[s].donated; i++) {
		nw_batch(&(struct program){ .fid = FLEX_MON_DONATE, .count = 1U, .page = { i } });
		now.secret[i] = true;
	}
	for (i = 0U; i < situations[s].claimed; i++) {
		payload_claim(&(struct program){ .page = { i }, .slot = i });
		EXPECT_EQ(state(i), FLEX_PAGE_CLAIMED);
	}
	smmu_silent = situations[s].silent;
}

/* What must hold. */

/* page.h: which states a page's entry may take, from each. */
static const unsigned int page_next[] = {
	[FLEX_PAGE_NORMAL] = 1U << FLEX_PAGE_BUSY,
	[FLEX_PAGE_BUSY] = (1U << FLEX_PAGE_NORMAL) | (1U << FLEX_PAGE_DONATED) | (1U << FLEX_PAGE_CLAIMED),
	[FLEX_PAGE_DONATED] = 1U << FLEX_PAGE_BUSY,
	[FLEX_PAGE_CLAIMED] = 1U << FLEX_PAGE_BUSY,
};

static void check_slot(uint64_t was, uint64_t is)
{
	unsigned int from = flex_slot_state(was), to = flex_slot_state(is);
	bool next = flex_slot_generation(is) == (flex_slot_generation(was) + 1U);
	bool same = flex_slot_generation(is) == flex_slot_generation(was);
	bool same_page = flex_slot_page(is) == flex_slot_page(was);

	EXPECT(((from == FLEX_SLOT_EMPTY) && (to == FLEX_SLOT_HELD) && next && (flex_slot_pins(is) == 0U)) ||
	       ((from == FLEX_SLOT_HELD) && (to == FLEX_SLOT_HELD) && same && same_page) || /* pins */
	       ((from == FLEX_SLOT_HELD) && (to == FLEX_SLOT_BUSY) && same && same_page && (flex_slot_pins(was) == 0U)) ||
	       ((from == FLEX_SLOT_BUSY) && (to == FLEX_SLOT_EMPTY) && same) ||
	       ((from == FLEX_SLOT_BUSY) && (to == FLEX_SLOT_HELD) && (same_page ? same : next)));
}

void check_step(const uint32_t *pages, const uint64_t *slots)
{
	unsigned int i, secure;

	for (i = 0U; i < TRACKED; i++) {
		unsigned int from = pages[i] >> FLEX_PAGE_STATE_SHIFT;

		EXPECT((from == state(i)) || ((page_next[from] & (1U << state(i))) != 0U));
		secure = (state(i) == FLEX_PAGE_DONATED) || (state(i) == FLEX_PAGE_CLAIMED);
		if ((from == FLEX_PAGE_BUSY) && (state(i) == FLEX_PAGE_DONATED)) {
			now.secret[i] = true;
		}
		EXPECT(!secure || (!now.mapped[i] && !now.stale[i] && !is_region()));
		EXPECT((state(i) != FLEX_PAGE_NORMAL) || (now.mapped[i] && !now.secret[i]));
		EXPECT((!secure && !now.secret[i]) || now.on);
		EXPECT(!now.mapped[i] || !now.secret[i]);
	}
	for (i = 0U; i < 2U; i++) {
		if (slots[i] != now.slots[i]) {
			check_slot(slots[i], now.slots[i]);
		}
	}
	EXPECT(!now.block_secret || (now.on && !now.block_mapped && !now.block_stale));
	EXPECT((state(0U) != FLEX_PAGE_CLAIMED) || (state(1U) != FLEX_PAGE_CLAIMED) ||
	       ((now.pages[0] & FLEX_PAGE_SLOT_MASK) != (now.pages[1] & FLEX_PAGE_SLOT_MASK)));
}

/* All cores have come to their ends: nothing is half done. */
void check_end(void)
{
	unsigned int i, secure = 0U;

	for (i = 0U; i < TRACKED; i++) {
		EXPECT(state(i) != FLEX_PAGE_BUSY);
		secure += (state(i) != FLEX_PAGE_NORMAL) ? 1U : 0U;
		if (state(i) == FLEX_PAGE_CLAIMED) {
			uint64_t word = now.slots[now.pages[i] & FLEX_PAGE_SLOT_MASK];

			EXPECT((flex_slot_state(word) == FLEX_SLOT_HELD) && (flex_slot_page(word) == i));
			EXPECT_EQ(flex_slot_pins(word), 0);
		}
	}
	for (i = 0U; i < 2U; i++) {
		EXPECT(flex_slot_state(now.slots[i]) != FLEX_SLOT_BUSY);
		EXPECT((flex_slot_state(now.slots[i]) == FLEX_SLOT_EMPTY) ||
		       (state(flex_slot_page(now.slots[i])) == FLEX_PAGE_CLAIMED));
	}
	EXPECT_EQ(now.block, secure);
	EXPECT_EQ(now.m.stat[FLEX_STAT_SECURE_PAGES], secure);
}
