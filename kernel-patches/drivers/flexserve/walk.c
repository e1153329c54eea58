// SPDX-License-Identifier: GPL-2.0-only
/*
 * How recall walks through a range: what is needed last goes first, and in the
 * end every page has been looked at. The slot table is locked.
 */
#include <linux/slab.h>
#include "memory.h"

/**
 * flex_walk_init() - begin without an order: last pages first
 * @walk: gets no other until flex_walk_exit()
 * @pages: of the range
 */
void flex_walk_init(struct flex_walk *walk, u32 pages)
{
	*walk = (struct flex_walk){ .runs = 1, .whole = { 0, pages } };
	walk->run = &walk->whole;
}

/** flex_walk_exit() - free the order */
void flex_walk_exit(struct flex_walk *walk)
{
	if (walk->run != &walk->whole)
		kvfree(walk->run);
	walk->run = &walk->whole;
	walk->runs = 1;
}

/* How many runs a pass uses one after the other. */
static u32 flex_walk_passed(const struct flex_walk *walk)
{
	return walk->runs > FLEX_WALK_PASS ? walk->runs - FLEX_WALK_PASS : 0;
}

/* Where the pass is now, from 0; whatever the payload says. */
static u32 flex_walk_at(const struct flex_walk *walk)
{
	u32 n = flex_walk_passed(walk);
	u64 now = n && walk->now ? READ_ONCE(*walk->now) : 0;

	return now ? (now - 1) % n : 0;
}

/** flex_walk_rewind() - begin with what is needed last. The slot table is locked. */
void flex_walk_rewind(struct flex_walk *walk)
{
	walk->at = flex_walk_at(walk);
	walk->step = 0;
	walk->cursor = 0;
}

/** flex_walk_follow() - begin again if the pass has gone on. The slot table is locked. */
void flex_walk_follow(struct flex_walk *walk)
{
	if (flex_walk_at(walk) != walk->at)
		flex_walk_rewind(walk);
}

/* The run that goes after @step others. */
static u32 flex_walk_run(const struct flex_walk *walk, u32 step)
{
	u32 n = flex_walk_passed(walk);

	if (step < n)
		return FLEX_WALK_PASS + (walk->at + n - 1 - step) % n;
	return walk->runs - 1 - step;
}

/**
 * flex_walk_next() - the next page that recall looks at
 * @walk: of a range; the slot table is locked
 * @index: gets the page, from the start of the range
 *
 * Return: false when it has been at all of them.
 */
bool flex_walk_next(struct flex_walk *walk, u32 *index)
{
	while (!walk->cursor) {
		if (walk->step == walk->runs)
			return false;
		walk->victim = flex_walk_run(walk, walk->step++);
		walk->cursor = walk->run[walk->victim].count;
	}
	*index = walk->run[walk->victim].first + --walk->cursor;
	return true;
}
