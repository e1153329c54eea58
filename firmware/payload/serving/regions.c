/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Models in a secured region, as a classic TrustZone system has them. A region may come in segments, each where the last
 * one ended: what lies in the first ones is computed on while the next ones are loaded. It stays until the model goes.
 */
#include "rt_arch.h"
#include "serving.h"

int64_t srv_region_add(struct srv_model *model, uint64_t base, uint64_t size)
{
	int64_t error = rt_smc(FLEX_MON_REGION_USE, base, size, 1).status;
	void *mapped;

	if (error)
		return error;
	mapped = rt_region_map(base, size);
	if (model->region.count == 0) {
		model->region.first = base;
		model->file = mapped;
	}
	model->segment[model->segments++] = size;
	/* Mapped before anybody reads that it is there. */
	__atomic_store_n(&model->region.count, model->region.count + size, __ATOMIC_RELEASE);
	return FLEX_OK;
}

int64_t srv_region_wait(struct srv_model *model, uint64_t end, uint64_t *waited)
{
	for (;;) {
		uint64_t have = __atomic_load_n(&model->region.count, __ATOMIC_ACQUIRE);
		int64_t error;

		if (have >= end) {
			rt_context_sync(); /* another core may have mapped it just now */
			return FLEX_OK;
		}
		error = srv_ask(model->slots.first + have / FLEX_PAGE_SIZE,
				(end - have + FLEX_PAGE_SIZE - 1) / FLEX_PAGE_SIZE, waited);
		if (error)
			return error;
	}
}

void srv_region_give(struct srv_model *model)
{
	uint64_t base = model->region.first;

	for (uint32_t i = 0; i < model->segments; i++) {
		rt_region_unmap(base, model->segment[i]);
		rt_smc(FLEX_MON_REGION_USE, base, model->segment[i], 0);
		base += model->segment[i];
	}
	model->segments = 0;
	model->region.count = 0;
}
