/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef TEST_H
#define TEST_H

#include "model.h"

/* Ends the program, with the place, when something is not as it has to be. */
#define expect(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			exit(1); \
		} \
	} while (0)

/* A mailbox with its lease, outside of the allocator. */
struct flex_mailbox_lease *test_lease(void);
void test_lease_free(struct flex_mailbox_lease *lease);

/* The answer of the next monitor calls, in turn; after them it is FLEX_E_UNKNOWN. */
struct test_answer {
	s64 status;
	u64 x1;
};
void test_answers(const struct test_answer *answer, u32 count);
/* Arguments of call number n since test_answers(). */
const struct arm_smccc_1_2_regs *test_call(u32 n);
u32 test_calls(void);

/* What the counter shows. */
extern u64 test_now;
extern unsigned char test_comm[FLEX_COMM_SIZE];	/* what the payload shows */

#endif /* TEST_H */
