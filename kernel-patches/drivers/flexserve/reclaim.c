// SPDX-License-Identifier: GPL-2.0-only
/*
 * How Linux asks for secure pages. flex_mem_reclaim() gives before anything is
 * swapped out (mm/vmscan.c says when), the shrinker in proportion, as other
 * caches do. Both leave it to page cache that was used once as long as there is
 * any, and keep to the memory cgroup that is short. A conversation that is being
 * put aside is left alone meanwhile, unless the next step would be to kill
 * somebody.
 */
#include <linux/errno.h>
#include <linux/flexserve.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/notifier.h>
#include <linux/oom.h>
#include <linux/shrinker.h>
#include <linux/swap.h>
#include "memory.h"

/*
 * A recall costs a TLB invalidation, however few its pages; direct reclaim
 * asks for 32 at a time.
 */
#define FLEX_RECLAIM_LEAST 128UL

static struct shrinker *flex_shrinker;

unsigned long flex_mem_pages(void)
{
	return max(atomic_long_read(&flex_secure_pages), 0L);
}

/* Of so many pages in recallable ranges, those that can come back now. */
static u64 flex_unpinned(u64 held)
{
	u64 all = flex_mem_pages();
	u64 pinned = min(flex_payload_pinned(), all);

	return min(held, all - pinned);
}

unsigned long flex_mem_recallable(void)
{
	return flex_unpinned(flex_slots_recallable());
}

unsigned long flex_mem_reclaim(struct mem_cgroup *memcg, unsigned long want, bool low, bool *spared)
{
	const struct flex_scope scope = {
		.memcg = memcg,
		.guard = low ? FLEX_GUARD_MIN : FLEX_GUARD_LOW,
		.spared = spared,
		/* In a group nobody asks flex_reclaim_last() before the OOM killer. */
		.patient = !memcg,
	};
	u64 taken, ticks = 0;

	*spared = false;
	want = clamp(want, FLEX_RECLAIM_LEAST, FLEX_MEM_RECLAIM_MOST);
	taken = flex_recall(&scope, want, &ticks);
	flex_count(FLEX_COUNT_RECLAIM_CALLS, 1);
	flex_count(FLEX_COUNT_RECLAIM_PAGES, taken);
	return taken;
}

static struct flex_scope flex_shrink_scope(const struct shrink_control *control)
{
	return (struct flex_scope){ .memcg = control->memcg, .exact = true, .patient = true };
}

/*
 * Reclaim takes page cache first that was used once (mm/vmscan.c); whoever
 * empties slabs by hand means us too.
 */
static bool flex_shrink_later(void)
{
	return (current->flags & PF_MEMALLOC) && page_cache_used_once() >= FLEX_BATCH;
}

static unsigned long flex_shrink_count(struct shrinker *shrinker, struct shrink_control *control)
{
	const struct flex_scope scope = flex_shrink_scope(control);
	u64 held = flex_slots_held(&scope);

	if (held && flex_shrink_later())
		return 0;
	return held ? flex_unpinned(held) : SHRINK_EMPTY;
}

static unsigned long flex_shrink_scan(struct shrinker *shrinker, struct shrink_control *control)
{
	const struct flex_scope scope = flex_shrink_scope(control);
	u64 ticks = 0;
	u64 taken = flex_recall(&scope, control->nr_to_scan, &ticks);

	/* Progress, which reclaim does not see by itself: without it the next step is the OOM killer. */
	mm_account_reclaimed_pages(taken);
	flex_count(FLEX_COUNT_SHRINKER_CALLS, 1);
	flex_count(FLEX_COUNT_SHRINKER_PAGES, taken);
	return taken ? taken : SHRINK_STOP;
}

/**
 * flex_reclaim_mark() - a group is charged for recallable pages
 * @group: its reclaim is to ask the shrinker
 */
void flex_reclaim_mark(struct obj_cgroup *group)
{
	flex_group_mark(group, flex_shrinker->id);
}

/* Nothing else is left: what is not saved by now is computed again. */
static int flex_reclaim_last(struct notifier_block *block, unsigned long event, void *freed)
{
	const struct flex_scope everybody = { 0 };
	u64 ticks = 0;

	*(unsigned long *)freed += flex_recall(&everybody, FLEX_MEM_RECLAIM_MOST, &ticks);
	return NOTIFY_OK;
}

static struct notifier_block flex_reclaim_last_block = { .notifier_call = flex_reclaim_last };

/** flex_reclaim_init() - let reclaim take pages. Return: 0 or -ENOMEM. */
int flex_reclaim_init(void)
{
	flex_shrinker = shrinker_alloc(SHRINKER_MEMCG_AWARE, "flexserve");
	if (!flex_shrinker)
		return -ENOMEM;
	flex_shrinker->count_objects = flex_shrink_count;
	flex_shrinker->scan_objects = flex_shrink_scan;
	flex_shrinker->batch = FLEX_BATCH;
	shrinker_register(flex_shrinker);
	return register_oom_notifier(&flex_reclaim_last_block);
}

/** flex_reclaim_exit() - and no longer */
void flex_reclaim_exit(void)
{
	unregister_oom_notifier(&flex_reclaim_last_block);
	shrinker_free(flex_shrinker);
}
