/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_calls SEED SECONDS: random calls, half of them with arguments that mean something, against a model that was
 * written from page.h and smc.h alone: what each page and slot is, and what each call must answer. SEED 0 takes one
 * from the clock; it is printed, and the same seed gives the same calls.
 */
#include <string.h>
#include <time.h>

#include "fake.h"

static struct {
	unsigned int state;
	unsigned int slot;
	int region;
} page[PAGES];

static struct {
	int page; /* -1: empty */
	unsigned int generation;
	unsigned int pins;
} slot[SLOTS];

static struct {
	bool used, in_use, securing;
	unsigned int block, blocks;
	uint64_t done;
} region[FLEX_REGIONS];

static uint64_t state;

static uint64_t rnd(uint64_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state * UINT64_C(0x2545f4914f6cdd1d) >> 16) % below;
}

/* Mostly small numbers near the edges, sometimes anything. */
static uint64_t odd_number(void)
{
	static const uint64_t odd[] = { 0U, 1U, 2U, 7U, 8U, 511U, 512U, 513U, SLOTS - 1U, SLOTS, UINT64_C(1) << 32, UINT64_MAX,
					UINT64_C(1) << 63, DRAM_BASE, DRAM_BASE + DRAM_SIZE, PAYLOAD_BASE, FLEX_BLOCK_SIZE };

	return (rnd(4U) == 0U) ? rnd(UINT64_MAX) : odd[rnd(sizeof(odd) / sizeof(odd[0]))];
}

static uint64_t some_address(void)
{
	if (rnd(400U) == 0U) {
		return odd_number();
	}
	if (rnd(200U) == 0U) {
		return pa((unsigned int)rnd(PAGES));
	}
	return pa((unsigned int)rnd(40U) + ((unsigned int)rnd(3U) * FLEX_BLOCK_PAGES)); /* few, so that they meet */
}

static bool address_good(uint64_t address)
{
	return ((address % FLEX_PAGE_SIZE) == 0U) && (address >= DRAM_BASE) && (address < (DRAM_BASE + DRAM_SIZE));
}

static unsigned int page_of(uint64_t address)
{
	return (unsigned int)((address - DRAM_BASE) / FLEX_PAGE_SIZE);
}

static bool reserved(unsigned int p)
{
	return (p / FLEX_BLOCK_PAGES) >= 6U; /* blocks 6 and 7 hold shared pages and tables */
}

static void release_slot(unsigned int s)
{
	slot[s].page = -1;
}

/* Interrupts come at every poll with this chance; the model is told how far a call came and checks that it may. */
static void maybe_interrupt(void)
{
	fake.polls_until_interrupt = (rnd(3U) == 0U) ? (int)rnd(5U) : -1;
}

