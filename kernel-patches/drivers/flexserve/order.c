// SPDX-License-Identifier: GPL-2.0-only
/*
 * The order in which a model's pages go. The payload knows in which order a
 * pass uses them and where it is, and publishes both (struct flex_order); the
 * driver believes no more of it than that these are pages of the model, and
 * recalls all of them in the end (walk.c).
 */
#include <linux/errno.h>
#include <linux/slab.h>
#include "memory.h"

static const struct flex_order *flex_order_of(u32 model)
{
	void *comm = flex_status();

	return comm + FLEX_COMM_ORDER + (size_t)model * FLEX_COMM_ORDER_SIZE;
}

/* One copy, checked afterwards. Return: runs, 0 when any of them is not the model's. */
static u32 flex_order_copy(const struct flex_order *from, struct flex_run *run, u32 pages)
{
	u32 count = min_t(u64, READ_ONCE(from->count), FLEX_ORDER_RUNS);
	u32 i;

	for (i = 0; i < count; i++) {
		u64 word = READ_ONCE(from->run[i]);

		run[i].first = word >> 32;
		run[i].count = word;
		if (run[i].first >= pages || run[i].count > pages - run[i].first)
			return 0;
	}
	return count;
}

/**
 * flex_order_read() - take over what the payload published about a model
 * @range: the model's
 * @model: its number; it has been started
 *
 * May sleep. Without an order, for want of memory too, last slots go first.
 */
void flex_order_read(struct flex_range *range, u32 model)
{
	const struct flex_order *order = flex_order_of(model);
	struct flex_run *run;
	u32 count;

	if (model >= FLEX_MODELS)
		return;
	run = kvcalloc(FLEX_ORDER_RUNS + 1, sizeof(*run), GFP_KERNEL);
	if (!run)
		return;
	run[FLEX_WALK_REST] = (struct flex_run){ 0, range->count };
	count = flex_order_copy(order, run + FLEX_WALK_OPENS, range->count);
	flex_range_order(range, run, FLEX_WALK_OPENS + count, &order->at);
}
