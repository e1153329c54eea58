/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rolled-back models are refused where the board has secure flash to keep versions in; elsewhere every version is taken,
 * and the board's description says so (boards/README.md, secure_flash). A version is looked at when a model is started;
 * one that is open when a newer one comes is refused at its next step: a GENERATE under way ends there.
 */
#include "rt_arch.h"
#include "serving.h"
#include "versions.h"

#ifdef FLEX_BOARD_FLASH_BASE

_Static_assert(RT_FLASH_BLOCKS == VERSIONS_BLOCKS, "versions.h");

static bool busy; /* a thread is at the flash, for as long as erasing takes: no lock */

static const struct versions_flash flash = {
	.words = FLEX_BOARD_FLASH_BLOCK / sizeof(uint32_t),
	.read = rt_flash_read,
	.program = rt_flash_program,
	.erase = rt_flash_erase,
};

void srv_rollback_init(void)
{
	rt_flash_reset();
}

int64_t srv_rollback_check(struct srv_model *model)
{
	int64_t error = FLEX_OK;
	int why;

	while (!error && __atomic_exchange_n(&busy, true, __ATOMIC_ACQUIRE))
		error = srv_answer(rt_yield(FLEX_YIELD_IDLE, 0, 0, 0));
	if (error)
		return error;
	why = versions_admit(&flash, &model->seal);
	if (!why)
		srv_model_admit(model); /* before the next one is looked at */
	__atomic_store_n(&busy, false, __ATOMIC_RELEASE);
	return why ? srv_model_refuse(model, why) : FLEX_OK;
}

#else

void srv_rollback_init(void)
{
}

int64_t srv_rollback_check(struct srv_model *model)
{
	(void)model;
	return FLEX_OK;
}

#endif /* FLEX_BOARD_FLASH_BASE */