static void fuzz_batch(bool donating)
{
	struct flex_mailbox *box;
	uint64_t which = (rnd(50U) == 0U) ? odd_number() : rnd(MAILBOXES);
	uint64_t count = (rnd(50U) == 0U) ? odd_number() : (1U + rnd(60U));
	uint64_t first = (rnd(50U) == 0U) ? odd_number() : rnd(3U), i, moved = 0U;
	int expect = FLEX_OK;
	bool bad;
	struct out o;

	bad = (which >= MAILBOXES) || (count > 512U) || (first >= count);
	box = &fake.m.mailboxes[bad ? 0U : which];
	for (i = 0U; i < (bad ? 1U : count); i++) {
		box->page[i] = some_address();
	}
	/* what one call of a recall does not treat it does not look at */
	for (i = first; !bad && (i < count) && (donating || ((i - first) < FLEX_SCRUB_PAGES)); i++) {
		bad = !address_good(box->page[i]);
	}
	maybe_interrupt();
	o = nw(donating ? FLEX_MON_DONATE : FLEX_MON_RECALL, which, first, count);
	if (bad) {
		EXPECT_EQ(o.rc, FLEX_E_INVAL);
		return;
	}
	for (i = first; i < o.x1; i++) {
		unsigned int p = page_of(box->page[i]);
		bool can = donating ? ((page[p].state == FLEX_PAGE_NORMAL) && !reserved(p) && (page[p].region < 0) && fake.on)
				    : (page[p].state == FLEX_PAGE_DONATED) ||
				      ((page[p].state == FLEX_PAGE_CLAIMED) && (slot[page[p].slot].pins == 0U));

		if (donating) {
			EXPECT(can);
		} else {
			EXPECT_EQ(box->result[i], can ? FLEX_OK :
				  (page[p].state == FLEX_PAGE_CLAIMED) ? FLEX_E_PINNED : FLEX_E_STATE);
		}
		if (can && !donating && (page[p].state == FLEX_PAGE_CLAIMED)) {
			release_slot(page[p].slot);
		}
		if (can) {
			page[p].state = donating ? FLEX_PAGE_DONATED : FLEX_PAGE_NORMAL;
			moved++;
		}
	}
	if (!donating) {
		EXPECT_EQ(o.x2, moved);
	}
	if (o.x1 < count) {
		unsigned int p = page_of(box->page[o.x1]);
		bool refused = donating &&
			       ((page[p].state != FLEX_PAGE_NORMAL) || reserved(p) || (page[p].region >= 0) || !fake.on);

		/* it stopped for a reason that holds, and an interruption only where one was due */
		expect = (o.rc == FLEX_E_INTERRUPTED) ? FLEX_E_INTERRUPTED : FLEX_E_STATE;
		EXPECT((expect != FLEX_E_STATE) || refused);
		EXPECT((expect != FLEX_E_INTERRUPTED) || (fake.polls_until_interrupt == 0) ||
		       (!donating && ((o.x1 - first) == FLEX_SCRUB_PAGES)));
		EXPECT((expect != FLEX_E_INTERRUPTED) || (((o.x1 - first) % CHUNK) == 0U));
	}
	EXPECT_EQ(o.rc, expect);
}

/* The new page of a pair, while its part of the batch is under way. */
static int model_seize(unsigned int new)
{
	if (page[new].state == FLEX_PAGE_BUSY) {
		return FLEX_E_BUSY;
	}
	if ((page[new].state != FLEX_PAGE_NORMAL) || reserved(new) || (page[new].region >= 0)) {
		return FLEX_E_STATE;
	}
	page[new].state = FLEX_PAGE_BUSY;
	return FLEX_OK;
}

static int model_move(unsigned int old, unsigned int new)
{
	int rc = (page[old].state == FLEX_PAGE_BUSY) ? FLEX_E_BUSY :
		 (page[old].state != FLEX_PAGE_CLAIMED) ? FLEX_E_STATE :
		 (slot[page[old].slot].pins != 0U) ? FLEX_E_PINNED : FLEX_OK;

	page[new].state = FLEX_PAGE_NORMAL;
	if (rc == FLEX_OK) {
		page[new] = page[old];
		slot[page[new].slot].page = (int)new;
		slot[page[new].slot].generation++;
		page[old].state = FLEX_PAGE_NORMAL;
	}
	return rc;
}

