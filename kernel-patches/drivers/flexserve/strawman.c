// SPDX-License-Identifier: GPL-2.0-only
/*
 * A strawman's request: the whole model comes into a contiguous region before
 * anything is computed, and all of it goes after the last token.
 */
#include <linux/errno.h>
#include "flexserve.h"

static int flex_strawman_load(struct flex_request *request)
{
	struct flex_model *model = request->model;
	int ret;

	mutex_lock(&flex_models_lock);
	ret = flex_model_reserve(model, request->result.reason);
	mutex_unlock(&flex_models_lock);
	if (ret)
		return ret;
	ret = flex_region_load(&request->region, model->file, model->bytes, &request->clock);
	if (ret == -ENOMEM)
		snprintf(request->result.reason, FLEX_REASON_BYTES,
			 "no contiguous region of %llu bytes", request->region.size);
	if (ret)
		return ret;
	request->clock.loaded += request->region.size >> PAGE_SHIFT;
	ret = flex_errno(flex_payload_call(FLEX_OP_MODEL_REGION, model->id, request->region.base,
					   request->region.size, NULL));
	if (ret)
		return ret;
	return flex_model_parse(model, &request->clock, request->result.reason);
}

/* One strawman at a time: its region is all that there is. */
static int flex_strawman_open(struct flex_request *request)
{
	int ret;

	mutex_lock(&flex_region_lock);
	ret = flex_model_begin(request->model, &request->clock, request->result.reason);
	request->has_model = !ret;
	return ret ? ret : flex_strawman_load(request);
}

/* Everything has been there since before the first layer. */
static int flex_strawman_need(struct flex_request *request, u64 slot, u64 count)
{
	return -EINVAL;
}

static void flex_strawman_close(struct flex_request *request)
{
	mutex_lock(&flex_models_lock);
	flex_model_shut(request->model);
	mutex_unlock(&flex_models_lock);
	flex_region_release(&request->region);
	if (request->has_model)
		flex_model_end(request->model);
	mutex_unlock(&flex_region_lock);
}

const struct flex_mode flex_mode_strawman = {
	.open = flex_strawman_open,
	.need = flex_strawman_need,
	.close = flex_strawman_close,
};
