/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/*
 * The gpt backend (Arm RME): a granule of DRAM is in the non-secure physical address space or in the secure one, and
 * the granule protection table, which EL3 owns, says in which. It is on from boot and on every core: what protection
 * on demand turns on is the SMMU alone.
 */
#ifndef FLEX_GPT_H
#define FLEX_GPT_H

#include "flex_machine.h"

/* EL3 sees DRAM as non-secure at its own address, and as secure so much higher. */
#define GPT_SECURE_VIEW	UINT64_C(0x100000000)

/* At boot, on one core, caches on: everything that the board file does not give to the normal world is closed to it. */
void gpt_prepare(void);

/* The core that owns the page or the region is the only one that moves it. In force after gpt_forget(). */
void gpt_secure(uint64_t page);
void gpt_open(uint64_t page);
void gpt_secure_block(uint64_t block);
void gpt_open_block(uint64_t block);

/* All cores read the table anew. */
void gpt_forget(void);

/* What caches hold of `size` bytes that have just become secure, for either world, is in memory and nowhere else. */
void gpt_clean(uint64_t address, uint64_t size);

/* struct flex_ops: a secure page is zero, for the normal world too when it gets it. */
void gpt_scrub(uint64_t page);

#endif /* FLEX_GPT_H */
