/* SPDX-License-Identifier: BSD-3-Clause */
#include "serving.h"

/* Place in the list of the first range that starts behind a gap of `count`; *first is where the gap begins. */
static unsigned int find_gap(const struct srv_space *space, uint64_t count, uint64_t *first)
{
	unsigned int i;

	*first = 0;
	for (i = 0; i < space->used; i++) {
		if (space->range[i].first - *first >= count)
			break;
		*first = space->range[i].first + space->range[i].count;
	}
	return i;
}

bool srv_space_take(struct srv_space *space, uint64_t count, struct srv_range *range)
{
	uint64_t first;
	unsigned int place = find_gap(space, count, &first);

	if (space->used == SRV_RANGES || count == 0 || space->size - first < count)
		return false;
	memmove(&space->range[place + 1], &space->range[place], (space->used - place) * sizeof(space->range[0]));
	space->range[place] = (struct srv_range){ first, count };
	space->used++;
	*range = space->range[place];
	return true;
}

void srv_space_give(struct srv_space *space, const struct srv_range *range)
{
	for (unsigned int i = 0; i < space->used; i++) {
		if (space->range[i].first != range->first)
			continue;
		space->used--;
		memmove(&space->range[i], &space->range[i + 1], (space->used - i) * sizeof(space->range[0]));
		return;
	}
}

bool srv_range_has(const struct srv_range *range, uint64_t first, uint64_t count)
{
	return first >= range->first && count <= range->count && first - range->first <= range->count - count;
}
