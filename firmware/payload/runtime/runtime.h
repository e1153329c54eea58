/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside the runtime: cores, threads, and the gate that counts who is in. Memory is of two kinds: .bss is the service's
 * state and is zeroed at boot and at every restart after a panic; .keep outlives a restart (stacks of cores, translation
 * tables, the gate). There is no initialised writable data.
 */
#ifndef RT_RUNTIME_H
#define RT_RUNTIME_H

/* Offsets into struct rt_thread and struct rt_core, for assembly; checked in thread.c. */
#define THREAD_SP 0xf8
#define THREAD_PC 0x100
#define THREAD_SPSR 0x108
#define THREAD_FPCR 0x110
#define THREAD_FPSR 0x118
#define THREAD_V 0x120
#define CORE_STACK 0x0
#define CORE_THREAD 0x8
#define CORE_MPIDR 0x10
#define CORE_SIZE 0x100

#define CORE_STACK_BYTES 0x4000
#define THREAD_STACK_BYTES 0x8000
#define GUARD_BYTES 0x1000
#define DRILL_PATTERN 0x5ec12e75ec12e7a5 /* FLEX_DRILL_SIMD_PATTERN: payload.h is not for assembly */

#ifndef __ASSEMBLER__

#include <flexkit/payload.h>
#include <flexkit/smc.h>

#include "flex_board.h"
#include "rt/rt.h"
#include "rt_arch.h"

#define RT_KEEP __attribute__((section(".keep")))

/* A thread's place in its life; thread.c has the table of what may follow what. */
enum thread_state { THREAD_FREE, THREAD_RUNNING, THREAD_PREEMPTED, THREAD_YIELDED, THREAD_STATES };

struct rt_thread {
	uint64_t x[31];
	uint64_t sp, pc, spsr, fpcr, fpsr;
	uint8_t v[32][16];
	/* state 7..0, sequence 31..8: changes by compare-and-swap; whoever makes it RUNNING owns all of the above */
	uint32_t word;
	struct rt_team *team; /* at whose tiles it is: preempted meanwhile, it counts as away there */
	struct rt_call call;
} __attribute__((aligned(64)));

struct rt_core {
	uint64_t stack;              /* top */
	struct rt_thread *thread;    /* running here, or NULL */
	uint64_t mpidr;              /* with bit 31 set; 0: not in use */
	uint64_t booting;            /* in boot or a power hook: there is no caller in the normal world */
	uint64_t panicking;
	const char *message;         /* of rt_panic() */
	struct flex_panic record;
} __attribute__((aligned(CORE_SIZE)));

static inline struct rt_core *rt_core(void)
{
	return rt_core_pointer();
}

/* entry.S */
extern const struct flex_vectors rt_vectors;
__attribute__((noreturn)) void rt_boot_done(uint64_t vectors, uint64_t high, uint64_t low, uint64_t debug);
extern char rt_drill_spin[];
__attribute__((noreturn)) void rt_thread_run(struct rt_thread *thread);
__attribute__((noreturn)) void rt_leave(int64_t x0, uint64_t x1, uint64_t x2, uint64_t x3, uint64_t x4, uint64_t x5);
__attribute__((noreturn)) void rt_abandon_on_core_stack(void);
uint64_t rt_drill_round(void);
void rt_thread_entry(void);

/* mmu.c: before the MMU is on. */
void rt_mmu_build(void);

/* thread.c */
__attribute__((noreturn)) void rt_enter(uint64_t fid, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5,
					uint64_t a6);
uint64_t rt_thread_id(const struct rt_thread *thread);
/* The calling thread turns to the team's tiles; NULL: away from them. */
void rt_thread_at(struct rt_team *team);
extern uint8_t rt_thread_stacks[FLEX_BOARD_PAYLOAD_THREADS][GUARD_BYTES + THREAD_STACK_BYTES];
extern uint8_t rt_core_stacks[FLEX_BOARD_CORES][GUARD_BYTES + CORE_STACK_BYTES];
extern struct rt_core rt_cores[FLEX_BOARD_CORES];

/* core.c: the gate. */
uint32_t rt_epoch(void);
bool rt_dying(void);
/* 0: in, the service lives. FLEX_E_BUSY: a restart is under way or waits for the other cores to leave. */
int64_t rt_gate_enter(void);
void rt_gate_leave(void);
void rt_gate_die(void);

/* panic.c */
__attribute__((noreturn)) void rt_fault(uint64_t kind);

#endif /* __ASSEMBLER__ */
#endif /* RT_RUNTIME_H */
