/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "fake.h"

struct fake fake;
bool fake_caches;

static uint32_t page_words[PAGES];
static uint32_t block_words[BLOCKS];
static uint64_t slot_words[SLOTS];
static struct flex_mailbox boxes[MAILBOXES];
static uint64_t lists[CORES][FLEX_MAILBOX_ENTRIES];
static __thread uint32_t calling; /* the call that this core is in */

static unsigned int number(uint64_t address)
{
	EXPECT(flex_address_ok(&fake.m, address));
	return flex_page_index(&fake.m, address);
}

static void unmap_page(uint64_t page)
{
	unsigned int i = number(page);

	EXPECT_EQ(state_of(i), FLEX_PAGE_BUSY);
	EXPECT(fake.mapped[i]);
	fake.mapped[i] = false;
	fake.clean[i] = false;
	fake.touched[i] = false;
	fake.settled[i] = false;
	__atomic_store_n(&fake.stale[i], true, __ATOMIC_RELAXED); /* another core's invalidation may look at it */
	if (fake.on_unmap != NULL) {
		fake.on_unmap(page);
	}
}

static void map_page(uint64_t page)
{
	unsigned int i = number(page);

	EXPECT_EQ(state_of(i), FLEX_PAGE_BUSY);
	EXPECT(!fake.mapped[i]);
	/* back to the NW: scrubbed, or never secure at all (the SMMU was silent, or a move refused before its copy) */
	EXPECT(fake.clean[i] || fake.smmu_silent || ((calling == FLEX_MON_MOVE) && !fake.touched[i]));
	fake.mapped[i] = true;
}

static void op_scrub(uint64_t page)
{
	unsigned int i = number(page);

	EXPECT(!fake.mapped[i]);
	EXPECT((state_of(i) == FLEX_PAGE_BUSY) ||
	       ((block_words[i / FLEX_BLOCK_PAGES] >> FLEX_BLOCK_STATE_SHIFT) == FLEX_BLOCK_REGION));
	fake.content[i] = 0U;
	fake.clean[i] = true;
	(void)__atomic_add_fetch(&fake.scrubs, 1U, __ATOMIC_RELAXED);
	if (fake.on_scrub != NULL) {
		fake.on_scrub(page);
	}
}

/* Only the secure world's hands touch either page: both are BUSY, and no TLB remembers the new one. */
static void op_copy(uint64_t to, uint64_t from)
{
	unsigned int i = number(to), j = number(from);

	EXPECT_EQ(state_of(i), FLEX_PAGE_BUSY);
	EXPECT_EQ(state_of(j), FLEX_PAGE_BUSY);
	EXPECT(!fake.mapped[i] && !fake.mapped[j]);
	EXPECT(!__atomic_load_n(&fake.stale[i], __ATOMIC_RELAXED));
	EXPECT(fake.settled[i] || !fake_caches);
	fake.content[i] = fake.content[j];
	fake.touched[i] = true;
	fake.touched[j] = true;
	if (fake.on_copy != NULL) {
		fake.on_copy(to, from);
	}
}

static void unmap_block(uint64_t block)
{
	unsigned int first = number(block), i;

	EXPECT_EQ(first % FLEX_BLOCK_PAGES, 0);
	for (i = first; i < (first + FLEX_BLOCK_PAGES); i++) {
		EXPECT_EQ(state_of(i), FLEX_PAGE_NORMAL);
		EXPECT(fake.mapped[i]);
		fake.mapped[i] = false;
		fake.clean[i] = false;
		fake.settled[i] = false;
		__atomic_store_n(&fake.stale[i], true, __ATOMIC_RELAXED);
	}
}

static void map_block(uint64_t block)
{
	unsigned int first = number(block), i;

	for (i = first; i < (first + FLEX_BLOCK_PAGES); i++) {
		EXPECT(!fake.mapped[i]);
		EXPECT(fake.clean[i] || fake.smmu_silent);
		fake.mapped[i] = true;
	}
}

