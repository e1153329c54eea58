// SPDX-License-Identifier: GPL-2.0-only
/*
 * The loading side of the pipeline: kernel threads that allocate, read, donate
 * and claim a model's missing pages in the order of the file, which is that of
 * the layers, while the layers that are there compute. What a layer waits for
 * goes first.
 *
 * A chunk is in one thread's hands; different chunks are in different stages
 * at the same time. What decides whether a layer can compute is the payload's
 * pin alone: nothing here is believed there.
 */
#include <linux/errno.h>
#include <linux/file.h>
#include <linux/slab.h>
#include "model.h"

#define FLEX_CHUNK 256	/* pages: a read that is worth its call, and little to wait for */

/**
 * flex_loader_init() - nobody loads yet
 * @loader: zeroed, beside the range that it fills
 * @range: of a model
 */
void flex_loader_init(struct flex_loader *loader, struct flex_range *range)
{
	u32 i;

	mutex_init(&loader->pick);
	init_waitqueue_head(&loader->wait);
	loader->range = range;
	for (i = 0; i < FLEX_LOADERS; i++) {
		loader->chunk[i].loader = loader;
		loader->chunk[i].clock.watched = &loader->wait;
	}
}

/* The chunk under way that has a page, or NULL. */
static struct flex_chunk *flex_loader_chunk(struct flex_loader *loader, u32 index)
{
	struct flex_chunk *chunk;

	for (chunk = loader->chunk; chunk < loader->chunk + FLEX_LOADERS; chunk++) {
		u32 first = READ_ONCE(chunk->index), count = READ_ONCE(chunk->count);

		if (index >= first && index - first < count)
			return chunk;
	}
	return NULL;
}

/* Pages from @index on, up to the next chunk under way. */
static u32 flex_loader_room(const struct flex_loader *loader, u32 index, u32 count)
{
	const struct flex_chunk *chunk;

	for (chunk = loader->chunk; chunk < loader->chunk + FLEX_LOADERS; chunk++)
		if (chunk->count && chunk->index > index)
			count = min(count, chunk->index - index);
	return min_t(u32, count, FLEX_CHUNK);
}

/* The next hole that nobody fills becomes the chunk's. loader->pick held. */
static bool flex_loader_find(struct flex_loader *loader, struct flex_chunk *chunk)
{
	u32 index = loader->next, run;

	while ((run = flex_range_hole(loader->range, &index, loader->range->count))) {
		const struct flex_chunk *other = flex_loader_chunk(loader, index);

		if (other) {
			index = other->index + other->count;
			continue;
		}
		WRITE_ONCE(chunk->index, index);
		WRITE_ONCE(chunk->count, flex_loader_room(loader, index, run));
		WRITE_ONCE(loader->next, index + chunk->count);
		return true;
	}
	WRITE_ONCE(loader->next, loader->range->count);
	return false;
}

/* Return: false when there is nothing more to do for this thread. */
static bool flex_loader_pick(struct flex_loader *loader, struct flex_chunk *chunk, int error)
{
	bool found = false;

	mutex_lock(&loader->pick);
	WRITE_ONCE(chunk->count, 0);
	if (error)
		WRITE_ONCE(loader->error, error);
	if (loader->users && !loader->error)
		found = flex_loader_find(loader, chunk);
	if (!found) {
		chunk->running = false;
		WRITE_ONCE(loader->threads, loader->threads - 1);
	}
	/* Under the lock: whoever waits for the last thread frees the loader. */
	wake_up_all(&loader->wait);
	mutex_unlock(&loader->pick);
	return found;
}

static void flex_loader_thread(void *data)
{
	struct flex_chunk *chunk = data;
	struct flex_loader *loader = chunk->loader;
	struct flex_batch *batch = kvmalloc(sizeof(*batch), GFP_KERNEL);
	struct file *file = chunk->file;
	int ret = batch ? 0 : -ENOMEM;

	flex_clock_start(&chunk->clock, flex_ticks());
	while (flex_loader_pick(loader, chunk, ret)) {
		u32 loaded = 0;

		ret = flex_load(loader->range, chunk->index, chunk->count, file, loader->bytes,
				batch, &chunk->clock, &loaded);
	}
	kvfree(batch);
	fput(file);
}

/* Have all threads at work, if there is work. loader->pick held. */
static void flex_loader_start(struct flex_loader *loader)
{
	struct flex_chunk *chunk;

	if (flex_range_held(loader->range) == loader->range->count)
		return;
	for (chunk = loader->chunk; chunk < loader->chunk + FLEX_LOADERS; chunk++) {
		if (chunk->running)
			continue;
		chunk->file = get_file(loader->file);
		chunk->running = true;
		WRITE_ONCE(loader->threads, loader->threads + 1);
		if (!flex_worker_start(flex_loader_thread, chunk))
			continue;
		fput(chunk->file);
		chunk->running = false;
		WRITE_ONCE(loader->threads, loader->threads - 1);
		WRITE_ONCE(loader->error, -ENOMEM);
	}
}

