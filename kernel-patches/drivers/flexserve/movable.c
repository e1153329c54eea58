// SPDX-License-Identifier: GPL-2.0-only
/*
 * Secure pages take part in compaction: Linux says where from and where to,
 * the monitor copies (FLEX_MON_MOVE), and the slot goes along. A page that is
 * pinned stays where it is for now.
 *
 * page_private() of a movable page is its slot. From isolation to the end of
 * the migration its slot is FLEX_MOVING, so that nobody recalls it.
 */
#include <linux/errno.h>
#include <linux/migrate.h>
#include <linux/pagemap.h>
#include "memory.h"

static bool flex_page_isolate(struct page *page, isolate_mode_t mode)
{
	return flex_slot_take(page_private(page), page);
}

static void flex_page_putback(struct page *page)
{
	flex_slot_put(page_private(page), page);
}

static s64 flex_page_move(struct page *to, struct page *from)
{
	struct flex_mailbox_lease *lease = flex_mailbox_get(true);
	s64 error;

	lease->memory->page[0] = flex_page_address(from);
	lease->memory->page[FLEX_MOVE_ENTRIES] = flex_page_address(to);
	flex_monitor_batch(FLEX_MON_MOVE, lease->index, 1, &error);
	if (error == FLEX_OK)
		error = READ_ONCE(lease->memory->result[0]);
	flex_mailbox_put(lease);
	return error;
}

/* The new page is charged, the old one no more: migration leaves that to us. */
static void flex_page_charge(struct page *to, struct page *from)
{
	to->memcg_data = from->memcg_data;
	from->memcg_data = 0;
}

static int flex_page_migrate(struct page *to, struct page *from, enum migrate_mode mode)
{
	u32 slot = page_private(from);
	s64 error = flex_page_move(to, from);

	if (error != FLEX_OK)
		return error == FLEX_E_PINNED || error == FLEX_E_BUSY ? -EAGAIN : -EBUSY;

	get_page(to);		/* the slot's reference */
	flex_page_charge(to, from);
	__SetPageOffline(to);
	set_page_private(to, slot);
	__SetPageMovable(to, page_movable_ops(from));
	flex_slot_put(slot, to);

	__ClearPageMovable(from);
	__ClearPageOffline(from);
	set_page_private(from, 0);
	put_page(from);		/* what was the slot's */
	flex_count(FLEX_COUNT_MOVED, 1);
	return MIGRATEPAGE_SUCCESS;
}

static const struct movable_operations flex_movable_ops = {
	.isolate_page = flex_page_isolate,
	.migrate_page = flex_page_migrate,
	.putback_page = flex_page_putback,
};

/**
 * flex_movable_set() - compaction may move a page, as soon as it is in its slot
 * @page: claimed for @slot, and not in it yet
 * @slot: its slot
 */
void flex_movable_set(struct page *page, u32 slot)
{
	lock_page(page);
	set_page_private(page, slot);
	__SetPageMovable(page, &flex_movable_ops);
	unlock_page(page);
}

/**
 * flex_movable_clear() - and no longer
 * @page: in no slot any more; movable or not
 *
 * Waits for an attempt to isolate it.
 */
void flex_movable_clear(struct page *page)
{
	if (!__PageMovable(page))
		return;
	lock_page(page);
	__ClearPageMovable(page);
	set_page_private(page, 0);
	unlock_page(page);
}
