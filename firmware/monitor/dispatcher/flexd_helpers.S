/*
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <arch.h>
#include <asm_macros.S>

#include "flexd_private.h"

	.globl	flexd_enter
	.globl	flexd_exit
	.globl	flexd_simd_save
	.globl	flexd_simd_restore

/*
 * uint64_t flexd_enter(uint64_t *c_rt_ctx)
 *
 * Leaves EL3 for the prepared secure context. Returns when flexd_exit() is called with what was left in *c_rt_ctx.
 */
func flexd_enter
	mov	x3, sp
	str	x3, [x0]
	sub	sp, sp, #FLEXD_C_RT_SIZE
	stp	x19, x20, [sp, #FLEXD_C_RT_X19]
	stp	x21, x22, [sp, #FLEXD_C_RT_X21]
	stp	x23, x24, [sp, #FLEXD_C_RT_X23]
	stp	x25, x26, [sp, #FLEXD_C_RT_X25]
	stp	x27, x28, [sp, #FLEXD_C_RT_X27]
	stp	x29, x30, [sp, #FLEXD_C_RT_X29]
	b	el3_exit
endfunc flexd_enter

/*
 * void flexd_exit(uint64_t c_rt_ctx, uint64_t status)
 *
 * Returns from the flexd_enter() that left c_rt_ctx, with `status`. The stack below it is given up.
 */
func flexd_exit
	mov	sp, x0
	sub	x0, x0, #FLEXD_C_RT_SIZE
	ldp	x19, x20, [x0, #FLEXD_C_RT_X19]
	ldp	x21, x22, [x0, #FLEXD_C_RT_X21]
	ldp	x23, x24, [x0, #FLEXD_C_RT_X23]
	ldp	x25, x26, [x0, #FLEXD_C_RT_X25]
	ldp	x27, x28, [x0, #FLEXD_C_RT_X27]
	ldp	x29, x30, [x0, #FLEXD_C_RT_X29]
	mov	x0, x1
	ret
endfunc flexd_exit

	.arch_extension fp
	.arch_extension simd

	/* EL3 itself runs with SIMD trapped or not, as the last world left CPTR_EL3: open it for a moment. */
	.macro	simd_open
	mrs	x10, cptr_el3
	bic	x11, x10, #TFP_BIT
	msr	cptr_el3, x11
	isb
	.endm

	.macro	simd_close
	msr	cptr_el3, x10
	isb
	.endm

	.macro	simd_all op
	\op	q0, q1, [x0, #0x000]
	\op	q2, q3, [x0, #0x020]
	\op	q4, q5, [x0, #0x040]
	\op	q6, q7, [x0, #0x060]
	\op	q8, q9, [x0, #0x080]
	\op	q10, q11, [x0, #0x0a0]
	\op	q12, q13, [x0, #0x0c0]
	\op	q14, q15, [x0, #0x0e0]
	\op	q16, q17, [x0, #0x100]
	\op	q18, q19, [x0, #0x120]
	\op	q20, q21, [x0, #0x140]
	\op	q22, q23, [x0, #0x160]
	\op	q24, q25, [x0, #0x180]
	\op	q26, q27, [x0, #0x1a0]
	\op	q28, q29, [x0, #0x1c0]
	\op	q30, q31, [x0, #0x1e0]
	.endm

/* void flexd_simd_save(struct flexd_simd *simd). Clobbers x9-x11. */
func flexd_simd_save
	simd_open
	simd_all stp
	mrs	x9, fpsr
	str	x9, [x0, #FLEXD_SIMD_FPSR]
	mrs	x9, fpcr
	str	x9, [x0, #FLEXD_SIMD_FPCR]
	simd_close
	ret
endfunc flexd_simd_save

/* void flexd_simd_restore(const struct flexd_simd *simd). Nothing that the secure world left survives it. */
func flexd_simd_restore
	simd_open
	simd_all ldp
	ldr	x9, [x0, #FLEXD_SIMD_FPSR]
	msr	fpsr, x9
	ldr	x9, [x0, #FLEXD_SIMD_FPCR]
	msr	fpcr, x9
	simd_close
	ret
endfunc flexd_simd_restore
