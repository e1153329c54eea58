/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The slot table: slots.c fills it, victims.c empties it. Nobody else looks in.
 */
#ifndef FLEXSERVE_TABLE_H
#define FLEXSERVE_TABLE_H

#include "memory.h"

/*
 * An entry is NULL (empty), a page (secure), or a page with FLEX_MOVING set
 * (under recall, or on its way to another page: whoever set the bit settles it,
 * soon and without waiting for memory). Loading goes from NULL to a page, one
 * loader a slot.
 */
#define FLEX_MOVING 1UL

extern unsigned long *flex_slot;
extern spinlock_t flex_slots_lock;	/* all here, and what a range holds */
extern struct list_head flex_lru;	/* recallable ranges, next victim first */
extern atomic_long_t flex_recallable_held;	/* pages in them */
extern wait_queue_head_t flex_slots_wait;	/* an entry settled */

/* Under flex_slots_lock; read without it where one entry is enough. */
static inline void flex_slot_set(u32 slot, unsigned long entry)
{
	WRITE_ONCE(flex_slot[slot], entry);
}

static inline void flex_range_account(struct flex_range *range, s64 held, s64 moving)
{
	WRITE_ONCE(range->held, range->held + held);
	WRITE_ONCE(range->moving, range->moving + moving);
}

#endif /* FLEXSERVE_TABLE_H */
