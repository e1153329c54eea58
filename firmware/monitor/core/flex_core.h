/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/*
 * Flex-Monitor core: who owns each page, slot, block and region, and the calls that change it. Freestanding, no
 * hardware access: what touches the machine goes through struct flex_ops, so that it all runs on the host under test.
 * <flexkit/page.h> is the specification of the states, <flexkit/smc.h> of the calls.
 *
 * Locks: none. A page entry, a slot word, a block word and a region's state each change by compare-and-swap. Whoever
 * moves one to BUSY owns it until it moves it on; whoever finds it BUSY is told so and goes away. Where one call needs
 * several, it takes them in this order: region state, block word, page entry, slot word.
 */
#ifndef FLEX_CORE_H
#define FLEX_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flexkit/mailbox.h>
#include <flexkit/page.h>
#include <flexkit/payload.h>
#include <flexkit/smc.h>

#define FLEX_BLOCK_SIZE		(UINT64_C(1) << FLEX_BLOCK_SHIFT)
#define FLEX_BLOCK_PAGES	(1U << (FLEX_BLOCK_SHIFT - FLEX_PAGE_SHIFT))
/* So much in one call at the most, interrupts or not, so that every stay in EL3 is short. */
#define FLEX_AUDIT_SLOTS	4096U
#define FLEX_CLAIM_SLOTS	256U
#define FLEX_DROP_SLOTS		512U
#define FLEX_SCRUB_PAGES	64U
#define FLEX_MOVE_PAGES		16U

/*
 * Block word, one for each 2M of DRAM: state in bits 31..28, secure pages of the block below. A page is donated only
 * from an OPEN block, a region is made only of OPEN blocks without secure pages; one word decides between the two.
 */
#define FLEX_BLOCK_OPEN		0U
#define FLEX_BLOCK_REGION	1U
#define FLEX_BLOCK_RESERVED	2U	/* holds hidden or shared pages: never secured */
#define FLEX_BLOCK_STATE_SHIFT	28

/*
 * Region: FREE => BUSY => SECURING (and again) => SECURE <=> USED by the payload; SECURE => BUSY => RELEASING (and
 * again) => FREE. `done` is how far securing or releasing has come: region.c.
 */
enum flex_region_state {
	FLEX_REGION_FREE,
	FLEX_REGION_BUSY,
	FLEX_REGION_SECURING,
	FLEX_REGION_SECURE,
	FLEX_REGION_USED,
	FLEX_REGION_RELEASING
};

struct flex_region {
	uint32_t state;
	uint64_t base;
	uint64_t size;
	uint64_t done;
};

/* What the board gives: constant after flex_core_init(). Addresses are physical, sizes in bytes. */
struct flex_layout {
	uint64_t dram_base, dram_size;
	uint64_t tables_base, tables_size;
	uint64_t shared_base, shared_size;
	uint64_t payload_base, payload_size;
	uint32_t slots;
	uint32_t pin_quota;
	uint32_t mailboxes;
	uint32_t scrub_chunk;
	uint32_t cores;
};

/* The backend. Callable on any core at any time; addresses are physical. */
struct flex_ops {
	/* `size` is FLEX_PAGE_SIZE or FLEX_BLOCK_SIZE. */
	void (*unmap)(uint64_t address, uint64_t size);	/* NW loses it, once invalidate() has returned */
	void (*map)(uint64_t address, uint64_t size);	/* NW has it, once publish() has returned */
	int (*invalidate)(void);	/* all that was unmapped: FLEX_OK or FLEX_E_TIMEOUT, by TLBs and SMMU */
	/*
	 * After that, before the secure world touches a page: what caches hold of it for the NW is in memory, where the
	 * secure world reads it. `count` addresses, 0 for none. NULL where caches do not tell the two worlds apart.
	 */
	void (*settle)(const uint64_t *page, uint32_t count);
	void (*publish)(void);
	void (*scrub)(uint64_t page);		/* zero one page and clean it, to where the NW reads it */
	void (*copy)(uint64_t to, uint64_t from); /* one page; the secure world will read it, nobody else */
	bool (*interrupt_pending)(void);
	uint64_t (*ticks)(void);
	uint64_t (*dma_blocked)(void);		/* transfers refused since it was last asked */
	uint32_t donate_pages;			/* in one call at the most: how long settle() takes decides */
	int (*protect)(bool on);		/* FLEX_OK, FLEX_E_TIMEOUT, FLEX_E_STATE; every core calls it */
	bool (*protected)(void);		/* turning it off first makes this false, then looks at SECURE_PAGES */
};

/* A part's identity: 16 bytes, big-endian halves, as FLEX_MON_IDENTITY returns them. */
struct flex_identity {
	uint64_t high, low, debug;
};

struct flex_monitor {
	struct flex_layout layout;
	const struct flex_ops *ops;
	uint32_t *pages;			/* one entry for each page of DRAM */
	uint32_t *blocks;			/* one word for each 2M of DRAM */
	uint64_t *slots;			/* shared with the payload */
	struct flex_mailbox *mailboxes;		/* shared with the NW */
	const uint8_t *payload;			/* the payload's memory, where this core sees it */
	uint64_t (*lists)[FLEX_MAILBOX_ENTRIES];/* one list of page addresses for each core */
	struct flex_region region[FLEX_REGIONS];
	uint64_t stat[FLEX_STAT_COUNT];
	uint64_t longest;			/* ticks << 8 | function number of the longest call */
	struct flex_identity identity[2];
	uint32_t panic_busy;
	union {
		struct flex_panic record;
		uint64_t word[sizeof(struct flex_panic) / sizeof(uint64_t)];
	} panic;
};

