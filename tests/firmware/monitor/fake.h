/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A machine of 16 MB for the monitor's core. It keeps, for each page, whether the NW reaches it, whether a stale TLB
 * entry may still, and one word of its content; it ends the test at once when the core maps what is not scrubbed,
 * scrubs what it does not own, or calls a page secure that the NW can still reach.
 */
#ifndef FAKE_H
#define FAKE_H

#include <stdio.h>
#include <stdlib.h>

#include "flex_words.h"

#define DRAM_BASE UINT64_C(0x40000000)
#define DRAM_SIZE (UINT64_C(16) << 20)
#define PAGES (unsigned int)(DRAM_SIZE >> FLEX_PAGE_SHIFT)
#define BLOCKS (unsigned int)(DRAM_SIZE >> FLEX_BLOCK_SHIFT)
#define SHARED_BASE (DRAM_BASE + (UINT64_C(12) << 20)) /* block 6, half of it */
#define SHARED_SIZE (UINT64_C(1) << 20)
#define TABLES_BASE (DRAM_BASE + (UINT64_C(14) << 20)) /* block 7 */
#define TABLES_SIZE (UINT64_C(2) << 20)
#define PAYLOAD_BASE UINT64_C(0x0e100000)
#define PAYLOAD_SIZE UINT64_C(0x10000)
#define SLOTS 6000U
#define MAILBOXES 2U
#define CORES 4U
#define CHUNK 8U
#define FREE_PAGES (6U * FLEX_BLOCK_PAGES) /* pages of the blocks that can be secured */

struct fake {
	struct flex_monitor m;
	bool mapped[PAGES];	/* stage 2 says so */
	bool stale[PAGES];	/* a TLB may still say so */
	bool settled[PAGES];	/* since it was unmapped and forgotten: what caches held of it is in memory */
	bool clean[PAGES];	/* scrubbed since it was taken */
	bool touched[PAGES];	/* either end of a move's copy since it was taken */
	uint64_t content[PAGES];
	bool on;
	bool smmu_silent;
	unsigned int dma_blocked; /* since the monitor last asked */
	int polls_until_interrupt; /* < 0: none comes */
	unsigned int invalidations, scrubs, publishes, polls;
	void (*on_unmap)(uint64_t page);
	void (*on_scrub)(uint64_t page);
	void (*on_copy)(uint64_t to, uint64_t from);
	uint8_t payload[PAYLOAD_SIZE] __attribute__((aligned(16)));
};

extern struct fake fake;
extern bool fake_caches; /* tell the two worlds apart, from the next fake_reset() on */

/* Everything NORMAL, mapped and with content; protection on. */
void fake_reset(void);

/* One call; x1..x3 are left in `out`. */
struct out {
	int64_t rc;
	uint64_t x1, x2, x3;
};
struct out nw(uint32_t fid, uint64_t a, uint64_t b, uint64_t c);
struct out payload(uint32_t fid, uint64_t a, uint64_t b, uint64_t c);
struct out call_on(unsigned int core, enum flex_caller caller, uint32_t fid, uint64_t a, uint64_t b, uint64_t c);

static inline uint64_t pa(unsigned int page)
{
	return DRAM_BASE + ((uint64_t)page << FLEX_PAGE_SHIFT);
}

unsigned int state_of(unsigned int page);
unsigned int slot_of(unsigned int page);

/* Fills mailbox `box` with count pages from `first`, step apart. */
void mail(unsigned int box, unsigned int count, unsigned int first, unsigned int step);
void mail_pair(unsigned int box, unsigned int i, uint64_t old, uint64_t new);
void donate(unsigned int count, unsigned int first);
/* Claims pages first, first + 1, ... for slots from `slot`; the list lies at the start of the payload's memory. */
void list(unsigned int count, unsigned int first);
struct out claim(unsigned int count, unsigned int first, unsigned int slot);

/* A region, to the end, however often the call has to be made. */
struct out secure(uint64_t base, uint64_t size);
struct out release(uint64_t base, uint64_t size);

/* As the payload pins: false when the slot does not hold `page` at `generation`. */
bool pin(unsigned int slot, unsigned int page, unsigned int generation);
void unpin(unsigned int slot);

/* What must hold whenever no call is under way. */
void fake_check(void);

/* Ends the test. */
#define EXPECT(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			abort(); \
		} \
	} while (0)
#define EXPECT_EQ(got, want) \
	do { \
		long long got_ = (long long)(got), want_ = (long long)(want); \
		if (got_ != want_) { \
			fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #got, got_, want_); \
			abort(); \
		} \
	} while (0)

/* On both kinds of machine. */
#define RUN(test) \
	do { \
		fake_caches = !fake_caches; \
		fake_reset(); \
		test(); \
		fake_check(); \
		printf("ok %s%s\n", #test, fake_caches ? ", caches" : ""); \
	} while (fake_caches)

#endif
