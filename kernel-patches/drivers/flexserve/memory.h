/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pages: which lie in which slots, how they come there and who takes them back.
 */
#ifndef FLEXSERVE_MEMORY_H
#define FLEXSERVE_MEMORY_H

#include "flexserve.h"

/* walk.c: in which order a range's pages go */
struct flex_run {
	u32 first;	/* page, from the start of the range */
	u32 count;
};

/* What goes last: pages in no run; before them what opens the others, which are in the order of a pass. */
#define FLEX_WALK_REST 0
#define FLEX_WALK_OPENS 1
#define FLEX_WALK_PASS 2

struct flex_walk {
	const struct flex_run *run;	/* FLEX_WALK_* */
	u32 runs;
	const u64 *now;		/* the payload's: number of the run in use; or NULL */
	u32 at;			/* that, from FLEX_WALK_PASS, when the walk began */
	u32 step;		/* runs that recall has been at */
	u32 victim;		/* it goes on in this one, */
	u32 cursor;		/* below this page of it */
	struct flex_run whole;	/* the only run when there is no order */
};
void flex_walk_init(struct flex_walk *walk, u32 pages);
void flex_walk_exit(struct flex_walk *walk);
void flex_walk_rewind(struct flex_walk *walk);
void flex_walk_follow(struct flex_walk *walk);
bool flex_walk_next(struct flex_walk *walk, u32 *index);

/* slots.c: which page lies in which slot; victims.c: and which goes next */
struct flex_range {
	struct list_head list;	/* all ranges */
	struct list_head lru;	/* recallable ranges, next victim first */
	u32 first;
	u32 count;
	u32 held;		/* slots with a page, those under recall included */
	u32 moving;		/* of them, under recall now */
	struct flex_walk walk;	/* of recall */
	bool decrypts;		/* claiming its pages takes the payload long */
	bool recallable;	/* a model's always, a session's between prompts */
	bool dirty;		/* what it holds would have to be computed again: it goes last */
	bool saving;		/* somebody has been asked to have it saved, and has not answered */
	void (*save)(struct flex_range *range);	/* asks; must not sleep. NULL: nobody can */
	struct obj_cgroup *group;	/* charged for the pages; the owner has the reference */
	struct {
		unsigned long entry;
		u32 index;
	} missed;		/* by the payload, the last time, and what lay there */
};

/* Whose pages a recall may take: all that is zero is everybody's. */
struct flex_scope {
	struct flex_range *range;	/* this one alone, recallable or not */
	struct flex_run part;		/* and of it these pages, once and not in its order */
	struct mem_cgroup *memcg;	/* recallable ranges of this group */
	bool exact;			/* and not of the groups below it */
	enum flex_guard guard;		/* what it has to leave to whom it belongs */
	bool *spared;			/* with a guard: set when memory.low kept something */
	bool patient;			/* what is being saved is left alone until it is */
};
int flex_slots_init(u32 slots);
void flex_slots_exit(void);
int flex_range_add(struct flex_range *range, u32 first, u32 count, bool recallable,
		   struct obj_cgroup *group);
void flex_range_remove(struct flex_range *range);
void flex_range_touch(struct flex_range *range);
void flex_range_park(struct flex_range *range);
void flex_range_unpark(struct flex_range *range);
void flex_range_saved(struct flex_range *range, int error);
void flex_range_publish(struct flex_range *range, u32 index, struct page **page, u32 count);
u32 flex_range_hole(struct flex_range *range, u32 *index, u32 end);
u32 flex_range_held(struct flex_range *range);
bool flex_range_doubt(struct flex_range *range, u32 index);
u32 flex_slots_collect(const struct flex_scope *scope, struct flex_mailbox_lease *lease, u32 want);
u32 flex_slots_settle(struct flex_mailbox_lease *lease, u32 count);
void flex_range_order(struct flex_range *range, const struct flex_run *run, u32 runs,
		      const u64 *now);
void flex_slots_follow(const struct flex_scope *scope);
void flex_slots_rewind(const struct flex_scope *scope);
bool flex_slot_take(u32 slot, struct page *page);
void flex_slot_put(u32 slot, struct page *page);
u64 flex_slots_page(u32 slot);
u64 flex_slots_recallable(void);
u64 flex_slots_held(const struct flex_scope *scope);

/* order.c: as the payload publishes it */
void flex_order_read(struct flex_range *range, u32 model);

/* movable.c: compaction */
void flex_movable_set(struct page *page, u32 slot);
void flex_movable_clear(struct page *page);

/* take.c: pages out of the buddy allocator */
u32 flex_alloc_pages(struct page **page, u32 want, const struct flex_range *range);

/* load.c: pages from Linux to the secure world */
struct flex_batch {
	struct page *page[FLEX_BATCH];
	struct bio_vec vec[FLEX_BATCH];
};
struct flex_clock;
int flex_read_pages(struct file *file, loff_t at, struct bio_vec *vec, u32 pages, u64 bytes);
int flex_load(struct flex_range *range, u32 index, u32 count, struct file *file, u64 bytes,
	      struct flex_batch *batch, struct flex_clock *clock, u32 *loaded);
int flex_load_blank(struct flex_range *range, u32 index, u32 count, struct flex_clock *clock);

/* recall.c: and back */
u64 flex_recall(const struct flex_scope *scope, u64 want, u64 *ticks);
int flex_range_release(struct flex_range *range);
void flex_range_missed(struct flex_range *range, u32 index);
void flex_recall_pages(struct page **page, u32 count);

/* reclaim.c: asked for by Linux */
int flex_reclaim_init(void);
void flex_reclaim_exit(void);
void flex_reclaim_mark(struct obj_cgroup *group);

/* region.c: the strawman's contiguous memory */
struct flex_region {
	struct page *page;
	u64 base;
	u64 size;
	u64 segment;		/* bytes of each but the last */
	u64 secured;		/* bytes, from the base */
};
int flex_region_alloc(struct flex_region *region, u64 bytes, u32 segments);
int flex_region_read(struct flex_region *region, u64 at, struct file *file, u64 bytes);
int flex_region_secure(struct flex_region *region);
void flex_region_release(struct flex_region *region);
extern struct mutex flex_region_lock;

#endif /* FLEXSERVE_MEMORY_H */
