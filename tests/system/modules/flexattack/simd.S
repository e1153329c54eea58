/* SPDX-License-Identifier: GPL-2.0-only */
#include <linux/linkage.h>

	.arch_extension fp
	.arch_extension simd

	.macro each, op
	\op	q0, q1, [x0, #0]
	\op	q2, q3, [x0, #32]
	\op	q4, q5, [x0, #64]
	\op	q6, q7, [x0, #96]
	\op	q8, q9, [x0, #128]
	\op	q10, q11, [x0, #160]
	\op	q12, q13, [x0, #192]
	\op	q14, q15, [x0, #224]
	\op	q16, q17, [x0, #256]
	\op	q18, q19, [x0, #288]
	\op	q20, q21, [x0, #320]
	\op	q22, q23, [x0, #352]
	\op	q24, q25, [x0, #384]
	\op	q26, q27, [x0, #416]
	\op	q28, q29, [x0, #448]
	\op	q30, q31, [x0, #480]
	.endm

/* void attack_simd_load(const u64 *state): 64 words into V0-V31 */
SYM_FUNC_START(attack_simd_load)
	each	ldp
	ret
SYM_FUNC_END(attack_simd_load)

/* void attack_simd_store(u64 *state): V0-V31 into 64 words */
SYM_FUNC_START(attack_simd_store)
	each	stp
	ret
SYM_FUNC_END(attack_simd_store)
