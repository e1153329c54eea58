/*
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <arch.h>
#include <asm_macros.S>

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
	stp	x19, x20, [sp, #-16]!
	stp	x21, x22, [sp, #-16]!
	stp	x23, x24, [sp, #-16]!
	stp	x25, x26, [sp, #-16]!
	stp	x27, x28, [sp, #-16]!
	stp	x29, x30, [sp, #-16]!
	b	el3_exit
endfunc flexd_enter

/*
 * void flexd_exit(uint64_t c_rt_ctx, uint64_t status)
 *
 * Returns from the flexd_enter() that left c_rt_ctx, with `status`. The stack below it is given up.
 */
func flexd_exit
	mov	sp, x0
	ldp	x19, x20, [x0, #-16]!
	ldp	x21, x22, [x0, #-16]!
	ldp	x23, x24, [x0, #-16]!
	ldp	x25, x26, [x0, #-16]!
	ldp	x27, x28, [x0, #-16]!
	ldp	x29, x30, [x0, #-16]!
	mov	x0, x1
	ret
endfunc flexd_exit

	.arch_extension fp
	.arch_extension simd

	/* EL3 itself runs with SIMD trapped or not, as the last world left CPTR_EL3: open it for a moment. */
	.macro	simd_open
	mrs	x12, cptr_el3
	bic	x11, x12, #TFP_BIT
	msr	cptr_el3, x11
	isb
	.endm

	.macro	simd_close
	msr	cptr_el3, x12
	isb
	.endm

	/* V0 to V31 at x0, then FPSR and FPCR, where x9 is left. */
	.macro	simd_all op
	mov	x9, x0
	\op	{v0.2d-v3.2d}, [x9], #64
	\op	{v4.2d-v7.2d}, [x9], #64
	\op	{v8.2d-v11.2d}, [x9], #64
	\op	{v12.2d-v15.2d}, [x9], #64
	\op	{v16.2d-v19.2d}, [x9], #64
	\op	{v20.2d-v23.2d}, [x9], #64
	\op	{v24.2d-v27.2d}, [x9], #64
	\op	{v28.2d-v31.2d}, [x9], #64
	.endm

/* void flexd_simd_save(struct flexd_simd *simd). Clobbers x9-x12. */
func flexd_simd_save
	simd_open
	simd_all st1
	mrs	x10, fpsr
	mrs	x11, fpcr
	stp	x10, x11, [x9]
	simd_close
	ret
endfunc flexd_simd_save

/* void flexd_simd_restore(const struct flexd_simd *simd). Nothing that the secure world left survives it. */
func flexd_simd_restore
	simd_open
	simd_all ld1
	ldp	x10, x11, [x9]
	msr	fpsr, x10
	msr	fpcr, x11
	simd_close
	ret
endfunc flexd_simd_restore
