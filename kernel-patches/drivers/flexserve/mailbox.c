// SPDX-License-Identifier: GPL-2.0-only
/*
 * Leases of mailboxes. The first is kept for reclaim, which must never wait
 * for somebody who waits for memory; the last is never used (it is left to
 * whoever tests the monitor's checks by hand).
 */
#include <linux/bitmap.h>
#include <linux/slab.h>
#include "flexserve.h"

static struct flex_mailbox_lease *flex_leases;
static unsigned long *flex_leased;
static u32 flex_lease_count;
static DEFINE_SPINLOCK(flex_leases_lock);
static DECLARE_WAIT_QUEUE_HEAD(flex_leases_wait);

/**
 * flex_mailboxes_init() - prepare the leases
 *
 * Return: 0, -EINVAL when the firmware has too few mailboxes, or -ENOMEM.
 */
int flex_mailboxes_init(void)
{
	struct flex_mailbox *memory = flex_firmware.shared;
	u32 i;

	BUILD_BUG_ON(sizeof(struct flex_mailbox) != FLEX_MAILBOX_SIZE);
	if (flex_firmware.mailboxes < 3)
		return -EINVAL;

	flex_lease_count = flex_firmware.mailboxes - 1;
	flex_leases = kvcalloc(flex_lease_count, sizeof(*flex_leases), GFP_KERNEL);
	flex_leased = bitmap_zalloc(flex_lease_count, GFP_KERNEL);
	if (!flex_leases || !flex_leased) {
		flex_mailboxes_exit();
		return -ENOMEM;
	}
	for (i = 0; i < flex_lease_count; i++) {
		flex_leases[i].memory = memory + i;
		flex_leases[i].index = i;
	}
	return 0;
}

/** flex_mailboxes_exit() - free the leases; none may be out */
void flex_mailboxes_exit(void)
{
	kvfree(flex_leases);
	bitmap_free(flex_leased);
	flex_leases = NULL;
	flex_leased = NULL;
}

static struct flex_mailbox_lease *flex_mailbox_try(bool reclaim)
{
	struct flex_mailbox_lease *lease = NULL;
	unsigned long index;

	spin_lock(&flex_leases_lock);
	index = find_next_zero_bit(flex_leased, flex_lease_count, 1);
	if (index >= flex_lease_count && reclaim)
		index = find_first_zero_bit(flex_leased, flex_lease_count);
	if (index < flex_lease_count) {
		__set_bit(index, flex_leased);
		lease = &flex_leases[index];
	}
	spin_unlock(&flex_leases_lock);
	return lease;
}

/**
 * flex_mailbox_get() - lease a mailbox, waiting for one if need be
 * @reclaim: the caller frees memory, and may have the last one
 *
 * Return: the lease, never NULL. Give it back with flex_mailbox_put().
 */
struct flex_mailbox_lease *flex_mailbox_get(bool reclaim)
{
	struct flex_mailbox_lease *lease;

	wait_event(flex_leases_wait, (lease = flex_mailbox_try(reclaim)));
	return lease;
}

/**
 * flex_mailbox_put() - give a mailbox back
 * @lease: from flex_mailbox_get()
 */
void flex_mailbox_put(struct flex_mailbox_lease *lease)
{
	spin_lock(&flex_leases_lock);
	__clear_bit(lease->index, flex_leased);
	spin_unlock(&flex_leases_lock);
	wake_up(&flex_leases_wait);
}
