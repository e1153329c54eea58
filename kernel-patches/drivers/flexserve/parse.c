// SPDX-License-Identifier: GPL-2.0-only
/*
 * The payload parses and checks a model, and says how it uses its pages.
 */
#include <linux/errno.h>
#include <linux/string.h>
#include "model.h"

/**
 * flex_model_has() - is this slot, as the payload numbers them, the model's?
 * @model: open
 * @slot: any number
 */
bool flex_model_has(const struct flex_model *model, u64 slot)
{
	return slot >= model->range.first && slot - model->range.first < model->range.count;
}

#define FLEX_ASKED_MAX 64	/* times for one page in a row: it goes faster than it comes */

struct flex_model_start {
	struct flex_model *model;
	flex_need need;
	void *context;
	u64 slot;	/* last asked for */
	u32 asked;
	int error;	/* of Linux, behind the payload's */
};

static s64 flex_model_start_yielded(struct flex_call *call, u64 reason,
				    const struct arm_smccc_1_2_regs *values)
{
	struct flex_model_start *start = call->context;
	u64 slot = values->a3;

	if (reason != FLEX_YIELD_NEED)
		return FLEX_E_INVAL;
	start->asked = slot == start->slot ? start->asked + 1 : 0;
	start->slot = slot;
	start->error = -EINVAL;
	if (flex_model_has(start->model, slot))
		start->error = start->asked < FLEX_ASKED_MAX ?
			start->need(start->context, slot - start->model->range.first) : -EIO;
	return start->error ? FLEX_E_EXHAUSTED : FLEX_OK;
}

static const struct flex_call_ops flex_model_start_ops = {
	.yielded = flex_model_start_yielded,
};

/**
 * flex_model_parse() - let the payload parse and check a model
 * @model: reserved; its bytes are loaded as the payload asks, or lie in a region
 * @clock: is told where time goes, or NULL
 * @need: brings a page that is missing
 * @context: for it
 * @reason: gets the payload's reason for -EKEYREJECTED, FLEX_REASON_BYTES
 *
 * Nobody closes it meanwhile; may sleep. Return: 0 or a negative errno.
 */
int flex_model_parse(struct flex_model *model, struct flex_clock *clock, flex_need need,
		     void *context, char *reason)
{
	struct flex_model_start start = { .model = model, .need = need, .context = context };
	struct flex_call call = { .op = FLEX_OP_MODEL_START, .arg = { model->id },
				  .ops = &flex_model_start_ops, .context = &start, .clock = clock };
	enum flex_part before = flex_clock_enter(clock, FLEX_PART_PREFILL);
	s64 error = flex_payload_run(&call);

	if (error == FLEX_OK)
		flex_clock_shift(clock, FLEX_PART_DECRYPT, call.result.a3);
	flex_clock_enter(clock, before);
	if (error == FLEX_OK) {
		model->max_context = call.result.a2;
		if (model->mode == FLEX_MODE_FLEXSERVE) {
			flex_order_read(&model->range, model->id);
			/* It has the key: from now on claims open what they bring. */
			WRITE_ONCE(model->range.decrypts, true);
		}
		return 0;
	}
	if (error == FLEX_E_MODEL)
		strscpy(reason, flex_session_comm(0)->reason, FLEX_REASON_BYTES);
	return start.error ? start.error : flex_errno(error);
}