static void op_unmap(uint64_t address, uint64_t size)
{
	(size == FLEX_BLOCK_SIZE) ? unmap_block(address) : unmap_page(address);
}

static void op_map(uint64_t address, uint64_t size)
{
	(size == FLEX_BLOCK_SIZE) ? map_block(address) : map_page(address);
}

static int op_invalidate(void)
{
	unsigned int i;

	(void)__atomic_add_fetch(&fake.invalidations, 1U, __ATOMIC_RELAXED);
	if (fake.smmu_silent) {
		return FLEX_E_TIMEOUT;
	}
	for (i = 0U; i < PAGES; i++) {
		if (__atomic_load_n(&fake.stale[i], __ATOMIC_RELAXED)) {
			__atomic_store_n(&fake.stale[i], false, __ATOMIC_RELAXED);
		}
	}
	return FLEX_OK;
}

static void op_settle(const uint64_t *page, uint32_t count)
{
	unsigned int i;

	EXPECT(count != 0U);
	for (i = 0U; i < count; i++) {
		if (page[i] != 0U) {
			EXPECT(!fake.mapped[number(page[i])]);
			EXPECT(!__atomic_load_n(&fake.stale[number(page[i])], __ATOMIC_RELAXED));
			fake.settled[number(page[i])] = true;
		}
	}
}

static void op_publish(void)
{
	(void)__atomic_add_fetch(&fake.publishes, 1U, __ATOMIC_RELAXED);
}

static bool op_interrupt_pending(void)
{
	(void)__atomic_add_fetch(&fake.polls, 1U, __ATOMIC_RELAXED);
	if (fake.polls_until_interrupt < 0) {
		return false;
	}
	if (fake.polls_until_interrupt > 0) {
		fake.polls_until_interrupt--;
		return false;
	}
	return true;
}

static uint64_t op_ticks(void)
{
	static uint64_t now;

	return __atomic_add_fetch(&now, 10U, __ATOMIC_RELAXED);
}

static uint64_t op_dma_blocked(void)
{
	uint64_t blocked = fake.dma_blocked;

	fake.dma_blocked = 0U;
	return blocked;
}

static int op_protect(bool on)
{
	if (!on && (fake.m.stat[FLEX_STAT_SECURE_PAGES] != 0U)) {
		return FLEX_E_STATE;
	}
	fake.on = on;
	return FLEX_OK;
}

static bool op_protected(void)
{
	return fake.on;
}

static struct flex_ops ops = {
	.unmap = op_unmap, .map = op_map, .invalidate = op_invalidate, .publish = op_publish, .scrub = op_scrub,
	.copy = op_copy, .interrupt_pending = op_interrupt_pending, .ticks = op_ticks,
	.dma_blocked = op_dma_blocked, .donate_pages = FLEX_MAILBOX_ENTRIES, .protect = op_protect,
	.protected = op_protected,
};

void fake_reset(void)
{
	unsigned int i;

	memset(&fake, 0, sizeof(fake));
	memset(boxes, 0, sizeof(boxes));
	memset(slot_words, 0xff, sizeof(slot_words)); /* as memory is at power-on */
	fake.m.layout = (struct flex_layout){
		.dram_base = DRAM_BASE, .dram_size = DRAM_SIZE, .tables_base = TABLES_BASE, .tables_size = TABLES_SIZE,
		.shared_base = SHARED_BASE, .shared_size = SHARED_SIZE, .payload_base = PAYLOAD_BASE,
		.payload_size = PAYLOAD_SIZE, .slots = SLOTS, .pin_quota = 100U, .mailboxes = MAILBOXES,
		.scrub_chunk = CHUNK, .cores = CORES,
	};
	ops.settle = fake_caches ? op_settle : NULL;
	fake.m.ops = &ops;
	fake.m.pages = page_words;
	fake.m.blocks = block_words;
	fake.m.slots = slot_words;
	fake.m.mailboxes = boxes;
	fake.m.payload = fake.payload;
	fake.m.lists = lists;
	fake.polls_until_interrupt = -1;
	fake.on = true;
	flex_core_init(&fake.m);
	for (i = 0U; i < PAGES; i++) {
		fake.mapped[i] = state_of(i) != FLEX_PAGE_HIDDEN;
		fake.content[i] = UINT64_C(0x5ec0000000) + i;
	}
}

