/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The payload's surroundings on the host: DRAM is a file in memory; the slot window is address space in which a
 * translation, once used, stays until it is invalidated, as a TLB would have it; monitor calls go to the real monitor
 * core; the normal world is the test.
 */
#ifndef FAKE_H
#define FAKE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <flexkit/mailbox.h>
#include <flexkit/payload.h>
#include <flexkit/page.h>
#include <flexkit/smc.h>

#include "flex_board.h"
#include "rt/rt.h"

#define CHECK(condition)                                                                        \
	do {                                                                                    \
		if (!(condition)) {                                                             \
			fprintf(stderr, "%s:%d: %s: failed\n", __FILE__, __LINE__, #condition); \
			abort();                                                                \
		}                                                                               \
	} while (0)
#define EQUAL(a, b)                                                                                                  \
	do {                                                                                                         \
		long long a_ = (long long)(a), b_ = (long long)(b);                                                  \
		if (a_ != b_) {                                                                                      \
			fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #a, a_, b_);            \
			abort();                                                                                     \
		}                                                                                                    \
	} while (0)

#define FAKE_PAGES (FLEX_BOARD_DRAM_SIZE / FLEX_PAGE_SIZE)

/* Everything as at power-on, protection on, the service begun. */
void fake_reset(void);

/* Linear view of DRAM, by page index; for the NW only when fake_is_nw() says so. */
uint8_t *fake_page(uint64_t index);
bool fake_is_nw(uint64_t index);
uint64_t fake_address(uint64_t index);

/* What the NW does with a thread that yields: its answer. Default: the test fails. */
extern int64_t (*fake_on_yield)(uint64_t reason, uint64_t v1, uint64_t v2, uint64_t v3);

/* Microseconds that a recall keeps page and slot BUSY. */
extern unsigned int fake_slow_scrub;

/* Calls of the NW on `core`: a monitor call on one page, by mailbox `core`. */
int64_t fake_donate(unsigned int core, uint64_t index);
int64_t fake_recall(unsigned int core, uint64_t index);
int64_t fake_move(unsigned int core, uint64_t from, uint64_t to);

/* FLEX_MON_REGION_SECURE and _RELEASE, to their end. */
int64_t fake_secure(uint64_t base, uint64_t size);
int64_t fake_release(uint64_t base, uint64_t size);

/* One operation on a secure thread, to its end. */
struct rt_call fake_call(uint64_t op, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4);

/* Donates the page and claims it for the slot; FLEX_TOS_DONE or the error. */
int64_t fake_give(uint64_t index, uint64_t slot);

/* Set when rt_panic() is to be expected: it then comes back here by longjmp. */
#include <setjmp.h>
extern jmp_buf *fake_panic_expected;
extern const char *fake_panic_message;

/* Which core the calling thread plays; 0 unless set. */
extern _Thread_local unsigned int fake_core_number;

#endif
