/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Models in a secured region, as a classic TrustZone system has them. A region may come in segments, each where the last
 * one ended: what lies in the first ones is computed on while the next ones are loaded. It stays until the model goes.
 */
#include "rt_arch.h"
#include "serving.h"

/* Nothing here is a promise of the NW's: that the region is secure, the monitor says in REGION_USE. */
static bool region_valid(uint64_t base, uint64_t size)
{
	const uint64_t block = 1UL << FLEX_BLOCK_SHIFT;

	return base % block == 0 && size % block == 0 && size != 0 && base >= FLEX_BOARD_DRAM_BASE &&
	       size <= FLEX_BOARD_DRAM_SIZE && base - FLEX_BOARD_DRAM_BASE <= FLEX_BOARD_DRAM_SIZE - size;
}

/* Makes the segment the model's last one. Nobody else adds one meanwhile. */
static int64_t add_segment(struct srv_model *model, uint64_t base, uint64_t size)
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

static int64_t first_segment(struct srv_model *model, uint64_t base, uint64_t size)
{
	int64_t error;

	if (!srv_model_take_over(model))
		return FLEX_E_STATE;
	srv_contents_settle(model->slots.first, model->slots.count, model->slots.count);
	error = add_segment(model, base, size);
	srv_model_hand_back(model);
	return error;
}

/* Only where the last one ended, and by one at a time. */
static bool grow_begin(struct srv_model *model, uint64_t base)
{
	uint64_t mask = rt_lock(&srv_tables);
	bool begun = !model->growing && model->segments < FLEX_REGIONS &&
		     base == model->region.first + model->region.count;

	model->growing |= begun;
	rt_unlock(&srv_tables, mask);
	return begun;
}

static int64_t next_segment(struct srv_model *model, uint64_t base, uint64_t size)
{
	uint64_t mask;
	int64_t error;

	if (!grow_begin(model, base))
		return FLEX_E_INVAL;
	error = add_segment(model, base, size);
	mask = rt_lock(&srv_tables);
	model->growing = false;
	rt_unlock(&srv_tables, mask);
	return error;
}

/* MODEL_REGION(model, base, size): the first before anything is claimed for the model, more of them at any time. */
void srv_model_region(struct rt_call *call)
{
	uint32_t any = SRV_IN(MODEL_OPEN) | SRV_IN(MODEL_STARTING) | SRV_IN(MODEL_READY);
	uint64_t base = call->arg[1], size = call->arg[2];
	struct srv_model *model = srv_model_get(call->arg[0], any, &call->status);

	if (!model)
		return;
	if (!region_valid(base, size))
		call->status = FLEX_E_INVAL;
	else if (model->region.count == 0)
		call->status = first_segment(model, base, size);
	else
		call->status = next_segment(model, base, size);
	srv_model_put(model);
}

/* MODEL_UNSEAL(model) */
void srv_model_unseal(struct rt_call *call)
{
	uint32_t any = SRV_IN(MODEL_OPEN) | SRV_IN(MODEL_STARTING) | SRV_IN(MODEL_READY);
	struct srv_model *model = srv_model_get(call->arg[0], any, &call->status);

	if (!model)
		return;
	srv_weights_unseal(model);
	srv_model_put(model);
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
