// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mode flexserve: the weights stay secure between requests, and come back page
 * by page where Linux has taken them, while the layers that are there compute.
 */
#include "request.h"

static int flex_cached_open(struct flex_request *request)
{
	int ret = flex_model_begin(request->model, &request->clock, request->result.reason);

	request->has_model = !ret;
	if (!ret)
		flex_loader_begin(&request->model->loader, request->model->file,
				  request->model->bytes);
	return ret;
}

static int flex_cached_need(struct flex_request *request, u32 index)
{
	return flex_loader_need(&request->model->loader, index, &request->clock);
}

static void flex_cached_work(struct flex_request *request, struct flex_work *work)
{
	flex_loader_work(&request->model->loader, work);
}

static bool flex_cached_decrypts(struct flex_request *request)
{
	return flex_loader_decrypts(&request->model->loader);
}

static void flex_cached_close(struct flex_request *request)
{
	if (!request->has_model)
		return;
	flex_loader_end(&request->model->loader);
	flex_model_end(request->model);
}

const struct flex_mode flex_mode_flexserve = {
	.open = flex_cached_open,
	.need = flex_cached_need,
	.work = flex_cached_work,
	.decrypts = flex_cached_decrypts,
	.close = flex_cached_close,
};
