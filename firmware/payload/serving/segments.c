/* SPDX-License-Identifier: BSD-3-Clause */
/* MODEL_REGION and MODEL_UNSEAL: regions come to models, segment by segment, and are decrypted. */
#include "serving.h"

/* Nothing here is a promise of the NW's: that the region is secure, the monitor says in REGION_USE. */
static bool region_valid(uint64_t base, uint64_t size)
{
	const uint64_t block = 1UL << FLEX_BLOCK_SHIFT;

	return base % block == 0 && size % block == 0 && size != 0 && base >= FLEX_BOARD_DRAM_BASE &&
	       size <= FLEX_BOARD_DRAM_SIZE && base - FLEX_BOARD_DRAM_BASE <= FLEX_BOARD_DRAM_SIZE - size;
}

static int64_t first_segment(struct srv_model *model, uint64_t base, uint64_t size)
{
	int64_t error;

	if (!srv_model_take_over(model))
		return FLEX_E_STATE;
	srv_contents_settle(model->slots.first, model->slots.count, model->slots.count);
	error = srv_region_add(model, base, size);
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
	error = srv_region_add(model, base, size);
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
