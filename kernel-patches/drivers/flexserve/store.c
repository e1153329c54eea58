// SPDX-License-Identifier: GPL-2.0-only
/*
 * A file that keeps what the payload puts aside of a conversation, encrypted.
 * Its blocks and the pages that chunks pass through are there beforehand: it
 * is written when memory is short.
 */
#include <linux/errno.h>
#include <linux/file.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uio.h>
#include "model.h"

#define FLEX_STORE_PAGES (FLEX_PROMPT_BYTES / PAGE_SIZE)

/* One at a time: of the payload's threads it takes one, and memory that others wait for is soonest free. */
static DEFINE_MUTEX(flex_sealing_lock);

struct flex_store {
	struct file *file;
	u64 bytes;
	struct page *page[FLEX_STORE_PAGES];
	struct bio_vec vec[FLEX_STORE_PAGES];
};

/** flex_store_free() - the file is of no use any more; NULL is fine */
void flex_store_free(struct flex_store *store)
{
	u32 i;

	if (!store)
		return;
	for (i = 0; i < FLEX_STORE_PAGES; i++)
		if (store->page[i])
			__free_page(store->page[i]);
	fput(store->file);
	kfree(store);
}

/**
 * flex_store_new() - keep chunks in a file
 * @file: regular, open for reading and writing; gets a reference
 *
 * Return: the store, or NULL: no memory.
 */
struct flex_store *flex_store_new(struct file *file)
{
	struct flex_store *store = kzalloc(sizeof(*store), GFP_KERNEL);
	u32 i;

	if (!store)
		return NULL;
	store->file = get_file(file);
	store->bytes = i_size_read(file_inode(file));
	for (i = 0; i < FLEX_STORE_PAGES; i++) {
		store->page[i] = alloc_page(GFP_KERNEL);
		if (!store->page[i]) {
			flex_store_free(store);
			return NULL;
		}
		bvec_set_page(&store->vec[i], store->page[i], PAGE_SIZE, 0);
	}
	return store;
}

/* Where a chunk lies; false: not in this file. */
static bool flex_store_place(const struct flex_store *store, u64 index, loff_t *at)
{
	*at = index * FLEX_PROMPT_BYTES;
	return index < store->bytes / FLEX_PROMPT_BYTES;
}

static ssize_t flex_store_write_some(struct flex_store *store, loff_t at, size_t done)
{
	struct iov_iter iter;
	struct kiocb iocb;

	init_sync_kiocb(&iocb, store->file);
	iocb.ki_pos = at + done;
	if (store->file->f_mode & FMODE_CAN_ODIRECT)
		iocb.ki_flags |= IOCB_DIRECT;
	iov_iter_bvec(&iter, ITER_SOURCE, store->vec, FLEX_STORE_PAGES, FLEX_PROMPT_BYTES);
	iov_iter_advance(&iter, done);
	return vfs_iocb_iter_write(store->file, &iocb, &iter);
}

/* Return: 0, -ENOSPC for a chunk that has no place, or the error of the write. */
static int flex_store_put(struct flex_store *store, u64 index, const unsigned char *chunk)
{
	size_t done = 0;
	ssize_t ret;
	loff_t at;
	u32 i;

	if (!flex_store_place(store, index, &at))
		return -ENOSPC;
	for (i = 0; i < FLEX_STORE_PAGES; i++)
		memcpy(page_address(store->page[i]), chunk + i * PAGE_SIZE, PAGE_SIZE);
	while (done < FLEX_PROMPT_BYTES) {
		ret = flex_store_write_some(store, at, done);
		if (ret <= 0)
			return ret ? ret : -EIO;
		done += ret;
	}
	return 0;
}

/**
 * flex_store_get() - a chunk back from the file, whatever it is by now
 * @store: NULL: there is none
 * @index: number that the payload gave it
 * @chunk: FLEX_PROMPT_BYTES
 *
 * May sleep. Return: 0 or a negative errno.
 */
int flex_store_get(struct flex_store *store, u64 index, unsigned char *chunk)
{
	loff_t at;
	int ret;
	u32 i;

	if (!store || !flex_store_place(store, index, &at))
		return -ENOENT;
	ret = flex_read_pages(store->file, at, store->vec, FLEX_STORE_PAGES,
			      i_size_read(file_inode(store->file)));
	for (i = 0; !ret && i < FLEX_STORE_PAGES; i++)
		memcpy(chunk + i * PAGE_SIZE, page_address(store->page[i]), PAGE_SIZE);
	return ret;
}

/* A session that is being put aside. */
struct flex_sealing {
	struct flex_store *store;
	struct flex_session_comm *comm;
	struct flex_watchdog watchdog;
	int error;	/* of the file */
};

static s64 flex_sealing_turn(struct flex_call *call, u64 ticks)
{
	struct flex_sealing *sealing = call->context;

	atomic64_add(ticks, &sealing->watchdog.spent);
	return flex_watchdog_late(&sealing->watchdog, READ_ONCE(sealing->comm->heartbeat)) ?
	       FLEX_E_TIMEOUT : FLEX_OK;
}

static s64 flex_sealing_yielded(struct flex_call *call, u64 reason,
				const struct arm_smccc_1_2_regs *values)
{
	struct flex_sealing *sealing = call->context;

	if (reason != FLEX_YIELD_PUT)
		return FLEX_E_INVAL;
	sealing->error = flex_store_put(sealing->store, values->a3, sealing->comm->prompt);
	return sealing->error ? FLEX_E_CANCELLED : FLEX_OK;
}

static const struct flex_call_ops flex_sealing_ops = {
	.turn = flex_sealing_turn,
	.yielded = flex_sealing_yielded,
};

/**
 * flex_store_seal() - have the payload put a session aside
 * @store: gets it; the caller's alone
 * @session: the payload's number; nobody computes in it meanwhile
 * @bytes: out: written
 *
 * May sleep, and takes what it needs from Linux's reserves: it makes memory
 * free. Return: 0, -ESTALE when a part of it is gone already, or another
 * negative errno.
 */
int flex_store_seal(struct flex_store *store, u32 session, u64 *bytes)
{
	struct flex_sealing sealing = { .store = store, .comm = flex_session_comm(session) };
	struct flex_call call = { .op = FLEX_OP_SESSION_SEAL, .arg = { session },
				  .ops = &flex_sealing_ops, .context = &sealing };
	unsigned int reserves;
	s64 error;

	mutex_lock(&flex_sealing_lock);
	reserves = memalloc_noreclaim_save();
	sealing.watchdog.heartbeat = READ_ONCE(sealing.comm->heartbeat);
	error = flex_payload_run(&call);
	memalloc_noreclaim_restore(reserves);
	mutex_unlock(&flex_sealing_lock);
	if (error == FLEX_E_TIMEOUT)
		flex_payload_restart();
	*bytes = error == FLEX_OK ? call.result.a2 * FLEX_PROMPT_BYTES : 0;
	if (sealing.error)
		return sealing.error;
	return error == FLEX_E_STATE ? -ESTALE : flex_errno(error);
}