struct out call_on(unsigned int core, enum flex_caller caller, uint32_t fid, uint64_t a, uint64_t b, uint64_t c)
{
	struct flex_call call = { .fid = fid, .caller = caller, .core = core, .arg = { a, b, c, 0xdead } };

	memset(call.ret, 0xee, sizeof(call.ret));
	calling = fid;
	EXPECT_EQ(flex_dispatch(&fake.m, &call), (int64_t)call.ret[0]);
	return (struct out){ (int64_t)call.ret[0], call.ret[1], call.ret[2], call.ret[3] };
}

struct out nw(uint32_t fid, uint64_t a, uint64_t b, uint64_t c)
{
	return call_on(0U, FLEX_CALLER_NW, fid, a, b, c);
}

struct out payload(uint32_t fid, uint64_t a, uint64_t b, uint64_t c)
{
	return call_on(0U, FLEX_CALLER_PAYLOAD, fid, a, b, c);
}

unsigned int state_of(unsigned int page)
{
	return __atomic_load_n(&fake.m.pages[page], __ATOMIC_SEQ_CST) >> FLEX_PAGE_STATE_SHIFT;
}

unsigned int slot_of(unsigned int page)
{
	return __atomic_load_n(&fake.m.pages[page], __ATOMIC_SEQ_CST) & FLEX_PAGE_SLOT_MASK;
}

void mail(unsigned int box, unsigned int count, unsigned int first, unsigned int step)
{
	unsigned int i;

	for (i = 0U; i < count; i++) {
		boxes[box].page[i] = pa(first + (i * step));
		boxes[box].result[i] = 99;
	}
}

void donate(unsigned int count, unsigned int first)
{
	struct out o;

	mail(0U, count, first, 1U);
	o = nw(FLEX_MON_DONATE, 0U, 0U, count);
	EXPECT_EQ(o.rc, FLEX_OK);
	EXPECT_EQ(o.x1, count);
}

/* Pair `i` of a move. */
void mail_pair(unsigned int box, unsigned int i, uint64_t old, uint64_t new)
{
	boxes[box].page[i] = old;
	boxes[box].page[FLEX_MOVE_ENTRIES + i] = new;
	boxes[box].result[i] = 99;
}

void list(unsigned int count, unsigned int first)
{
	uint64_t *page = (uint64_t *)fake.payload;
	unsigned int i;

	for (i = 0U; i < count; i++) {
		page[i] = pa(first + i);
	}
}

struct out claim(unsigned int count, unsigned int first, unsigned int slot)
{
	list(count, first);
	return payload(FLEX_MON_CLAIM, PAYLOAD_BASE, count, slot);
}

static struct out region_call(uint32_t fid, uint64_t base, uint64_t size)
{
	struct out o = { FLEX_OK, 0U, 0U, 0U };

	do {
		o = nw(fid, base, size, o.x1);
	} while (o.rc == FLEX_E_INTERRUPTED);
	return o;
}

struct out secure(uint64_t base, uint64_t size)
{
	return region_call(FLEX_MON_REGION_SECURE, base, size);
}

struct out release(uint64_t base, uint64_t size)
{
	return region_call(FLEX_MON_REGION_RELEASE, base, size);
}

