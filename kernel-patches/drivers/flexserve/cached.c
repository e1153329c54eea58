// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mode flexserve: the weights stay secure between requests, and come back page
 * by page where Linux has taken them.
 */
#include "flexserve.h"

static int flex_cached_open(struct flex_request *request)
{
	int ret = flex_model_begin(request->model, &request->clock, request->result.reason);

	request->has_model = !ret;
	return ret;
}

static int flex_cached_need(struct flex_request *request, u64 slot, u64 count)
{
	u32 loaded;

	return flex_model_load(request->model, slot, count, &request->clock, &loaded);
}

static void flex_cached_close(struct flex_request *request)
{
	if (request->has_model)
		flex_model_end(request->model);
}

const struct flex_mode flex_mode_flexserve = {
	.open = flex_cached_open,
	.need = flex_cached_need,
	.close = flex_cached_close,
};
