// SPDX-License-Identifier: GPL-2.0-only
/*
 * A strawman's request: the whole model comes into a contiguous region before
 * anything is computed, and all of it goes after the last token.
 */
#include <linux/errno.h>
#include "flexserve.h"

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
 * @clock: is told when decryption begins
 *
 * May sleep. Return: 0 or a negative errno.
 */
int flex_strawman_hand_over(struct flex_request *request, u64 at, u64 bytes,
			    struct flex_clock *clock)
{
	struct flex_range *range = &request->model->range;
	struct arm_smccc_1_2_regs answer;
	s64 error;

	flex_decrypt_begin(range, clock);
	error = flex_payload_call(FLEX_OP_MODEL_REGION, request->model->id,
				  request->region.base + at, bytes, &answer);
	if (error == FLEX_OK)
		flex_decrypt_end(range, clock, answer.a3);
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
		ret = flex_strawman_hand_over(request, 0, region->size, &request->clock);
	flex_clock_enter(&request->clock, FLEX_PART_SWITCH);
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
	if (ret)
		return ret;
	return flex_model_parse(request->model, &request->clock, flex_strawman_parse_need, request,
				request->result.reason);
}

const struct flex_mode flex_mode_strawman = {
	.open = flex_strawman_open,
	.need = flex_strawman_need,
	.close = flex_strawman_end,
};
