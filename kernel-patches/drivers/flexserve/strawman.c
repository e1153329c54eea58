// SPDX-License-Identifier: GPL-2.0-only
/*
 * A strawman's request: the whole model comes into a contiguous region and is
 * decrypted there before anything is computed, and all of it goes after the
 * last token.
 */
#include <linux/completion.h>
#include <linux/errno.h>
#include "request.h"

/**
 * flex_strawman_begin() - the model is the request's, with no memory yet
 * @request: flex_strawman_end() is due whatever the result
 *
 * One strawman at a time: its region is all that there is. May sleep.
 * Return: 0 or a negative errno.
 */
int flex_strawman_begin(struct flex_request *request)
{
	int ret;

	mutex_lock(&flex_region_lock);
	ret = flex_model_begin(request->model, &request->clock, request->result.reason);
	if (ret)
		return ret;
	request->has_model = true;
	mutex_lock(&flex_models_lock);
	ret = flex_model_reserve(request->model, request->result.reason);
	mutex_unlock(&flex_models_lock);
	return ret;
}

/**
 * flex_strawman_alloc() - contiguous memory for the whole model
 * @request: of flex_strawman_begin()
 * @segments: as flex_region_alloc()
 *
 * May sleep for long. Return: 0 or -ENOMEM.
 */
int flex_strawman_alloc(struct flex_request *request, u32 segments)
{
	int ret;

	flex_clock_enter(&request->clock, FLEX_PART_ALLOCATE);
	ret = flex_region_alloc(&request->region, request->model->bytes, segments);
	flex_clock_enter(&request->clock, FLEX_PART_SWITCH);
	if (ret)
		snprintf(request->result.reason, FLEX_REASON_BYTES,
			 "no contiguous region of %llu bytes", request->region.size);
	else
		request->clock.loaded += request->region.size >> PAGE_SHIFT;
	return ret;
}

/**
 * flex_strawman_hand_over() - a segment becomes the payload's
 * @request: its region has the segment, secured
 * @at: where that begins
 * @bytes: of it
 *
 * May sleep. Return: 0 or a negative errno.
 */
int flex_strawman_hand_over(struct flex_request *request, u64 at, u64 bytes)
{
	return flex_errno(flex_payload_call(FLEX_OP_MODEL_REGION, request->model->id,
					    request->region.base + at, bytes, NULL));
}

/**
 * flex_strawman_unseal() - decrypt what the payload has of the region
 * @request: of flex_strawman_begin()
 * @clock: of the calling thread; others may do the same at the same time
 *
 * Without a model that has been parsed there is nothing to do yet. May sleep.
 * Return: 0 or a negative errno.
 */
int flex_strawman_unseal(struct flex_request *request, struct flex_clock *clock)
{
	enum flex_part before = flex_clock_enter(clock, FLEX_PART_DECRYPT);
	s64 error = flex_payload_call(FLEX_OP_MODEL_UNSEAL, request->model->id, 0, 0, NULL);

	flex_clock_enter(clock, before);
	return flex_errno(error);
}

/** flex_strawman_end() - undo all of it; nobody computes or loads */
void flex_strawman_end(struct flex_request *request)
{
	mutex_lock(&flex_models_lock);
	flex_model_shut(request->model);
	mutex_unlock(&flex_models_lock);
	flex_region_release(&request->region);
	if (request->has_model)
		flex_model_end(request->model);
	mutex_unlock(&flex_region_lock);
}

/* Everything has been there since before the first layer. */
static int flex_strawman_need(struct flex_request *request, u32 index)
{
	return -EINVAL;
}

static int flex_strawman_parse_need(void *context, u32 index)
{
	return flex_strawman_need(context, index);
}

/* Read, then secured, then the payload's: one after the other. */
static int flex_strawman_load(struct flex_request *request)
{
	struct flex_region *region = &request->region;
	int ret;

	flex_clock_enter(&request->clock, FLEX_PART_READ);
	ret = flex_region_read(region, 0, request->model->file, request->model->bytes);
	flex_clock_enter(&request->clock, FLEX_PART_DONATE);
	if (!ret)
		ret = flex_region_secure(region);
	if (!ret)
		ret = flex_strawman_hand_over(request, 0, region->size);
	flex_clock_enter(&request->clock, FLEX_PART_SWITCH);
	return ret;
}

struct flex_unsealer {
	struct flex_request *request;
	struct flex_clock clock;
	struct completion done;
	int ret;
};

static void flex_unsealer_thread(void *data)
{
	struct flex_unsealer *unsealer = data;

	flex_clock_start(&unsealer->clock, flex_ticks());
	unsealer->ret = flex_strawman_unseal(unsealer->request, &unsealer->clock);
	complete(&unsealer->done);
}

/* The leader's time is the unsealer's from here on. Return: what that ended with. */
static int flex_unsealer_wait(struct flex_unsealer *unsealer, struct flex_clock *clock)
{
	const struct flex_work none = {};
	enum flex_part before = flex_clock_lean(clock, FLEX_PART_DECRYPT);
	struct flex_work done = {};

	wait_for_completion(&unsealer->done);
	flex_clock_stand(clock, before);
	done.busy[FLEX_PART_DECRYPT] = unsealer->clock.busy[FLEX_PART_DECRYPT];
	flex_clock_work(clock, &none, &done);
	return unsealer->ret;
}

/* By as many threads as flexserve's loader has, of which the leader is one. */
static int flex_strawman_unseal_all(struct flex_request *request)
{
	struct flex_unsealer other[FLEX_LOADERS - 1] = {};
	u32 i, started = 0;
	int ret, waited;

	for (i = 0; i < FLEX_LOADERS - 1; i++) {
		other[i].request = request;
		init_completion(&other[i].done);
		if (flex_worker_start(flex_unsealer_thread, &other[i]))
			break;	/* fewer hands, the same bytes */
		started++;
	}
	ret = flex_strawman_unseal(request, &request->clock);
	for (i = 0; i < started; i++) {
		waited = flex_unsealer_wait(&other[i], &request->clock);
		ret = ret ? ret : waited;
	}
	return ret;
}

static int flex_strawman_open(struct flex_request *request)
{
	int ret;

	ret = flex_strawman_begin(request);
	if (!ret)
		ret = flex_strawman_alloc(request, 1);
	if (!ret)
		ret = flex_strawman_load(request);
	if (!ret)
		ret = flex_model_parse(request->model, &request->clock, flex_strawman_parse_need,
				       request, request->result.reason);
	return ret ? ret : flex_strawman_unseal_all(request);
}

const struct flex_mode flex_mode_strawman = {
	.open = flex_strawman_open,
	.need = flex_strawman_need,
	.close = flex_strawman_end,
};