static void fuzz_move(void)
{
	uint64_t which = (rnd(50U) == 0U) ? odd_number() : rnd(MAILBOXES);
	uint64_t count = (rnd(50U) == 0U) ? odd_number() : (1U + rnd(30U));
	uint64_t first = (rnd(50U) == 0U) ? odd_number() : rnd(3U), i, end, moved = 0U;
	bool bad = (which >= MAILBOXES) || (count > FLEX_MOVE_ENTRIES) || (first >= count);
	struct flex_mailbox *box = &fake.m.mailboxes[bad ? 0U : which];
	int result[FLEX_MOVE_PAGES];
	struct out o;

	for (i = 0U; i < (bad ? 1U : count); i++) {
		box->page[i] = some_address();
		box->page[FLEX_MOVE_ENTRIES + i] = some_address();
	}
	for (i = first; !bad && (i < count) && ((i - first) < FLEX_MOVE_PAGES); i++) {
		bad = !address_good(box->page[i]) || !address_good(box->page[FLEX_MOVE_ENTRIES + i]);
	}
	o = nw(FLEX_MON_MOVE, which, first, count);
	if (bad || !fake.on) {
		EXPECT_EQ(o.rc, bad ? FLEX_E_INVAL : FLEX_E_STATE);
		return;
	}
	end = (count < (first + FLEX_MOVE_PAGES)) ? count : (first + FLEX_MOVE_PAGES);
	for (i = first; i < end; i++) {
		result[i - first] = model_seize(page_of(box->page[FLEX_MOVE_ENTRIES + i]));
	}
	for (i = first; i < end; i++) {
		if (result[i - first] == FLEX_OK) {
			result[i - first] = model_move(page_of(box->page[i]), page_of(box->page[FLEX_MOVE_ENTRIES + i]));
			moved += (result[i - first] == FLEX_OK) ? 1U : 0U;
		}
		EXPECT_EQ(box->result[i], result[i - first]);
	}
	EXPECT_EQ(o.rc, (end < count) ? FLEX_E_INTERRUPTED : FLEX_OK);
	EXPECT_EQ(o.x1, end);
	EXPECT_EQ(o.x2, moved);
}

static bool slots_good(uint64_t from, uint64_t count)
{
	return (count != 0U) && (count <= SLOTS) && (from <= (SLOTS - count));
}

static void fuzz_claim(void)
{
	uint64_t where = (rnd(30U) == 0U) ? odd_number() : (PAYLOAD_BASE + (8U * rnd(8000U)));
	uint64_t count = (rnd(30U) == 0U) ? odd_number() : (1U + rnd(30U));
	uint64_t to = (rnd(30U) == 0U) ? odd_number() : rnd(80U), i, done = 0U;
	int expect = FLEX_OK;
	bool bad = ((where % 8U) != 0U) || (where < PAYLOAD_BASE) || (count > 512U) || !slots_good(to, count) ||
		   ((where - PAYLOAD_BASE) > PAYLOAD_SIZE) || ((count * 8U) > (PAYLOAD_SIZE - (where - PAYLOAD_BASE)));
	uint64_t *addresses = (uint64_t *)&fake.payload[bad ? 0U : (where - PAYLOAD_BASE)];
	struct out o;

	for (i = 0U; !bad && (i < count); i++) {
		addresses[i] = some_address();
	}
	for (i = 0U; !bad && (i < count) && (i < FLEX_CLAIM_SLOTS); i++) {
		bad = !address_good(addresses[i]);
	}
	o = payload(FLEX_MON_CLAIM, where, count, to);
	if (bad) {
		EXPECT_EQ(o.rc, FLEX_E_INVAL);
		return;
	}
	while ((done < count) && (expect == FLEX_OK)) {
		unsigned int p = page_of(addresses[done]), s = (unsigned int)(to + done);

		if (done == FLEX_CLAIM_SLOTS) {
			expect = FLEX_E_INTERRUPTED;
			break;
		}
		if ((page[p].state != FLEX_PAGE_DONATED) || (slot[s].page >= 0)) {
			expect = FLEX_E_STATE;
			break;
		}
		page[p].state = FLEX_PAGE_CLAIMED;
		page[p].slot = s;
		slot[s].page = (int)p;
		slot[s].generation++;
		done++;
	}
	EXPECT_EQ(o.rc, expect);
	EXPECT_EQ(o.x1, done);
}

