/*
 * SPDX-License-Identifier: BSD-3-Clause
 */

#ifndef FLEXD_PRIVATE_H
#define FLEXD_PRIVATE_H

#include <stdint.h>

#include <context.h>
#include <lib/cassert.h>
#include <lib/psci/psci.h>
#include <lib/utils_def.h>
#include <platform_def.h>

#include <flexkit/payload.h>

/* What the payload is on a core. A core where it failed refuses calls for good; EL3 goes on without it. */
enum flexd_state {
	FLEXD_OFF,	/* not entered since the core was last powered on */
	FLEXD_ON,
	FLEXD_SUSPENDED,
	FLEXD_FAILED,
};

/* V0-V31, FPSR, FPCR of the normal world while the payload has the core. flexd_helpers.S goes by these offsets. */
struct flexd_simd {
	uint8_t v[32][16];
	uint64_t fpsr;
	uint64_t fpcr;
} __aligned(16);

CASSERT(__builtin_offsetof(struct flexd_simd, fpsr) == 0x200U, assert_flexd_simd_fpsr);
CASSERT(__builtin_offsetof(struct flexd_simd, fpcr) == 0x208U, assert_flexd_simd_fpcr);

/* One a core, touched by that core alone: no locks. It knows nothing of secure threads. */
struct flexd_core {
	cpu_context_t cpu_ctx;
	struct flexd_simd simd;
	uint64_t c_rt_ctx;
	enum flexd_state state;
};

/* Entry points of the payload; all zero until it has booted. */
extern struct flex_vectors flexd_vectors;
extern const spd_pm_ops_t flexd_pm;

/* The state of the calling core. */
struct flexd_core *flexd_this_core(void);

/*
 * Enters the payload at `pc` with interrupts masked and comes back with the status of FLEX_SPD_BOOT_DONE or
 * FLEX_SPD_CPU_DONE. The normal world's EL1 registers must be saved, or not yet in use. SIMD registers survive.
 */
uint64_t flexd_enter_sync(struct flexd_core *core, uintptr_t pc);

/* Prepares a first entry of this core at `pc`: MMU off, EL1h, everything masked. */
void flexd_init_core(struct flexd_core *core, uintptr_t pc);

/* flexd_helpers.S */
uint64_t flexd_enter(uint64_t *c_rt_ctx);
void __dead2 flexd_exit(uint64_t c_rt_ctx, uint64_t status);
void flexd_simd_save(struct flexd_simd *simd);
void flexd_simd_restore(const struct flexd_simd *simd);

#endif /* FLEXD_PRIVATE_H */
