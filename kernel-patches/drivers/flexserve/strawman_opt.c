// SPDX-License-Identifier: GPL-2.0-only
/*
 * The optimised strawman: the same contiguous region, allocated, secured and
 * given back for each request, but read, decrypted and computed on in a
 * pipeline. Segments are read by as many threads as flexserve's loader has, in
 * any order; they are secured and handed to the payload in theirs, since the
 * region only grows at its end. What is there all threads decrypt together.
 */
#include <linux/errno.h>
#include <linux/slab.h>
#include "request.h"

struct flex_stream_thread {
	struct flex_stream *stream;
	u64 at;			/* the segment in hand; behind the region: none */
	struct flex_clock clock;
};

struct flex_stream {
	struct flex_request *request;
	spinlock_t lock;
	wait_queue_head_t wait;	/* a step was made */
	u64 next;		/* where the segment begins that nobody reads yet */
	u64 ready;		/* bytes that the payload has */
	u32 threads;
	int error;
	bool parsed;		/* the payload has the key, or never gets it */
	bool stopped;
	struct flex_stream_thread thread[FLEX_LOADERS];
};

static bool flex_stream_take(struct flex_stream *stream, struct flex_stream_thread *thread)
{
	const struct flex_region *region = &stream->request->region;
	bool taken;

	spin_lock(&stream->lock);
	taken = !stream->error && !stream->stopped && stream->next < region->size;
	if (taken) {
		WRITE_ONCE(thread->at, stream->next);
		stream->next += region->segment;
	}
	spin_unlock(&stream->lock);
	return taken;
}

/* It is this segment's turn: all before it are the payload's. */
static int flex_stream_hand_over(struct flex_stream *stream, struct flex_stream_thread *thread)
{
	struct flex_region *region = &stream->request->region;
	int ret;

	flex_clock_enter(&thread->clock, FLEX_PART_DONATE);
	ret = flex_region_secure(region);
	if (!ret)
		ret = flex_strawman_hand_over(stream->request, thread->at,
					      region->secured - thread->at);
	if (ret)
		return ret;
	/* The next segment's thread goes on from here, and decrypts beside this one. */
	WRITE_ONCE(stream->ready, region->secured);
	return flex_strawman_unseal(stream->request, &thread->clock);
}

static int flex_stream_segment(struct flex_stream *stream, struct flex_stream_thread *thread)
{
	const struct flex_model *model = stream->request->model;
	int ret;

	flex_clock_enter(&thread->clock, FLEX_PART_READ);
	ret = flex_region_read(&stream->request->region, thread->at, model->file, model->bytes);
	flex_clock_enter(&thread->clock, FLEX_PART_SWITCH);
	if (ret)
		return ret;
	wait_event(stream->wait, READ_ONCE(stream->ready) == thread->at || READ_ONCE(stream->error));
	if (stream->error)
		return stream->error;
	return flex_stream_hand_over(stream, thread);
}

/* What came before the payload had the model's key. */
static int flex_stream_rest(struct flex_stream *stream, struct flex_stream_thread *thread)
{
	wait_event(stream->wait, READ_ONCE(stream->parsed) || READ_ONCE(stream->error));
	if (READ_ONCE(stream->stopped) || READ_ONCE(stream->error))
		return 0;
	return flex_strawman_unseal(stream->request, &thread->clock);
}

static void flex_stream_thread(void *data)
{
	struct flex_stream_thread *thread = data;
	struct flex_stream *stream = thread->stream;
	int ret = 0;

	flex_clock_start(&thread->clock, flex_ticks());
	while (!ret && flex_stream_take(stream, thread)) {
		ret = flex_stream_segment(stream, thread);
		flex_clock_enter(&thread->clock, FLEX_PART_SWITCH);
	}
	if (!ret)
		ret = flex_stream_rest(stream, thread);
	spin_lock(&stream->lock);
	if (ret)
		WRITE_ONCE(stream->error, ret);
	WRITE_ONCE(thread->at, stream->request->region.size);
	WRITE_ONCE(stream->threads, stream->threads - 1);
	/* Under the lock: whoever waits for the last thread frees the stream. */
	wake_up_all(&stream->wait);
	spin_unlock(&stream->lock);
}

