/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runtime of the payload, as a service sees it. Code of the service and its engine runs on secure threads: at S-EL1, on a stack
 * of its own, preemptible by every interrupt of the normal world wherever no lock is held, resumed on any core.
 */
#ifndef RT_RT_H
#define RT_RT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- locks: short, no yield and no preemption while one is held; order: the service's own ---- */

struct rt_lock {
	uint32_t held;
};

/* Returns what rt_unlock() needs. Does not return if the payload panics meanwhile: the thread is given up. */
uint64_t rt_lock(struct rt_lock *lock);
void rt_unlock(struct rt_lock *lock, uint64_t mask);

/* ---- threads ---- */

/* One operation of the normal world, on a secure thread: what it asked, and what it will be told. */
struct rt_call {
	uint64_t op;
	uint64_t arg[5];
	int64_t status;    /* FLEX_TOS_DONE or FLEX_E_* */
	uint64_t value[4]; /* x2..x5 */
	uint64_t list[512] __attribute__((aligned(64))); /* scratch of CLAIM: the monitor reads it by its address */
};

/*
 * Hands the core back to the normal world with FLEX_TOS_YIELDED; returns when the thread is resumed, perhaps on another
 * core, with the answer: FLEX_OK, or an error that ends the operation. No lock may be held.
 */
int64_t rt_yield(uint64_t reason, uint64_t v1, uint64_t v2, uint64_t v3);

/* Ends the service: panic record, FLEX_E_PANIC to the normal world, restart. For states that cannot be. */
__attribute__((noreturn)) void rt_panic(const char *message);

/* ---- parallel tiles: one leader, any number of helpers ---- */

struct rt_team {
	uint64_t word; /* sequence 63..40, tiles 39..20, next tile 19..0 */
	uint32_t done;
	uint32_t away; /* of those who are at its tiles, how many the normal world has preempted and not yet resumed */
	void (*fn)(void *arg, uint32_t tile);
	void *arg;
};

/* Calls fn(arg, i) once for each i < tiles, here and on whoever calls rt_team_help(); returns when all are done. */
void rt_team_run(struct rt_team *team, void (*fn)(void *arg, uint32_t tile), void *arg, uint32_t tiles);

/* Takes one tile and runs it; false if there is none to take. */
bool rt_team_help(struct rt_team *team);

/* ---- monitor ---- */

struct rt_smc {
	int64_t status;
	uint64_t x1, x2, x3;
};

struct rt_smc rt_smc(uint64_t fid, uint64_t a1, uint64_t a2, uint64_t a3);

/* ---- memory ---- */

/*
 * The slot window: slot i at rt_slot_address(i), one level-3 entry each. An entry may be changed only under the
 * window's lock (serving/memory.c has it), from one page to another only by way of 0 and an invalidation.
 */
void *rt_slot_address(uint64_t slot);
const uint64_t *rt_window_entries(void);             /* by slot: the page mapped there under RT_WINDOW_PAGE; 0: none */
#define RT_WINDOW_PAGE 0x0000fffffffff000UL
void rt_window_set(uint64_t slot, uint64_t page);    /* page 0: unmapped */
void rt_window_invalidate(uint64_t slot);            /* TLB entries of the slot; done after rt_window_sync() */
void rt_window_sync(void);
void rt_window_reset(void);                          /* everything unmapped; nobody else may be inside */

/* Secured regions, mapped by 2M blocks. `base` and `size` are multiples of 2M inside DRAM. */
void *rt_region_map(uint64_t base, uint64_t size);
void rt_region_unmap(uint64_t base, uint64_t size);

/* The slot words (page.h), the memory shared with the NW. */
uint64_t *rt_slot_words(void);
void *rt_mailbox(uint64_t index);
void *rt_comm(void);

/* Memory of the payload for models' metadata, RT_HEAP_BYTES, page-aligned. */
void *rt_heap(void);
uint64_t rt_heap_bytes(void);

/* ---- secure flash, on boards that have it (FLEX_BOARD_FLASH_BASE): one thread at a time ---- */

#define RT_FLASH_BLOCKS 2

/* Has it show its contents, whatever a thread that is no more has left it in. */
void rt_flash_reset(void);
/* 32-bit words of a block. NOR: programming makes bits 0; erasing makes all bits of a block 1. False: it failed. */
uint32_t rt_flash_read(uint32_t block, uint32_t word);
bool rt_flash_program(uint32_t block, uint32_t word, uint32_t value);
bool rt_flash_erase(uint32_t block);

/* ---- what this build is ---- */

#ifdef FLEX_DEBUG
#define RT_DEBUG 1
#else
#define RT_DEBUG 0
#endif
extern const uint8_t rt_identity[16];
uint64_t rt_panics(void);

/* ---- drills (DRILL of payload.h), on the calling thread ---- */

/* Computes for ever. */
__attribute__((noreturn)) void rt_drill_hang(void);
/* Fills every register with the pattern until preempted, `rounds` times; 0 if all were intact after each resumption. */
uint64_t rt_drill_simd(uint64_t rounds);

/* ---- the service: what stands on the runtime. The runtime names nothing above itself; whoever does defines this ---- */

struct rt_service {
	void (*init)(void);                      /* state is all zero; boot, and again after a panic */
	void (*operation)(struct rt_call *call); /* on a secure thread */
	void (*release_regions)(void);           /* before a restart: regions in use are given back to the monitor */
	uint64_t (*heartbeat)(void);             /* for the panic record */
};
extern const struct rt_service rt_service;

/* ---- freestanding C library ---- */

void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int value, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);

#endif /* RT_RT_H */
