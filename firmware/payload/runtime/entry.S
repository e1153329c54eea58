/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Entry points, exception vectors, and the switch between a core's own stack (SP_EL1, interrupts masked) and a secure
 * thread (SP_EL0, interrupts open). Every way out of a thread, voluntary or not, saves all of it in its struct rt_thread.
 */
#include <flexkit/smc.h>

#include "flex_board.h"
#include "mmu_bits.h"
#include "runtime.h"

	.arch armv8-a

	.macro mov32 reg, value
	movz	\reg, #((\value) & 0xffff)
	movk	\reg, #((\value) >> 16 & 0xffff), lsl #16
	.endm

	.macro mov64 reg, value
	movz	\reg, #((\value) & 0xffff)
	movk	\reg, #((\value) >> 16 & 0xffff), lsl #16
	movk	\reg, #((\value) >> 32 & 0xffff), lsl #32
	movk	\reg, #((\value) >> 48 & 0xffff), lsl #48
	.endm

	.macro address reg, symbol
	adrp	\reg, \symbol
	add	\reg, \reg, :lo12:\symbol
	.endm

	.section .text.entry, "ax"

/* Cold boot, primary core, MMU off, from the dispatcher. Secondaries come by rt_cpu_on_entry. */
	.globl	rt_boot_entry
rt_boot_entry:
	msr	daifset, #0xf
	/* Drop lines that a boot loader may have left over our writable memory, then zero it past the caches. */
	address	x0, __rw_start
	address	x1, __rw_end
	mrs	x2, ctr_el0
	ubfx	x2, x2, #16, #4
	mov	x3, #4
	lsl	x3, x3, x2
	mov	x4, x0
1:	dc	ivac, x4
	add	x4, x4, x3
	cmp	x4, x1
	b.lo	1b
	dsb	sy
2:	stp	xzr, xzr, [x0], #16
	cmp	x0, x1
	b.lo	2b
	address	x0, rt_core_stacks + GUARD_BYTES + CORE_STACK_BYTES
	mov	sp, x0
	bl	rt_early
	bl	mmu_on
	bl	core_claim
	cbz	x0, boot_failed
	b	rt_boot
boot_failed:
	mov	x0, #0
	mov	x1, #0
	mov	x2, #0
	mov	x3, #0

/* void rt_boot_done(vectors, high, low, debug): tells the dispatcher; vectors 0 means that there is no payload. */
	.globl	rt_boot_done
rt_boot_done:
	mov	x4, x3
	mov	x3, x2
	mov	x2, x1
	mov	x1, x0
	mov32	x0, FLEX_SPD_BOOT_DONE
	smc	#0
	b	.

/* A core came up: MMU off, nothing set. Answers FLEX_SPD_CPU_DONE(0), or 1 if there is no room for it. */
rt_cpu_on_entry:
	msr	daifset, #0xf
	bl	mmu_on
	bl	core_claim
	cmp	x0, #0
	cset	x1, eq
	b	cpu_done

/* Suspend, resume, system off: what is here is per core in EL3's context or in memory that stays. */
rt_cpu_nothing_entry:
	mov	x1, #0
cpu_done:
	mov32	x0, FLEX_SPD_CPU_DONE
	smc	#0
	b	.

/* A core goes: its place is free for whichever core comes up next. */
rt_cpu_off_entry:
	mrs	x0, tpidr_el1
	add	x0, x0, #CORE_MPIDR
	stlr	xzr, [x0]
	mov	x1, #0
	b	cpu_done

/* Turns translation on; all of it is fixed at link time. Clobbers x9, x10. */
mmu_on:
	mov64	x9, RT_MAIR
	msr	mair_el1, x9
	mov64	x9, RT_TCR
	/* As many physical address bits as the core has, up to 48. */
	mrs	x10, id_aa64mmfr0_el1
	and	x10, x10, #0xf
	cmp	x10, #5
	mov	x11, #5
	csel	x10, x10, x11, lo
	orr	x9, x9, x10, lsl #RT_TCR_IPS_SHIFT
	msr	tcr_el1, x9
	address	x9, rt_level1
	msr	ttbr0_el1, x9
	mov	x9, #(3 << 20)			/* FP and SIMD are not trapped */
	msr	cpacr_el1, x9
	address	x9, vectors
	msr	vbar_el1, x9
	isb
	tlbi	vmalle1
	ic	iallu
	dsb	nsh
	isb
	mov64	x9, RT_SCTLR
	msr	sctlr_el1, x9
	isb
	ret

/* Finds this core a struct rt_core that nobody uses, and its stack. x0: it, or NULL if there are more than the board's. */
core_claim:
	mrs	x1, mpidr_el1
	orr	x1, x1, #(1 << 31)
	address	x0, rt_cores
	add	x4, x0, #(FLEX_BOARD_CORES * CORE_SIZE)
