// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls into the firmware with any registers, and what they leave behind in
 * ours: the vector registers have to come back as they went, and everything
 * above the results zero.
 */
#include <linux/arm-smccc.h>
#include <linux/slab.h>
#include <asm/neon.h>
#include <flexkit/smc.h>
#include "flexattack.h"

#define SIMD_WORDS 64

struct attack_vectors {
	u64 before[SIMD_WORDS];
	u64 after[SIMD_WORDS];
};

static void attack_call(struct arm_smccc_1_2_regs *args, struct arm_smccc_1_2_regs *res, struct attack_vectors *simd)
{
	u32 i;

	for (i = 0; i < SIMD_WORDS; i++)
		simd->before[i] = 0x0123456789abcdefULL * (i + 1);
	kernel_neon_begin();
	attack_simd_load(simd->before);
	arm_smccc_1_2_smc(args, res);
	attack_simd_store(simd->after);
	kernel_neon_end();
}

static bool attack_upper_zero(const struct arm_smccc_1_2_regs *res)
{
	return !(res->a6 | res->a7 | res->a8 | res->a9 | res->a10 | res->a11 | res->a12 | res->a13 | res->a14 |
		 res->a15 | res->a16 | res->a17);
}

/* X0 [X1 .. X6]: one SMC. high_zero is about x6..x17, which a payload call has to return as zero. */
int attack_smc(int argc, char **argv, struct seq_buf *out)
{
	struct arm_smccc_1_2_regs args = {}, res = {};
	struct attack_vectors *simd;
	u64 x[7] = {};

	if (attack_numbers(argc, argv, x, ARRAY_SIZE(x)))
		return -EINVAL;
	simd = kmalloc(sizeof(*simd), GFP_KERNEL);
	if (!simd)
		return -ENOMEM;
	args = (struct arm_smccc_1_2_regs){ .a0 = x[0], .a1 = x[1], .a2 = x[2], .a3 = x[3],
					    .a4 = x[4], .a5 = x[5], .a6 = x[6] };
	attack_call(&args, &res, simd);
	seq_buf_printf(out, "x0: %lld\nx1: %#lx\nx2: %#lx\nx3: %#lx\nx4: %#lx\nx5: %#lx\n", (s64)res.a0, res.a1, res.a2,
		       res.a3, res.a4, res.a5);
	seq_buf_printf(out, "high_zero: %d\nsimd_same: %d\n", attack_upper_zero(&res),
		       !memcmp(simd->before, simd->after, sizeof(simd->before)));
	kfree(simd);
	return 0;
}

static void attack_batch_results(u32 count, struct seq_buf *out)
{
	u32 i;

	for (i = 0; i < count && i < 8; i++)
		seq_buf_printf(out, "result%u: %d\n", i, firmware.mailbox->result[i]);
}

/* FUNCTION FIRST COUNT PA..: the addresses into the last mailbox, then the call, again while it is interrupted. With no
 * address, our own pages. */
int attack_batch(int argc, char **argv, struct seq_buf *out)
{
	struct arm_smccc_1_2_regs args = {}, res = {};
	u64 function, first, count, address;
	const u64 *own;
	u32 i, pages = attack_pages(&own);

	if (argc < 3 || attack_number(argv[0], &function) || attack_number(argv[1], &first) ||
	    attack_number(argv[2], &count))
		return -EINVAL;
	if (argc == 3)
		memcpy(firmware.mailbox->page, own, pages * sizeof(*own));
	for (i = 3; i < argc && i - 3 < FLEX_MAILBOX_ENTRIES; i++) {
		if (attack_number(argv[i], &address))
			return -EINVAL;
		firmware.mailbox->page[i - 3] = address;
	}
	memset(firmware.mailbox->result, 0x7f, sizeof(firmware.mailbox->result));
	do {
		args = (struct arm_smccc_1_2_regs){ .a0 = function, .a1 = firmware.mailboxes - 1, .a2 = first,
						    .a3 = count };
		arm_smccc_1_2_smc(&args, &res);
		if ((s64)res.a0 == FLEX_E_INTERRUPTED)
			first = res.a1;
		cond_resched();
	} while ((s64)res.a0 == FLEX_E_INTERRUPTED);
	seq_buf_printf(out, "x0: %lld\nx1: %lu\nx2: %lu\n", (s64)res.a0, res.a1, res.a2);
	attack_batch_results(count, out);
	return 0;
}

/* Our pages' addresses, the first eight. */
int attack_list(int argc, char **argv, struct seq_buf *out)
{
	const u64 *own;
	u32 i, pages = attack_pages(&own);

	for (i = 0; i < pages && i < 8; i++)
		seq_buf_printf(out, "page%u: %#llx\n", i, own[i]);
	return 0;
}