static void fuzz_drop(void)
{
	uint64_t from = (rnd(30U) == 0U) ? odd_number() : rnd(80U);
	uint64_t count = (rnd(30U) == 0U) ? odd_number() : (1U + rnd(40U)), done = 0U;
	int expect = FLEX_OK;
	struct out o;

	fake.polls_until_interrupt = -1;
	o = payload(FLEX_MON_DROP, from, count, 0U);
	if (!slots_good(from, count)) {
		EXPECT_EQ(o.rc, FLEX_E_INVAL);
		return;
	}
	for (; done < count; done++) {
		unsigned int s = (unsigned int)(from + done);

		if (done == FLEX_DROP_SLOTS) {
			expect = FLEX_E_INTERRUPTED;
			break;
		}
		if (slot[s].page < 0) {
			continue;
		}
		if (slot[s].pins != 0U) {
			expect = FLEX_E_PINNED;
			break;
		}
		page[slot[s].page].state = FLEX_PAGE_DONATED;
		release_slot(s);
	}
	EXPECT_EQ(o.rc, expect);
	EXPECT_EQ(o.x1, done);
}

static void fuzz_pin(void)
{
	unsigned int s = (unsigned int)rnd(80U);

	if ((slot[s].pins != 0U) && (rnd(3U) != 0U)) {
		unpin(s);
		slot[s].pins--;
	} else if ((slot[s].page >= 0) && (rnd(4U) == 0U)) {
		EXPECT(pin(s, (unsigned int)slot[s].page, slot[s].generation));
		slot[s].pins++;
	} else {
		EXPECT(!pin(s, (slot[s].page >= 0) ? (unsigned int)slot[s].page : 0U, slot[s].generation + 1U));
	}
}

static int region_model(unsigned int block, unsigned int blocks)
{
	int r;

	for (r = 0; r < (int)FLEX_REGIONS; r++) {
		if (region[r].used && (region[r].block == block) && (region[r].blocks == blocks)) {
			return r;
		}
	}
	return -1;
}

static void region_pages(int r, int value)
{
	unsigned int i;

	for (i = region[r].block * FLEX_BLOCK_PAGES; i < ((region[r].block + region[r].blocks) * FLEX_BLOCK_PAGES); i++) {
		page[i].region = value;
	}
}

static int model_secure(unsigned int block, unsigned int blocks)
{
	unsigned int i;
	int r = 0;

	if (!fake.on) {
		return FLEX_E_STATE;
	}
	while ((r < (int)FLEX_REGIONS) && region[r].used) {
		r++;
	}
	if (r == (int)FLEX_REGIONS) {
		return FLEX_E_EXHAUSTED;
	}
	for (i = block * FLEX_BLOCK_PAGES; i < ((block + blocks) * FLEX_BLOCK_PAGES); i++) {
		if ((page[i].state != FLEX_PAGE_NORMAL) || reserved(i) || (page[i].region >= 0)) {
			return FLEX_E_STATE;
		}
	}
	region[r].used = true;
	region[r].in_use = false;
	region[r].securing = true;
	region[r].block = block;
	region[r].blocks = blocks;
	region[r].done = 0U;
	region_pages(r, r);
	return FLEX_OK;
}

/* A call that stopped before the end did something, and no more than it might without an interrupt. */
static void region_stopped(int r, const struct out *o)
{
	uint64_t size = region[r].blocks * FLEX_BLOCK_SIZE;

	EXPECT((o->x1 > region[r].done) && (o->x1 < (2U * size)));
	EXPECT((fake.polls_until_interrupt == 0) || ((o->x1 - region[r].done) >= (FLEX_SCRUB_PAGES * FLEX_PAGE_SIZE)));
	EXPECT((o->x1 - region[r].done) <= ((FLEX_SCRUB_PAGES * FLEX_PAGE_SIZE) + size));
	region[r].done = o->x1;
}