enum flex_caller {
	FLEX_CALLER_NW = 1,	/* NS-EL1 */
	FLEX_CALLER_PAYLOAD = 2	/* S-EL1 */
};

struct flex_call {
	uint32_t fid;
	enum flex_caller caller;
	uint32_t core;
	uint64_t arg[4];	/* x1..x4 */
	uint64_t ret[4];	/* x0..x3 */
};

/* core.c */
void flex_core_init(struct flex_monitor *m);
int64_t flex_dispatch(struct flex_monitor *m, struct flex_call *call);
void flex_count(struct flex_monitor *m, unsigned int stat, uint64_t by);

/* batch.c, move.c, region.c: handlers of the dispatcher's table; the call's arguments and returns as in smc.h */
int flex_donate(struct flex_monitor *m, struct flex_call *call);
int flex_recall(struct flex_monitor *m, struct flex_call *call);
int flex_move(struct flex_monitor *m, struct flex_call *call);
int flex_claim(struct flex_monitor *m, struct flex_call *call);
int flex_drop(struct flex_monitor *m, struct flex_call *call);
int flex_region_secure(struct flex_monitor *m, struct flex_call *call);
int flex_region_release(struct flex_monitor *m, struct flex_call *call);
int flex_region_use(struct flex_monitor *m, struct flex_call *call);

/*
 * What the handlers share, all in batch.c.
 *
 * flex_batch_begin() takes the arguments (mailbox, first, count) of a call whose mailbox holds `entries` at the most and
 * that treats `limit` of them; FLEX_E_INVAL when these are malformed. flex_list_copy() copies page addresses into this
 * core's list, each once; false when one of them is none. flex_batch_result() tells the NW what came of entry `i` of
 * this call. flex_interrupted(): an interrupt waits; polled between sub-batches, `done` is how much of the call is done.
 */
struct flex_batch {
	struct flex_mailbox *box;
	uint64_t *page;		/* this core's list */
	uint32_t first;		/* the mailbox's entry that is page[0] */
	uint32_t count;		/* of this call */
	bool more;		/* entries that are left to the next one */
};

int flex_batch_begin(struct flex_monitor *m, const struct flex_call *call, uint32_t entries, uint32_t limit,
		     struct flex_batch *b);
void flex_batch_result(const struct flex_batch *b, uint32_t i, int result);
bool flex_list_copy(const struct flex_monitor *m, uint64_t *to, const uint64_t *from, uint64_t count);
bool flex_interrupted(const struct flex_monitor *m, uint64_t done);

/*
 * flex_secure_begin() - the caller is about to take so many pages from the NW; false when protection is off
 *
 * They are counted in FLEX_STAT_SECURE_PAGES before the look at protection, and who turns it off looks at the count
 * after: of the two, one sees the other. The caller takes off again what does not become secure.
 */
bool flex_secure_begin(struct flex_monitor *m, uint64_t pages);

/*
 * flex_page_seize() - NORMAL => BUSY, unmapped: how both verbs that take a page from the NW begin
 *
 * The page is the secure world's after flex_seized(). FLEX_E_BUSY, FLEX_E_STATE: unchanged.
 */
int flex_page_seize(struct flex_monitor *m, uint64_t page);

/* What was seized is forgotten by TLBs, SMMU and caches: FLEX_OK or FLEX_E_TIMEOUT. `count` addresses, 0 for none. */
int flex_seized(struct flex_monitor *m, const uint64_t *page, uint32_t count);

/* BUSY => NORMAL, mapped: scrubbed, or nothing secure has been in it. The caller owns it, and calls publish(). */
void flex_page_open(struct flex_monitor *m, uint64_t page);

/*
 * flex_claimed_take() - a CLAIMED page and its slot BUSY, so that no pin holds them and none can
 * @named: false when the slot does not name the page any more (the payload has spoilt it), and is not BUSY
 *
 * FLEX_E_STATE: the page is not CLAIMED. FLEX_E_BUSY, FLEX_E_PINNED: nothing has changed.
 */
int flex_claimed_take(struct flex_monitor *m, uint32_t index, uint32_t *slot, bool *named);

/* Scrubs a page that the caller owns; the time goes to FLEX_STAT_SCRUB_TICKS. */
void flex_scrub(struct flex_monitor *m, uint64_t page);

/* Where [address, address + size) of the payload's memory is seen from here, or NULL when it is not its memory. */
const void *flex_payload_memory(const struct flex_monitor *m, uint64_t address, uint64_t size);

/* Is this the address of a whole page of DRAM? */
static inline bool flex_address_ok(const struct flex_monitor *m, uint64_t page)
{
	return ((page & (FLEX_PAGE_SIZE - 1U)) == 0U) && ((page - m->layout.dram_base) < m->layout.dram_size);
}

/* The number of a page from the start of DRAM; `page` has passed flex_address_ok(). */
static inline uint32_t flex_page_index(const struct flex_monitor *m, uint64_t page)
{
	return (uint32_t)((page - m->layout.dram_base) >> FLEX_PAGE_SHIFT);
}

#endif /* FLEX_CORE_H */