static int flex_stream_start(struct flex_request *request)
{
	struct flex_stream *stream = kzalloc(sizeof(*stream), GFP_KERNEL);
	u32 i;

	if (!stream)
		return -ENOMEM;
	spin_lock_init(&stream->lock);
	init_waitqueue_head(&stream->wait);
	stream->request = request;
	request->stream = stream;
	for (i = 0; i < FLEX_LOADERS; i++) {
		stream->thread[i].stream = stream;
		stream->thread[i].at = request->region.size;
		stream->thread[i].clock.watched = &stream->wait;
		spin_lock(&stream->lock);
		stream->threads++;
		spin_unlock(&stream->lock);
		if (!flex_worker_start(flex_stream_thread, &stream->thread[i]))
			continue;
		spin_lock(&stream->lock);
		stream->threads--;
		stream->error = -ENOMEM;
		spin_unlock(&stream->lock);
	}
	return 0;
}

/* Nobody has to wait for the key any more. */
static void flex_stream_parsed(struct flex_stream *stream)
{
	WRITE_ONCE(stream->parsed, true);
	wake_up_all(&stream->wait);
}

static void flex_stream_stop(struct flex_request *request)
{
	struct flex_stream *stream = request->stream;

	if (!stream)
		return;
	spin_lock(&stream->lock);
	stream->stopped = true;
	spin_unlock(&stream->lock);
	flex_stream_parsed(stream);
	wait_event(stream->wait, !READ_ONCE(stream->threads));
	/* The last thread may still hold it. */
	spin_lock(&stream->lock);
	spin_unlock(&stream->lock);
	kfree(stream);
	request->stream = NULL;
}

struct flex_stream_need {
	struct flex_stream *stream;
	u64 at;
};

/* Is the byte the payload's? *part: what the segments before it are in. */
static bool flex_stream_over(void *context, enum flex_part *part)
{
	struct flex_stream_need *need = context;
	struct flex_stream *stream = need->stream;
	u64 ready = READ_ONCE(stream->ready);
	u32 i;

	if (ready > need->at || READ_ONCE(stream->error))
		return true;
	*part = FLEX_PART_SWITCH;
	for (i = 0; i < FLEX_LOADERS; i++)
		if (READ_ONCE(stream->thread[i].at) == ready)
			*part = READ_ONCE(stream->thread[i].clock.part);
	return false;
}

static int flex_strawman_opt_need(struct flex_request *request, u32 index)
{
	struct flex_stream_need need = { request->stream, (u64)index << PAGE_SHIFT };

	if (need.at >= request->region.size)
		return -EINVAL;
	flex_clock_follow(&request->clock, &request->stream->wait, flex_stream_over, &need);
	return READ_ONCE(request->stream->ready) > need.at ? 0 : READ_ONCE(request->stream->error);
}

static int flex_strawman_opt_parse_need(void *context, u32 index)
{
	return flex_strawman_opt_need(context, index);
}

/* The first segment tells the payload that the model lies in a region: only then it may parse. */
static int flex_strawman_opt_open(struct flex_request *request)
{
	int ret;

	ret = flex_strawman_begin(request);
	if (!ret)
		ret = flex_strawman_alloc(request, FLEX_REGIONS);
	if (!ret)
		ret = flex_stream_start(request);
	if (!ret)
		ret = flex_strawman_opt_need(request, 0);
	if (!ret)
		ret = flex_model_parse(request->model, &request->clock,
				       flex_strawman_opt_parse_need, request,
				       request->result.reason);
	if (!ret)
		flex_stream_parsed(request->stream);
	return ret;
}

static void flex_strawman_opt_work(struct flex_request *request, struct flex_work *work)
{
	u32 i, part;

	memset(work, 0, sizeof(*work));
	for (i = 0; request->stream && i < FLEX_LOADERS; i++)
		for (part = 0; part < FLEX_PARTS; part++)
			work->busy[part] += READ_ONCE(request->stream->thread[i].clock.busy[part]);
}

static bool flex_strawman_opt_decrypts(struct flex_request *request)
{
	u32 i;

	for (i = 0; i < FLEX_LOADERS; i++)
		if (READ_ONCE(request->stream->thread[i].clock.part) == FLEX_PART_DECRYPT)
			return true;
	return false;
}

static void flex_strawman_opt_close(struct flex_request *request)
{
	flex_stream_stop(request);
	flex_strawman_end(request);
}

const struct flex_mode flex_mode_strawman_opt = {
	.open = flex_strawman_opt_open,
	.need = flex_strawman_opt_need,
	.work = flex_strawman_opt_work,
	.decrypts = flex_strawman_opt_decrypts,
	.close = flex_strawman_opt_close,
};