static void fuzz_secure(uint64_t base, uint64_t size, bool bad, int r)
{
	bool on = (r >= 0) && region[r].securing && (rnd(4U) != 0U);
	uint64_t from = (rnd(10U) == 0U) ? odd_number() : on ? region[r].done : 0U;
	int expect = FLEX_E_STATE;
	struct out o;

	if (bad) {
		expect = FLEX_E_INVAL;
	} else if (from == 0U) {
		expect = model_secure((unsigned int)((base - DRAM_BASE) / FLEX_BLOCK_SIZE), (unsigned int)(size / FLEX_BLOCK_SIZE));
		r = region_model((unsigned int)((base - DRAM_BASE) / FLEX_BLOCK_SIZE), (unsigned int)(size / FLEX_BLOCK_SIZE));
	} else if (r >= 0) {
		expect = region[r].in_use ? FLEX_E_PINNED : !region[r].securing ? FLEX_E_STATE :
			 (from != region[r].done) ? FLEX_E_INVAL : FLEX_OK;
	}
	o = nw(FLEX_MON_REGION_SECURE, base, size, from);
	if ((expect == FLEX_OK) && (o.rc == FLEX_E_INTERRUPTED)) {
		region_stopped(r, &o);
		return;
	}
	EXPECT_EQ(o.rc, expect);
	if (expect == FLEX_OK) {
		region[r].securing = false;
		region[r].done = 0U;
	}
}

static void fuzz_region(void)
{
	uint64_t base = (rnd(20U) == 0U) ? odd_number() : (DRAM_BASE + (rnd(8U) * FLEX_BLOCK_SIZE));
	uint64_t size = (rnd(20U) == 0U) ? odd_number() : ((1U + rnd(2U)) * FLEX_BLOCK_SIZE);
	uint64_t third;
	bool bad = (((base | size) % FLEX_BLOCK_SIZE) != 0U) || (size == 0U) || (size > DRAM_SIZE) || (base < DRAM_BASE) ||
		   ((base - DRAM_BASE) > (DRAM_SIZE - size));
	unsigned int block = (unsigned int)((base - DRAM_BASE) / FLEX_BLOCK_SIZE);
	unsigned int blocks = (unsigned int)(size / FLEX_BLOCK_SIZE);
	int r = bad ? -1 : region_model(block, blocks), expect;
	struct out o;

	maybe_interrupt();
	switch (rnd(4U)) {
	case 0U:
		fuzz_secure(base, size, bad, r);
		break;
	case 1U:
		third = (rnd(10U) == 0U) ? odd_number() : rnd(2U);
		expect = (bad || (third > 1U)) ? FLEX_E_INVAL :
			 ((r < 0) || (region[r].done != 0U)) ? FLEX_E_STATE :
			 (region[r].in_use != (third != 0U)) ? FLEX_OK : region[r].in_use ? FLEX_E_PINNED : FLEX_E_STATE;
		o = payload(FLEX_MON_REGION_USE, base, size, third);
		EXPECT_EQ(o.rc, expect);
		if (expect == FLEX_OK) {
			region[r].in_use = third != 0U;
		}
		break;
	default:
		third = (rnd(8U) == 0U) ? odd_number() : ((r >= 0) ? region[r].done : 0U);
		expect = bad ? FLEX_E_INVAL : ((r < 0) || region[r].securing) ? FLEX_E_STATE :
			 region[r].in_use ? FLEX_E_PINNED : (third != region[r].done) ? FLEX_E_INVAL : FLEX_OK;
		o = nw(FLEX_MON_REGION_RELEASE, base, size, third);
		if ((expect == FLEX_OK) && (o.rc == FLEX_E_INTERRUPTED)) {
			region_stopped(r, &o);
			break;
		}
		EXPECT_EQ(o.rc, expect);
		if (expect == FLEX_OK) {
			region_pages(r, -1);
			region[r].used = false;
		}
		break;
	}
}

static unsigned int secure_pages(void)
{
	unsigned int i, n = 0U;

	for (i = 0U; i < PAGES; i++) {
		n += ((page[i].state == FLEX_PAGE_DONATED) || (page[i].state == FLEX_PAGE_CLAIMED) || (page[i].region >= 0)) ?
		     1U : 0U;
	}
	return n;
}

