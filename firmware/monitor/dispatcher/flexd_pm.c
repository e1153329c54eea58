/*
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * Power management of the payload's cores. A hook that the payload answers with anything but 0 leaves it FAILED on that
 * core: its calls are refused there, and Linux goes on.
 */

#include <arch_helpers.h>
#include <common/debug.h>
#include <lib/el3_runtime/context_mgmt.h>

#include "flexd_private.h"

/* Enters the payload at `pc` if it is in state `from`, and leaves it in `to`. */
static void flexd_pm_enter(struct flexd_core *core, enum flexd_state from, enum flexd_state to, uintptr_t pc)
{
	if (core->state != from) {
		return;
	}
	if (flexd_enter_sync(core, pc) != 0U) {
		ERROR("flexd: the payload failed in a power hook\n");
		core->state = FLEXD_FAILED;
		return;
	}
	core->state = to;
}

static void flexd_cpu_on_finish(u_register_t unused)
{
	struct flexd_core *core = flexd_this_core();

	core->state = FLEXD_OFF;
	flexd_init_core(core, flexd_vectors.cpu_on);
	flexd_pm_enter(core, FLEXD_OFF, FLEXD_ON, flexd_vectors.cpu_on);
}

static int32_t flexd_cpu_off(u_register_t unused)
{
	flexd_pm_enter(flexd_this_core(), FLEXD_ON, FLEXD_OFF, flexd_vectors.cpu_off);
	return 0;
}

static void flexd_cpu_suspend(u_register_t max_off_pwrlvl)
{
	flexd_pm_enter(flexd_this_core(), FLEXD_ON, FLEXD_SUSPENDED, flexd_vectors.cpu_suspend);
}

static void flexd_cpu_suspend_finish(u_register_t max_off_pwrlvl)
{
	flexd_pm_enter(flexd_this_core(), FLEXD_SUSPENDED, FLEXD_ON, flexd_vectors.cpu_resume);
}

static void flexd_system_off(void)
{
	flexd_pm_enter(flexd_this_core(), FLEXD_ON, FLEXD_OFF, flexd_vectors.system_off);
}

/* A core that comes up enters the payload itself, and the payload, which is on every core, never migrates. */
const spd_pm_ops_t flexd_pm = {
	.svc_on_finish = flexd_cpu_on_finish,
	.svc_off = flexd_cpu_off,
	.svc_suspend = flexd_cpu_suspend,
	.svc_suspend_finish = flexd_cpu_suspend_finish,
	.svc_system_off = flexd_system_off,
	.svc_system_reset = flexd_system_off,
};
