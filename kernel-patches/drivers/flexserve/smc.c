// SPDX-License-Identifier: GPL-2.0-only
/*
 * Monitor calls. They are short: the monitor polls for interrupts inside a
 * batch and returns, so that nothing here has to mask or bound anything.
 */
#include <linux/errno.h>
#include <linux/sched.h>
#include "flexserve.h"
#include "trace.h"

/**
 * flex_smc() - one monitor call
 * @function: FLEX_MON_*
 * @a1: first argument
 * @a2: second argument
 * @a3: third argument
 * @res: registers at return, or NULL
 *
 * Any context. Return: x0, FLEX_OK or FLEX_E_*.
 */
s64 flex_smc(u64 function, u64 a1, u64 a2, u64 a3, struct arm_smccc_1_2_regs *res)
{
	struct arm_smccc_1_2_regs args = { .a0 = function, .a1 = a1, .a2 = a2, .a3 = a3 };
	struct arm_smccc_1_2_regs out;

	arm_smccc_1_2_smc(&args, &out);
	if (res)
		*res = out;
	return (s64)out.a0;
}

/**
 * flex_monitor_batch() - a batched call, again and again until it is through
 * @function: FLEX_MON_DONATE or FLEX_MON_RECALL
 * @mailbox: index of a leased mailbox
 * @count: its valid entries
 * @error: FLEX_OK, or what stopped the batch
 *
 * May sleep: between two parts pending interrupts are served.
 * Return: entries done; they are the first ones.
 */
u32 flex_monitor_batch(u64 function, u32 mailbox, u32 count, s64 *error)
{
	u64 begin = flex_ticks();
	struct arm_smccc_1_2_regs res;
	u32 done = 0;

	do {
		*error = flex_smc(function, mailbox, done, count, &res);
		if (*error == FLEX_E_INVAL || *error == FLEX_E_DENIED || *error == FLEX_E_UNKNOWN)
			break;
		done = clamp_t(u64, res.a1, done, count);
		cond_resched();
	} while (*error == FLEX_E_INTERRUPTED && done < count);

	if (*error == FLEX_OK)
		done = count;
	trace_flexserve_batch(function, count, done, *error, flex_ticks() - begin);
	return done;
}

static const int flex_errnos[] = {
	[-FLEX_OK] = 0,
	[-FLEX_E_UNKNOWN] = -ENODEV,
	[-FLEX_E_INVAL] = -EINVAL,
	[-FLEX_E_STATE] = -EINVAL,
	[-FLEX_E_PINNED] = -EBUSY,
	[-FLEX_E_INTERRUPTED] = -EINTR,
	[-FLEX_E_BUSY] = -EBUSY,
	[-FLEX_E_EXHAUSTED] = -ENOMEM,
	[-FLEX_E_DENIED] = -EPERM,
	[-FLEX_E_QUOTA] = -ENOMEM,
	[-FLEX_E_MODEL] = -EKEYREJECTED,
	[-FLEX_E_PROMPT] = -EKEYREJECTED,
	[-FLEX_E_CANCELLED] = -ECANCELED,
	[-FLEX_E_PANIC] = -EIO,
	[-FLEX_E_NOSYS] = -EOPNOTSUPP,
	[-FLEX_E_TIMEOUT] = -ETIMEDOUT,
};

/**
 * flex_errno() - the errno (uapi.h) for an error of monitor or payload
 * @flex_error: FLEX_OK or FLEX_E_*; positive values count as FLEX_OK
 */
int flex_errno(s64 flex_error)
{
	if (flex_error >= 0)
		return 0;
	if (-flex_error >= (s64)ARRAY_SIZE(flex_errnos))
		return -EIO;
	return flex_errnos[-flex_error];
}