/**
 * flex_loader_begin() - somebody is about to use the model: read ahead for it
 * @loader: flex_loader_end() is due
 * @file: the model's; the caller keeps it open until then
 * @bytes: its size
 */
void flex_loader_begin(struct flex_loader *loader, struct file *file, u64 bytes)
{
	mutex_lock(&loader->pick);
	loader->file = file;
	loader->bytes = bytes;
	if (!loader->users++)
		WRITE_ONCE(loader->next, 0);
	WRITE_ONCE(loader->error, 0);
	flex_loader_start(loader);
	mutex_unlock(&loader->pick);
}

/** flex_loader_end() - undo flex_loader_begin(); chunks under way are finished */
void flex_loader_end(struct flex_loader *loader)
{
	mutex_lock(&loader->pick);
	loader->users--;
	mutex_unlock(&loader->pick);
}

/** flex_loader_stop() - wait until nothing is under way; nobody uses the model */
void flex_loader_stop(struct flex_loader *loader)
{
	wait_event(loader->wait, !READ_ONCE(loader->threads));
	/* The last thread may still hold it. */
	mutex_lock(&loader->pick);
	mutex_unlock(&loader->pick);
}

/* The first chunk under way, or NULL. */
static struct flex_chunk *flex_loader_busy(struct flex_loader *loader)
{
	struct flex_chunk *chunk;

	for (chunk = loader->chunk; chunk < loader->chunk + FLEX_LOADERS; chunk++)
		if (READ_ONCE(chunk->count))
			return chunk;
	return NULL;
}

struct flex_loader_need {
	struct flex_loader *loader;
	u32 index;
};

/* Is the page there, or is it time to ask again? *part: what it waits for. */
static bool flex_loader_over(void *context, enum flex_part *part)
{
	struct flex_loader_need *need = context;
	struct flex_loader *loader = need->loader;
	const struct flex_chunk *chunk;

	if (flex_slots_page(loader->range->first + need->index) || READ_ONCE(loader->error))
		return true;
	*part = FLEX_PART_SWITCH;
	chunk = flex_loader_chunk(loader, need->index);
	if (!chunk && READ_ONCE(loader->next) > need->index)
		return true;	/* it came, and was taken back already */
	if (!chunk)
		chunk = flex_loader_busy(loader);	/* it comes next */
	if (chunk)
		*part = READ_ONCE(chunk->clock.part);
	return false;
}

/**
 * flex_loader_need() - somebody cannot go on without a page
 * @loader: between begin and end
 * @index: of the page, from the start of the range
 * @clock: is told what the wait was for, or NULL
 *
 * May sleep. Return: 0 and the page has come (it may be gone again), or why
 * loading failed.
 */
int flex_loader_need(struct flex_loader *loader, u32 index, struct flex_clock *clock)
{
	struct flex_loader_need need = { .loader = loader, .index = index };

	if (index >= loader->range->count)
		return -EINVAL;
	flex_range_missed(loader->range, index);
	mutex_lock(&loader->pick);
	/* Reading ahead may have met its limit: this page is another matter. */
	WRITE_ONCE(loader->error, 0);
	if (!flex_loader_chunk(loader, index))
		WRITE_ONCE(loader->next, index);
	flex_loader_start(loader);
	mutex_unlock(&loader->pick);
	flex_clock_follow(clock, &loader->wait, flex_loader_over, &need);
	return flex_slots_page(loader->range->first + index) ? 0 : READ_ONCE(loader->error);
}

/**
 * flex_loader_work() - what the threads have done since the model was opened
 * @loader: of the model
 * @work: gets the sums
 */
void flex_loader_work(const struct flex_loader *loader, struct flex_work *work)
{
	u32 i, part;

	memset(work, 0, sizeof(*work));
	for (i = 0; i < FLEX_LOADERS; i++) {
		work->loaded += READ_ONCE(loader->chunk[i].clock.loaded);
		for (part = 0; part < FLEX_PARTS; part++)
			work->busy[part] += READ_ONCE(loader->chunk[i].clock.busy[part]);
	}
}

/**
 * flex_loader_decrypts() - is one of the threads decrypting just now?
 * @loader: of the model
 */
bool flex_loader_decrypts(const struct flex_loader *loader)
{
	u32 i;

	for (i = 0; i < FLEX_LOADERS; i++)
		if (READ_ONCE(loader->chunk[i].clock.part) == FLEX_PART_DECRYPT)
			return true;
	return false;
}
