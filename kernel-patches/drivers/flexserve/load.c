// SPDX-License-Identifier: GPL-2.0-only
/*
 * From Linux to the secure world: the file read straight into pages (take.c),
 * these donated and claimed in batches.
 */
#include <linux/errno.h>
#include <linux/highmem.h>
#include <linux/slab.h>
#include <linux/uio.h>
#include "memory.h"

static void flex_free_pages(struct page **page, u32 count)
{
	u32 i;

	for (i = 0; i < count; i++)
		__free_page(page[i]);
}

static ssize_t flex_read_some(struct file *file, loff_t at, struct iov_iter *iter, bool direct)
{
	struct kiocb iocb;

	init_sync_kiocb(&iocb, file);
	iocb.ki_pos = at;
	iocb.ki_flags &= ~IOCB_DIRECT;
	if (direct)
		iocb.ki_flags |= IOCB_DIRECT;
	return vfs_iocb_iter_read(file, &iocb, iter);
}

static bool flex_direct_refused(ssize_t ret)
{
	return ret == -EINVAL || ret == -EOPNOTSUPP;
}

/**
 * flex_read_pages() - read a file straight into pages
 * @file: open for reading
 * @at: byte offset, a multiple of the page size
 * @vec: one entry a page, whole pages
 * @pages: of them
 * @bytes: size of the file; what lies behind it in the last page becomes zero
 *
 * Direct I/O, buffered where the file system refuses that. May sleep.
 * Return: 0, -EIO for a file that became shorter, or the error of the read.
 */
int flex_read_pages(struct file *file, loff_t at, struct bio_vec *vec, u32 pages, u64 bytes)
{
	size_t room = (size_t)pages << PAGE_SHIFT;
	size_t need = min_t(u64, room, bytes - at);
	bool direct = file->f_mode & FMODE_CAN_ODIRECT;
	struct iov_iter iter;
	size_t got = 0;

	while (got < need) {
		ssize_t ret;

		iov_iter_bvec(&iter, ITER_DEST, vec, pages, room);
		iov_iter_advance(&iter, got);
		ret = flex_read_some(file, at + got, &iter, direct);
		if (direct && flex_direct_refused(ret)) {
			direct = false;
			continue;
		}
		if (ret <= 0)
			return ret ? ret : -EIO;
		got += ret;
	}
	if (need & ~PAGE_MASK)
		memzero_page(vec[(need - 1) >> PAGE_SHIFT].bv_page, need & ~PAGE_MASK,
			     PAGE_SIZE - (need & ~PAGE_MASK));
	return 0;
}

/* Pages are about to become the payload's: of a sealed model that takes as long as decryption. */
static void flex_decrypt_begin(const struct flex_range *range, struct flex_clock *clock)
{
	if (READ_ONCE(range->decrypts))
		flex_clock_enter(clock, FLEX_PART_DECRYPT);
}

/* And the payload says how long it has decrypted. What does once is known from then on. */
static void flex_decrypt_end(struct flex_range *range, struct flex_clock *clock, u64 ticks)
{
	if (!ticks || READ_ONCE(range->decrypts))
		return;
	WRITE_ONCE(range->decrypts, true);
	flex_clock_shift(clock, FLEX_PART_DECRYPT, ticks);
}

/* The lease's mailbox names the pages. Return: how many are the slots' now. */
static u32 flex_donate_batch(struct flex_mailbox_lease *lease, struct flex_range *range, u32 index,
			     u32 count, struct flex_clock *clock, u32 *donated, s64 *error)
{
	struct arm_smccc_1_2_regs res;

	*donated = flex_monitor_batch(FLEX_MON_DONATE, lease->index, count, error);
	atomic_long_add(*donated, &flex_secure_pages);
	flex_count(FLEX_COUNT_DONATED, *donated);
	if (!*donated)
		return 0;
	if (*error != FLEX_OK)
		return 0;
	flex_decrypt_begin(range, clock);
	*error = flex_payload_call(FLEX_OP_CLAIM, lease->index, *donated, range->first + index, &res);
	if (*error == FLEX_OK)
		flex_decrypt_end(range, clock, res.a3);
	/* Even a claim that failed says how far it came; a panic forgets all. */
	return *error == FLEX_E_PANIC ? 0 : min_t(u64, res.a2, *donated);
}