static void fuzz_protect(void)
{
	uint64_t on = (rnd(4U) == 0U) ? odd_number() : rnd(2U);
	int expect = (on > 1U) ? FLEX_E_INVAL : ((on == 0U) && (secure_pages() != 0U)) ? FLEX_E_STATE : FLEX_OK;

	EXPECT_EQ(nw(FLEX_MON_PROTECT, on, 0U, 0U).rc, expect);
	if (rnd(4U) != 0U) {
		EXPECT_EQ(nw(FLEX_MON_PROTECT, 1U, 0U, 0U).rc, FLEX_OK);
	}
}

/* A record from the payload's own memory is kept word for word, and nothing else is. */
static void fuzz_panic(void)
{
	static struct flex_panic kept;
	uint64_t where = (rnd(4U) == 0U) ? odd_number() : (PAYLOAD_BASE + (8U * rnd(PAYLOAD_SIZE / 8U)));
	uint64_t size = (rnd(4U) == 0U) ? odd_number() : sizeof(kept), offset = 8U * rnd(sizeof(kept) / 8U), word[3] = { 0U };
	bool good = (size == sizeof(kept)) && ((where % 8U) == 0U) && (where >= PAYLOAD_BASE) &&
		    (where <= (PAYLOAD_BASE + PAYLOAD_SIZE - sizeof(kept)));
	struct out o;

	EXPECT_EQ(payload(FLEX_MON_PANIC, where, size, 0U).rc, good ? FLEX_OK : FLEX_E_INVAL);
	if (good) {
		memcpy(&kept, &fake.payload[where - PAYLOAD_BASE], sizeof(kept));
	}
	o = nw(FLEX_MON_RECORD, offset, 0U, 0U);
	memcpy(word, (const char *)&kept + offset, ((sizeof(kept) - offset) < sizeof(word)) ? (sizeof(kept) - offset) : sizeof(word));
	EXPECT_EQ(o.rc, FLEX_OK);
	EXPECT((o.x1 == word[0]) && (o.x2 == word[1]) && (o.x3 == word[2]));
	EXPECT_EQ(nw(FLEX_MON_RECORD, (rnd(2U) == 0U) ? (offset + 1U + rnd(7U)) : sizeof(kept), 0U, 0U).rc, FLEX_E_INVAL);
}

/* What the NW is told of slots and pages is what the model knows. */
static void fuzz_reports(void)
{
	uint64_t from = (rnd(4U) == 0U) ? odd_number() : rnd(SLOTS), held = 0U, pinned = 0U, i;
	struct out o = nw(FLEX_MON_AUDIT, from, 0U, 0U);

	EXPECT_EQ(nw(FLEX_MON_STAT, FLEX_STAT_SECURE_PAGES, 0U, 0U).x1, secure_pages());
	if (from >= SLOTS) {
		EXPECT_EQ(o.rc, FLEX_E_INVAL);
		return;
	}
	for (i = from; (i < SLOTS) && (i < (from + FLEX_AUDIT_SLOTS)); i++) {
		held += (slot[i].page >= 0) ? 1U : 0U;
		pinned += (slot[i].pins != 0U) ? 1U : 0U;
	}
	EXPECT_EQ(o.rc, FLEX_OK);
	EXPECT_EQ(o.x1, (i == SLOTS) ? 0U : i);
	EXPECT((o.x2 == pinned) && (o.x3 == held));
}

/* Any number of the range, any caller, any arguments: whatever it says, the model must still agree afterwards. */
static void fuzz_garbage(void)
{
	uint32_t fid = FLEX_MON_BASE + (uint32_t)rnd(0x100U);
	enum flex_caller caller = (rnd(2U) == 0U) ? FLEX_CALLER_NW : FLEX_CALLER_PAYLOAD;
	bool other = (caller == FLEX_CALLER_NW) == (fid >= FLEX_MON_CLAIM); /* not its own call, or one that only reports */
	struct out o;

	if (((fid > FLEX_MON_INFO) && (fid < FLEX_MON_STAT)) || (fid == FLEX_MON_MOVE)) {
		other = caller == FLEX_CALLER_PAYLOAD;
	} else if (fid < FLEX_MON_CLAIM) {
		other = true;
	}
	if (other && (fid != FLEX_MON_PANIC)) {
		o = call_on((unsigned int)rnd(CORES + 1U), caller, fid, odd_number(), odd_number(), odd_number());
		EXPECT(o.rc <= 0);
	}
}

