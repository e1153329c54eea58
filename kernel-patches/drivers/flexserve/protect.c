// SPDX-License-Identifier: GPL-2.0-only
/*
 * Protection on demand: on with the first donation, off again some seconds
 * after the last page came back. Every core makes the call at once, since
 * EL3 builds tables and switches translation for all of them together.
 */
#include <linux/delay.h>
#include <linux/errno.h>
#include <linux/moduleparam.h>
#include <linux/stop_machine.h>
#include <linux/workqueue.h>
#include "flexserve.h"

/*
 * A core that is late (a hypervisor has put it aside) or a bus master that
 * disturbs the building of tables: then nothing has changed, and it is tried
 * again.
 */
#define FLEX_PROTECT_TRIES 5
#define FLEX_PROTECT_WAIT_MS 50

static unsigned int protect_linger_ms = 5000;
module_param(protect_linger_ms, uint, 0644);
MODULE_PARM_DESC(protect_linger_ms, "protection stays on so long after the last secure page");

static struct {
	struct mutex lock;
	u32 users;	/* donations and regions under way */
	bool forced;	/* asked for by hand: stays on with nothing secure */
} flex_protect = { .lock = __MUTEX_INITIALIZER(flex_protect.lock) };

static void flex_protect_linger(struct work_struct *work);
static DECLARE_DELAYED_WORK(flex_protect_work, flex_protect_linger);

struct flex_protect_switch {
	bool on;
	atomic_t failed;	/* cores that were refused */
	s64 error;		/* of the last of them */
};

static int flex_protect_core(void *data)
{
	struct flex_protect_switch *change = data;
	s64 error = flex_smc(FLEX_MON_PROTECT, change->on, 0, 0, NULL);

	if (error != FLEX_OK) {
		WRITE_ONCE(change->error, error);
		atomic_inc(&change->failed);
	}
	return 0;
}

/* flex_protect.lock held. */
static int flex_protect_set(bool on)
{
	struct flex_protect_switch change;
	int tries, ret;

	if ((flex_protect_state() == FLEX_PROTECT_ON) == on)
		return 0;
	for (tries = 0; tries < FLEX_PROTECT_TRIES; tries++) {
		if (tries)
			msleep(FLEX_PROTECT_WAIT_MS << tries);
		change = (struct flex_protect_switch){ .on = on };
		ret = stop_machine(flex_protect_core, &change, cpu_online_mask);
		if (ret || !atomic_read(&change.failed))
			return ret;
		if (change.error != FLEX_E_BUSY && change.error != FLEX_E_TIMEOUT)
			break;
	}
	pr_err("flexserve: protection %s refused on %d cores: %lld\n", on ? "on" : "off",
	       atomic_read(&change.failed), change.error);
	return change.error == FLEX_E_STATE ? -EBUSY : flex_errno(change.error);
}

/**
 * flex_protect_get() - make sure that protection is on, and keep it on
 *
 * May sleep. Return: 0, and flex_protect_put() is due; or a negative errno.
 */
int flex_protect_get(void)
{
	int ret;

	mutex_lock(&flex_protect.lock);
	ret = flex_protect_set(true);
	if (!ret)
		flex_protect.users++;
	mutex_unlock(&flex_protect.lock);
	return ret;
}

/** flex_protect_put() - undo flex_protect_get(); secure pages keep it on */
void flex_protect_put(void)
{
	mutex_lock(&flex_protect.lock);
	flex_protect.users--;
	mutex_unlock(&flex_protect.lock);
	flex_protect_idle();
}

/** flex_protect_idle() - pages came back: perhaps the last ones. Any context. */
void flex_protect_idle(void)
{
	if (!atomic_long_read(&flex_secure_pages))
		mod_delayed_work(system_wq, &flex_protect_work,
				 msecs_to_jiffies(READ_ONCE(protect_linger_ms)));
}

static void flex_protect_linger(struct work_struct *work)
{
	mutex_lock(&flex_protect.lock);
	if (!flex_protect.users && !flex_protect.forced && !atomic_long_read(&flex_secure_pages))
		flex_protect_set(false);
	mutex_unlock(&flex_protect.lock);
}

/**
 * flex_protect_force() - switch protection by hand
 * @on: true: on until told otherwise; false: off now
 *
 * May sleep. Return: 0, -EBUSY for off while anything is secure or about to
 * be, or a negative errno.
 */
int flex_protect_force(bool on)
{
	int ret = -EBUSY;

	mutex_lock(&flex_protect.lock);
	if (on || (!flex_protect.users && !atomic_long_read(&flex_secure_pages)))
		ret = flex_protect_set(on);
	if (!ret)
		flex_protect.forced = on;
	mutex_unlock(&flex_protect.lock);
	return ret;
}

/** flex_protect_state() - FLEX_PROTECT_ON or FLEX_PROTECT_OFF, as the monitor says */
u32 flex_protect_state(void)
{
	struct arm_smccc_1_2_regs res;

	if (flex_smc(FLEX_MON_INFO, 0, 0, 0, &res) != FLEX_OK)
		return FLEX_PROTECT_OFF;
	return res.a3 & 0xff;
}
