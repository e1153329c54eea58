/* SPDX-License-Identifier: BSD-3-Clause */
/* The operations of payload.h, by number, and the service as the runtime knows it. */
#include "serving.h"

static void (*const operations[])(struct rt_call *call) = {
	[FLEX_OP_MODEL_OPEN] = srv_model_open,
	[FLEX_OP_CLAIM] = srv_claim,
	[FLEX_OP_MODEL_REGION] = srv_model_region,
	[FLEX_OP_MODEL_UNSEAL] = srv_model_unseal,
	[FLEX_OP_MODEL_START] = srv_model_start,
	[FLEX_OP_MODEL_CLOSE] = srv_model_close,
	[FLEX_OP_SESSION_OPEN] = srv_session_open,
	[FLEX_OP_GENERATE] = srv_generate,
	[FLEX_OP_WORK] = srv_work,
	[FLEX_OP_SESSION_CANCEL] = srv_session_cancel,
	[FLEX_OP_SESSION_SEAL] = srv_session_seal,
	[FLEX_OP_SESSION_CLOSE] = srv_session_close,
	[FLEX_OP_DRILL] = srv_drill,
};

static void run_operation(struct rt_call *call)
{
	if (call->op >= sizeof(operations) / sizeof(operations[0]) || !operations[call->op]) {
		call->status = FLEX_E_UNKNOWN;
		return;
	}
	operations[call->op](call);
}

static void init(void)
{
	srv_slots.size = FLEX_BOARD_SLOTS;
	srv_heap.size = rt_heap_bytes() / FLEX_PAGE_SIZE;
	srv_comm_init();
	srv_rollback_init();
}

/* A data abort with a lock and, where a page is there to be pinned, a pin in hand. */
static void drill_panic(void)
{
	volatile uint64_t *nowhere = rt_slot_address(FLEX_BOARD_SLOTS);
	uint64_t hole;

	srv_pin(0, 1, &hole);
	rt_lock(&srv_tables);
	*nowhere = 0;
}

/* DRILL(kind) */
void srv_drill(struct rt_call *call)
{
	switch (call->arg[0]) {
	case FLEX_DRILL_PANIC:
		drill_panic();
		break;
	case FLEX_DRILL_HANG:
		rt_drill_hang();
	case FLEX_DRILL_SIMD:
		call->value[0] = rt_drill_simd(2);
		break;
	default:
		call->status = FLEX_E_INVAL;
	}
}

const struct rt_service rt_service = {
	.init = init,
	.operation = run_operation,
	.release_regions = srv_release_regions,
	.heartbeat = srv_heartbeat,
};
