// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory cgroups. Secure pages are charged, as kernel memory, to the group of
 * whoever opened the device, so that a lab can cap them. An obj_cgroup is what
 * is kept of a group: when the group is removed, it becomes its parent's.
 */
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>
#include "flexserve.h"

/** flex_group_of_current() - the caller's group, with a reference */
struct obj_cgroup *flex_group_of_current(void)
{
	return get_obj_cgroup_from_current();
}

/** flex_group_get() - another reference. Return: @group. */
struct obj_cgroup *flex_group_get(struct obj_cgroup *group)
{
	if (group)
		obj_cgroup_get(group);
	return group;
}

/** flex_group_put() - give up a reference */
void flex_group_put(struct obj_cgroup *group)
{
	if (group)
		obj_cgroup_put(group);
}

/**
 * flex_group_begin() - what this task allocates with __GFP_ACCOUNT is charged
 * @group: to this group, whosever task it is
 *
 * Return: what flex_group_end() needs.
 */
struct mem_cgroup *flex_group_begin(struct obj_cgroup *group)
{
	return set_active_memcg(group ? get_mem_cgroup_from_objcg(group) : root_mem_cgroup);
}

/** flex_group_end() - undo flex_group_begin(), which returned @before */
void flex_group_end(struct mem_cgroup *before)
{
	struct mem_cgroup *memcg = set_active_memcg(before);

	if (memcg != root_mem_cgroup)
		mem_cgroup_put(memcg);
}

/**
 * flex_group_short() - whose limit leaves less than so many pages to a group?
 * @group: it
 * @pages: that it is about to be charged for
 *
 * Return: it or the nearest group above it, with a reference; NULL: nobody's.
 */
struct mem_cgroup *flex_group_short(struct obj_cgroup *group, u32 pages)
{
	struct mem_cgroup *charged, *memcg;

	if (!group)
		return NULL;
	charged = get_mem_cgroup_from_objcg(group);
	for (memcg = charged; memcg; memcg = parent_mem_cgroup(memcg))
		if (page_counter_read(&memcg->memory) + pages > READ_ONCE(memcg->memory.max))
			break;
	if (memcg)
		css_get(&memcg->css);
	mem_cgroup_put(charged);
	return memcg;
}

/**
 * flex_group_within() - does reclaim of a group reach what another is charged for?
 * @group: the other
 * @memcg: the one that reclaim is for; not NULL
 * @exact: it is not for the groups below it
 *
 * Any context.
 */
bool flex_group_within(struct obj_cgroup *group, struct mem_cgroup *memcg, bool exact)
{
	struct mem_cgroup *charged;
	bool within;

	rcu_read_lock();
	charged = group ? obj_cgroup_memcg(group) : root_mem_cgroup;
	within = charged == memcg || (!exact && mem_cgroup_is_descendant(charged, memcg));
	rcu_read_unlock();
	return within;
}

/**
 * flex_group_guard() - by which guarantee does a group keep what it is charged for?
 * @group: its
 * @target: from reclaim of this group, or of everything (NULL); it has brought
 *	effective protection up to date
 *
 * Any context. Return: FLEX_GUARD_NONE when it does not.
 */
enum flex_guard flex_group_guard(struct obj_cgroup *group, struct mem_cgroup *target)
{
	enum flex_guard guard = FLEX_GUARD_NONE;
	struct mem_cgroup *charged;

	rcu_read_lock();
	charged = group ? obj_cgroup_memcg(group) : root_mem_cgroup;
	if (mem_cgroup_below_min(target, charged))
		guard = FLEX_GUARD_MIN;
	else if (mem_cgroup_below_low(target, charged))
		guard = FLEX_GUARD_LOW;
	rcu_read_unlock();
	return guard;
}

/**
 * flex_group_mark() - the shrinker has something to do for a group
 * @group: charged for secure pages
 * @shrinker: its id
 */
void flex_group_mark(struct obj_cgroup *group, int shrinker)
{
	if (!group)
		return;		/* the root group's reclaim asks every shrinker */
	rcu_read_lock();
	set_shrinker_bit(obj_cgroup_memcg(group), 0, shrinker);
	rcu_read_unlock();
}