1:	add	x2, x0, #CORE_MPIDR
2:	ldaxr	x3, [x2]
	cbnz	x3, 3f
	stlxr	w3, x1, [x2]
	cbnz	w3, 2b
	msr	tpidr_el1, x0
	ldr	x2, [x0, #CORE_STACK]
	mov	sp, x2
	str	xzr, [x0, #CORE_THREAD]
	ret
3:	clrex
	add	x0, x0, #CORE_SIZE
	cmp	x0, x4
	b.lo	1b
	mov	x0, #0
	ret

/* FLEX_TOS_START and _RESUME: x0 = function, x1..x6. The stack of this core is empty whenever we are outside. */
rt_yielding_entry:
	mrs	x9, tpidr_el1
	ldr	x10, [x9, #CORE_STACK]
	mov	sp, x10
	b	rt_enter

/* void rt_leave(x0..x5): the values become the NW's x0..x5. */
	.globl	rt_leave
rt_leave:
	mov	x6, x5
	mov	x5, x4
	mov	x4, x3
	mov	x3, x2
	mov	x2, x1
	mov	x1, x0
	mov32	x0, FLEX_SPD_RETURN
	smc	#0
	b	.

/* A spinner has seen that the service is dying: gives up its thread, wherever it runs. */
	.globl	rt_abandon_on_core_stack
rt_abandon_on_core_stack:
	msr	daifset, #0xf
	msr	spsel, #1
	mrs	x9, tpidr_el1
	ldr	x10, [x9, #CORE_STACK]
	mov	sp, x10
	b	rt_abandoned

/* struct rt_smc rt_smc(fid, a1, a2, a3): the result is stored by way of x8. */
	.globl	rt_smc
rt_smc:
	stp	x29, x30, [sp, #-32]!
	mov	x29, sp
	str	x8, [sp, #16]
	smc	#0
	ldr	x8, [sp, #16]
	stp	x0, x1, [x8]
	stp	x2, x3, [x8, #16]
	ldp	x29, x30, [sp], #32
	ret

/* int64_t rt_yield(reason, v1, v2, v3): x0..x3 travel in the saved thread; the answer comes back in x0. */
	.globl	rt_yield
rt_yield:
	svc	#0
	ret

/* First instruction of a thread: x0 = its struct. */
	.globl	rt_thread_entry
rt_thread_entry:
	bl	rt_thread_main
	svc	#1
	b	.

	.macro vregs op
	\op	q0, q1, [x0, #THREAD_V + 0x000]
	\op	q2, q3, [x0, #THREAD_V + 0x020]
	\op	q4, q5, [x0, #THREAD_V + 0x040]
	\op	q6, q7, [x0, #THREAD_V + 0x060]
	\op	q8, q9, [x0, #THREAD_V + 0x080]
	\op	q10, q11, [x0, #THREAD_V + 0x0a0]
	\op	q12, q13, [x0, #THREAD_V + 0x0c0]
	\op	q14, q15, [x0, #THREAD_V + 0x0e0]
	\op	q16, q17, [x0, #THREAD_V + 0x100]
	\op	q18, q19, [x0, #THREAD_V + 0x120]
	\op	q20, q21, [x0, #THREAD_V + 0x140]
	\op	q22, q23, [x0, #THREAD_V + 0x160]
	\op	q24, q25, [x0, #THREAD_V + 0x180]
	\op	q26, q27, [x0, #THREAD_V + 0x1a0]
	\op	q28, q29, [x0, #THREAD_V + 0x1c0]
	\op	q30, q31, [x0, #THREAD_V + 0x1e0]
	.endm

	.macro xregs op
	\op	x2, x3, [x0, #0x10]
	\op	x4, x5, [x0, #0x20]
	\op	x6, x7, [x0, #0x30]
	\op	x8, x9, [x0, #0x40]
	\op	x10, x11, [x0, #0x50]
	\op	x12, x13, [x0, #0x60]
	\op	x14, x15, [x0, #0x70]
	\op	x16, x17, [x0, #0x80]
	\op	x18, x19, [x0, #0x90]
	\op	x20, x21, [x0, #0xa0]
	\op	x22, x23, [x0, #0xb0]
	\op	x24, x25, [x0, #0xc0]
	\op	x26, x27, [x0, #0xd0]
	\op	x28, x29, [x0, #0xe0]
	.endm

/* void rt_thread_run(thread): onto the thread. The core's stack is empty again. */
	.globl	rt_thread_run
rt_thread_run:
	mrs	x9, tpidr_el1
	str	x0, [x9, #CORE_THREAD]
	ldr	x10, [x9, #CORE_STACK]
	mov	sp, x10
	vregs	ldp
	ldr	x9, [x0, #THREAD_FPCR]
	msr	fpcr, x9
	ldr	x9, [x0, #THREAD_FPSR]
	msr	fpsr, x9
	ldp	x9, x10, [x0, #THREAD_SP]
	msr	sp_el0, x9
	msr	elr_el1, x10
	ldr	x9, [x0, #THREAD_SPSR]
	msr	spsr_el1, x9
	xregs	ldp
	ldr	x30, [x0, #0xf0]
	ldp	x0, x1, [x0]
	eret

/* Everything of the thread that was interrupted, into its struct; x0 = it. */
	.macro save_thread
	stp	x0, x1, [sp, #-16]!
	mrs	x0, tpidr_el1
	ldr	x0, [x0, #CORE_THREAD]
	xregs	stp
	str	x30, [x0, #0xf0]
	ldp	x2, x3, [sp], #16
	stp	x2, x3, [x0]
	mrs	x2, sp_el0
	mrs	x3, elr_el1
	stp	x2, x3, [x0, #THREAD_SP]
	mrs	x2, spsr_el1
	str	x2, [x0, #THREAD_SPSR]
	mrs	x2, fpcr
	str	x2, [x0, #THREAD_FPCR]
	mrs	x2, fpsr
	str	x2, [x0, #THREAD_FPSR]
	vregs	stp
	.endm

	.macro vector target
	.balign	0x80
	b	\target
	.endm

	.macro vector_fault kind
	.balign	0x80
	mrs	x9, tpidr_el1
	cbz	x9, boot_failed
	ldr	x10, [x9, #CORE_STACK]
	mov	sp, x10
	mov	x0, #\kind
	b	rt_fault
	.endm

	.balign	0x800
vectors:
	vector		thread_sync
	vector		thread_interrupt	/* IRQ: the normal world's, of a GICv2 */
	vector		thread_interrupt	/* FIQ: the normal world's, of a GICv3 */
	vector_fault	3
	vector_fault	4			/* from the core's own stack: our own mistake, all of them */
	vector_fault	5
	vector_fault	6
	vector_fault	7
	vector_fault	8			/* there is no S-EL0 */
	vector_fault	9
	vector_fault	10
	vector_fault	11
	vector_fault	12
	vector_fault	13
	vector_fault	14
	vector_fault	15
	.balign	0x80

thread_sync:
	save_thread
	bl	rt_thread_sync
	mov	x0, #0			/* it came back: no service call */
	b	rt_fault

thread_interrupt:
	save_thread
	b	rt_thread_interrupt

/*
 * uint64_t rt_drill_round(void): every register that a thread has holds the pattern while it spins on one instruction;
 * rt_thread_interrupt() lets it go on after a preemption there. Returns 0 if every register still held the pattern then.
 */
	.globl	rt_drill_round
	.globl	rt_drill_spin
rt_drill_round:
	stp	x29, x30, [sp, #-128]!
	stp	x19, x20, [sp, #16]
	stp	x21, x22, [sp, #32]
	stp	x23, x24, [sp, #48]
	stp	x25, x26, [sp, #64]
	stp	x27, x28, [sp, #80]
	mrs	x0, fpcr
	mrs	x1, fpsr
	stp	x0, x1, [sp, #96]
	stp	d8, d9, [sp, #-64]!
	stp	d10, d11, [sp, #16]
	stp	d12, d13, [sp, #32]
	stp	d14, d15, [sp, #48]
	mov64	x0, DRILL_PATTERN
	/* of the pattern what the registers take: rounding and flush bits, cumulative flags */
	mov	x1, #0x07c00000
	and	x1, x0, x1
	msr	fpcr, x1
	mov	w1, #0x9f
	and	x1, x0, x1
	msr	fpsr, x1
	.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	dup	v\n\().2d, x0
	.endr
	.irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30
	mov	x\n, x0
	.endr
rt_drill_spin:
	b	.
	/* OR of the differences, in x0 by way of the stack so that each register is looked at */
	str	x0, [sp, #-16]!
	mov64	x0, DRILL_PATTERN
	.irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30
	eor	x\n, x\n, x0
	.endr
	.irp n, 2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30
	orr	x1, x1, x\n
	.endr
	ldr	x2, [sp], #16
	eor	x2, x2, x0
	orr	x1, x1, x2
	.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	umov	x2, v\n\().d[0]
	umov	x3, v\n\().d[1]
	eor	x2, x2, x0
	eor	x3, x3, x0
	orr	x1, x1, x2
	orr	x1, x1, x3
	.endr
	mrs	x2, fpcr
	mov	x3, #0x07c00000
	and	x3, x0, x3
	eor	x2, x2, x3
	orr	x1, x1, x2
	mrs	x2, fpsr
	mov	w3, #0x9f
	and	x3, x0, x3
	eor	x2, x2, x3
	orr	x0, x1, x2
	ldp	d14, d15, [sp, #48]
	ldp	d12, d13, [sp, #32]
	ldp	d10, d11, [sp, #16]
	ldp	d8, d9, [sp], #64
	ldp	x1, x2, [sp, #96]
	msr	fpcr, x1
	msr	fpsr, x2
	ldp	x27, x28, [sp, #80]
	ldp	x25, x26, [sp, #64]
	ldp	x23, x24, [sp, #48]
	ldp	x21, x22, [sp, #32]
	ldp	x19, x20, [sp, #16]
	ldp	x29, x30, [sp], #128
	ret

	.section .rodata.vectors, "a"
	.balign	8
	.globl	rt_vectors
rt_vectors:
	.quad	rt_yielding_entry
	.quad	rt_cpu_on_entry
	.quad	rt_cpu_off_entry
	.quad	rt_cpu_nothing_entry		/* suspend */
	.quad	rt_cpu_nothing_entry		/* resume */
	.quad	rt_cpu_nothing_entry		/* system off */