static void compare(void)
{
	unsigned int i;

	fake_check();
	for (i = 0U; i < PAGES; i++) {
		EXPECT_EQ(state_of(i), page[i].state);
		if (page[i].state == FLEX_PAGE_CLAIMED) {
			EXPECT_EQ(slot_of(i), page[i].slot);
		}
	}
	for (i = 0U; i < SLOTS; i++) {
		EXPECT_EQ(flex_slot_state(fake.m.slots[i]) == FLEX_SLOT_HELD, slot[i].page >= 0);
		EXPECT_EQ(flex_slot_generation(fake.m.slots[i]), slot[i].generation);
		EXPECT_EQ(flex_slot_pins(fake.m.slots[i]), slot[i].pins);
	}
	EXPECT_EQ(fake.m.stat[FLEX_STAT_SECURE_PAGES], secure_pages());
}

static void model_reset(void)
{
	unsigned int i;

	fake_reset();
	memset(region, 0, sizeof(region));
	for (i = 0U; i < PAGES; i++) {
		page[i].state = ((pa(i) >= TABLES_BASE) && (pa(i) < (TABLES_BASE + TABLES_SIZE))) ?
				FLEX_PAGE_HIDDEN : FLEX_PAGE_NORMAL;
		page[i].region = -1;
	}
	for (i = 0U; i < SLOTS; i++) {
		slot[i].page = -1;
		slot[i].generation = 0U;
		slot[i].pins = 0U;
	}
}

static void one_call(void)
{
	switch (rnd(20U)) {
	case 0U: case 1U: case 2U: case 3U:
		fuzz_batch(true);
		break;
	case 4U: case 5U: case 6U:
		fuzz_batch(false);
		break;
	case 7U: case 8U:
		fuzz_claim();
		break;
	case 9U:
		fuzz_drop();
		break;
	case 10U: case 11U:
		fuzz_pin();
		break;
	case 12U: case 13U:
		fuzz_region();
		break;
	case 14U:
		fuzz_protect();
		break;
	case 15U: case 16U:
		fuzz_move();
		break;
	case 17U:
		fuzz_panic();
		break;
	case 18U:
		fuzz_reports();
		break;
	default:
		fuzz_garbage();
		break;
	}
}

int main(int argc, char **argv)
{
	uint64_t seed = (argc > 1) ? strtoull(argv[1], NULL, 0) : 0U;
	time_t seconds = (argc > 2) ? (time_t)strtoul(argv[2], NULL, 0) : 4;
	time_t end = time(NULL) + seconds;
	unsigned long calls = 0U;

	if (seed == 0U) {
		struct timespec now;

		clock_gettime(CLOCK_REALTIME, &now);
		seed = ((uint64_t)now.tv_sec << 20) ^ (uint64_t)now.tv_nsec;
	}
	printf("seed %llu\n", (unsigned long long)seed);
	fflush(stdout);
	state = seed;
	fake_caches = (seed % 2U) != 0U;
	model_reset();
	while (time(NULL) < end) {
		one_call();
		calls++;
		if ((calls % 16U) == 0U) {
			compare();
		}
	}
	compare();
	printf("ok %lu calls, %llu pages donated, %llu recalled, %llu moved\n", calls,
	       (unsigned long long)fake.m.stat[FLEX_STAT_DONATED], (unsigned long long)fake.m.stat[FLEX_STAT_RECALLED],
	       (unsigned long long)fake.m.stat[FLEX_STAT_MOVED]);
	return 0;
}
