/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mailboxes: the only memory through which lists cross between the normal world and the secure one. They lie at the
 * start of the board's "shared" region, one after the other, and never move. The owner of a mailbox is the driver,
 * which gives each to one caller at a time. The secure side copies an entry once, into memory of its own, before it
 * looks at it; what it writes into `result` is for the NW alone and is never read back.
 */
#ifndef FLEXKIT_MAILBOX_H
#define FLEXKIT_MAILBOX_H

#ifdef __KERNEL__
#include <linux/types.h>
typedef u64 flex_u64;
typedef s32 flex_s32;
#else
#include <stdint.h>
typedef uint64_t flex_u64;
typedef int32_t flex_s32;
#endif

#define FLEX_MAILBOX_ENTRIES 512 /* pages in a batch at the most */
#define FLEX_MOVE_ENTRIES (FLEX_MAILBOX_ENTRIES / 2) /* pairs in a move at the most: old pages, then new ones */
#define FLEX_MAILBOX_SIZE 8192

struct flex_mailbox {
	flex_u64 page[FLEX_MAILBOX_ENTRIES];   /* offset 0: physical addresses of 4K pages, bits 11..0 zero */
	flex_s32 result[FLEX_MAILBOX_ENTRIES]; /* offset 4096: FLEX_OK or FLEX_E_*, written by the monitor's recall */
	flex_u64 reserved[256];
};

#endif /* FLEXKIT_MAILBOX_H */