/*
 * flex_donate() - give pages to the secure world, into slots
 * @range: nobody else loads these slots
 * @index: first slot, empty, from the start of the range
 * @page: pages, the caller's no longer, whatever happens
 * @count: of them, at most FLEX_BATCH
 * @clock: is told when decryption begins, or NULL
 *
 * May sleep. Return: 0 when all lie in their slots; otherwise a negative
 * errno, and those that do not are free again.
 */
static int flex_donate(struct flex_range *range, u32 index, struct page **page, u32 count,
		       struct flex_clock *clock)
{
	struct flex_mailbox_lease *lease;
	u32 i, donated, claimed;
	s64 error;
	int ret;

	ret = flex_protect_get();
	if (ret) {
		flex_free_pages(page, count);
		return ret;
	}

	lease = flex_mailbox_get(false);
	for (i = 0; i < count; i++) {
		__SetPageOffline(page[i]);
		lease->memory->page[i] = flex_page_address(page[i]);
	}
	claimed = flex_donate_batch(lease, range, index, count, clock, &donated, &error);
	flex_mailbox_put(lease);

	for (i = 0; i < claimed; i++)
		flex_movable_set(page[i], range->first + index + i);
	flex_range_publish(range, index, page, claimed);
	flex_reclaim_mark(range->group);
	if (claimed < donated)
		flex_recall_pages(page + claimed, donated - claimed);
	for (i = donated; i < count; i++)
		__ClearPageOffline(page[i]);
	flex_free_pages(page + donated, count - donated);
	flex_protect_put();

	if (claimed == count)
		return 0;
	ret = flex_errno(error);
	return ret ? ret : -EIO;
}

static int flex_load_run(struct flex_range *range, u32 index, u32 *run, struct file *file,
			 u64 bytes, struct flex_batch *batch, struct flex_clock *clock)
{
	u32 i, got;
	int ret = 0;

	flex_clock_enter(clock, FLEX_PART_ALLOCATE);
	got = flex_alloc_pages(batch->page, *run, range);
	if (!got)
		return -ENOMEM;

	if (file) {
		flex_clock_enter(clock, FLEX_PART_READ);
		for (i = 0; i < got; i++)
			bvec_set_page(&batch->vec[i], batch->page[i], PAGE_SIZE, 0);
		ret = flex_read_pages(file, (loff_t)index << PAGE_SHIFT, batch->vec, got, bytes);
	}
	if (ret) {
		flex_free_pages(batch->page, got);
		return ret;
	}

	flex_clock_enter(clock, FLEX_PART_DONATE);
	*run = got;
	return flex_donate(range, index, batch->page, got, clock);
}

/**
 * flex_load() - fill the empty slots of a part of a range
 * @range: nobody else loads this part
 * @index: first slot, from the start of the range
 * @count: slots; what lies behind the range is left out
 * @file: slot i gets page i of it; NULL: whatever the pages hold
 * @bytes: size of the file
 * @batch: scratch, the caller's alone
 * @clock: is told where time goes, or NULL
 * @loaded: pages loaded are added to it
 *
 * May sleep. Return: 0, or a negative errno with the first *loaded done.
 */
int flex_load(struct flex_range *range, u32 index, u32 count, struct file *file, u64 bytes,
	      struct flex_batch *batch, struct flex_clock *clock, u32 *loaded)
{
	u32 end = index + min(count, range->count - min(index, range->count));
	enum flex_part before = flex_clock_enter(clock, FLEX_PART_SWITCH);
	int ret = 0;
	u32 run;

	while (!ret && (run = flex_range_hole(range, &index, end))) {
		ret = flex_load_run(range, index, &run, file, bytes, batch, clock);
		if (!ret) {
			*loaded += run;
			index += run;
			if (file && clock)
				clock->loaded += run;
		}
	}
	flex_clock_enter(clock, before);
	return ret;
}

/**
 * flex_load_blank() - fill empty slots with pages, whatever these hold
 * @range: the caller is its only loader
 * @index: first slot, from the start of the range
 * @count: slots; what lies behind the range is left out
 * @clock: is told where time goes
 *
 * May sleep. Return: 0 or a negative errno.
 */
int flex_load_blank(struct flex_range *range, u32 index, u32 count, struct flex_clock *clock)
{
	struct flex_batch *batch = kvmalloc(sizeof(*batch), GFP_KERNEL);
	u32 loaded = 0;
	int ret = -ENOMEM;

	if (batch)
		ret = flex_load(range, index, count, NULL, 0, batch, clock, &loaded);
	kvfree(batch);
	return ret;
}
