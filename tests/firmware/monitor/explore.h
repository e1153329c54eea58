/* SPDX-License-Identifier: BSD-3-Clause */
/* What explore.c searches: a machine of three pages and two slots, what cores do there, and what must hold. */
#ifndef EXPLORE_H
#define EXPLORE_H

#include "fake.h"

#define TRACKED 3U /* pages that calls name */
#define CORES_MAX 3U

/* Everything that a step may change but the stacks. What cores share lies from `pages` up to `mapped`. */
struct world {
	struct flex_monitor m;
	uint32_t pages[FLEX_BLOCK_PAGES];
	uint32_t block;
	uint64_t slots[2];
	/* forgotten by TLBs since it was unmapped; stale: in TLBs or caches; secret: the secure world's bytes may lie there */
	bool mapped[TRACKED], forgotten[TRACKED], stale[TRACKED], secret[TRACKED];
	bool block_mapped, block_forgotten, block_stale, block_secret;
	bool on, said_on, switching; /* protection, what donations are told of it, a core is about to turn it off */
	unsigned int pins[TRACKED]; /* the payload's own account of what it works on */
	uint64_t list[CORES_MAX][FLEX_MAILBOX_ENTRIES];
};

extern struct world now;
extern unsigned int running; /* core */

/* The other cores may go on. */
void explore_stop(void);

/* What a core may do, and from where cores set out. */
struct program {
	const char *name;
	void (*run)(const struct program *program);
	uint32_t fid;
	uint32_t count;			/* entries of the list, or slots to drop */
	uint32_t page[2], slot;
};

extern const struct program programs[];
extern const unsigned int program_count, situation_count;
const char *situation_name(unsigned int s);
void set_out(unsigned int s);

/* What must hold: after a step from these words, and when all cores have come to their ends. */
void check_step(const uint32_t *pages, const uint64_t *slots);
void check_end(void);

#endif