bool pin(unsigned int slot, unsigned int page, unsigned int generation)
{
	uint64_t old = __atomic_load_n(&slot_words[slot], __ATOMIC_SEQ_CST);

	do {
		if ((flex_slot_state(old) != FLEX_SLOT_HELD) || (flex_slot_page(old) != page) ||
		    (flex_slot_generation(old) != generation) || (flex_slot_pins(old) == FLEX_SLOT_PINS_MAX)) {
			return false;
		}
	} while (!__atomic_compare_exchange_n(&slot_words[slot], &old, old + (UINT64_C(1) << FLEX_SLOT_PINS_SHIFT), false,
					      __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
	return true;
}

void unpin(unsigned int slot)
{
	(void)__atomic_sub_fetch(&slot_words[slot], UINT64_C(1) << FLEX_SLOT_PINS_SHIFT, __ATOMIC_SEQ_CST);
}

static bool in_region(unsigned int page)
{
	return (block_words[page / FLEX_BLOCK_PAGES] >> FLEX_BLOCK_STATE_SHIFT) == FLEX_BLOCK_REGION;
}

/* A page of a region: how far that has come, in two rounds, says who can reach it. */
static void check_region(unsigned int i)
{
	const struct flex_region *r = fake.m.region;
	uint64_t first, second;

	while ((r->state == FLEX_REGION_FREE) || ((pa(i) - r->base) >= r->size)) {
		r++;
		EXPECT(r < &fake.m.region[FLEX_REGIONS]);
	}
	first = pa(i) - r->base;
	second = first + r->size;
	EXPECT_EQ(state_of(i), FLEX_PAGE_NORMAL);
	EXPECT_EQ(fake.mapped[i], ((r->state == FLEX_REGION_SECURING) && (first >= r->done)) ||
				  ((r->state == FLEX_REGION_RELEASING) && (second < r->done)));
	if ((r->state != FLEX_REGION_SECURING) || (r->done >= r->size)) {
		EXPECT(!fake.stale[i]);
	}
	if ((r->state != FLEX_REGION_SECURING) || (second < r->done)) {
		EXPECT(fake.settled[i] || !fake_caches);
	}
}

/* One page against the machine: who can reach it is what its entry says. */
static bool check_page(unsigned int i)
{
	unsigned int state = state_of(i), slot = slot_of(i);
	bool secure = (state == FLEX_PAGE_DONATED) || (state == FLEX_PAGE_CLAIMED);

	if (in_region(i)) {
		check_region(i);
		return true;
	}
	EXPECT(state <= FLEX_PAGE_HIDDEN);
	EXPECT(state != FLEX_PAGE_BUSY);
	EXPECT_EQ(fake.mapped[i], !secure && (state != FLEX_PAGE_HIDDEN));
	EXPECT(!secure || (!fake.stale[i] && (fake.settled[i] || !fake_caches)));
	EXPECT((state != FLEX_PAGE_NORMAL) || (slot == 0U));
	EXPECT((state != FLEX_PAGE_DONATED) || (slot == FLEX_SLOT_NONE));
	EXPECT((state == FLEX_PAGE_HIDDEN) == ((pa(i) >= TABLES_BASE) && (pa(i) < (TABLES_BASE + TABLES_SIZE))));
	if (state == FLEX_PAGE_CLAIMED) {
		EXPECT(slot < SLOTS);
		EXPECT_EQ(flex_slot_state(slot_words[slot]), FLEX_SLOT_HELD);
		EXPECT_EQ(flex_slot_page(slot_words[slot]), i);
	}
	return secure;
}

void fake_check(void)
{
	unsigned int i, secure = 0U, block = 0U;

	for (i = 0U; i < PAGES; i++) {
		block += check_page(i) ? 1U : 0U;
		if ((i % FLEX_BLOCK_PAGES) == (FLEX_BLOCK_PAGES - 1U)) {
			EXPECT_EQ(block_words[i / FLEX_BLOCK_PAGES] & 0xfffffffU, in_region(i) ? 0U : block);
			secure += block;
			block = 0U;
		}
	}
	EXPECT_EQ(fake.m.stat[FLEX_STAT_SECURE_PAGES], secure);
	for (i = 0U; i < SLOTS; i++) {
		EXPECT(flex_slot_state(slot_words[i]) <= FLEX_SLOT_HELD);
		if (flex_slot_state(slot_words[i]) == FLEX_SLOT_HELD) {
			EXPECT_EQ(state_of(flex_slot_page(slot_words[i])), FLEX_PAGE_CLAIMED);
			EXPECT_EQ(slot_of(flex_slot_page(slot_words[i])), i);
		}
	}
}
