/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Q8_0 kernels for AArch64: with the dot product instruction, and without. The results are integers, hence equal to the
 * portable kernel's. Without sdot, 8-bit weights are split into even and odd 16-bit lanes by shifts, and two products
 * (at most 2 * 127 * 128) fit a 16-bit lane: under QEMU's translator, which has no host instruction for sdot but has
 * one for mla, this path is several times as fast as sdot; on silicon it is the other way round. flx_fastest_caps
 * measures.
 */
#if defined(__aarch64__)

#include <arm_neon.h>

#include "kernels.h"

/* A kernel within one page of code: QEMU's translator jumps directly only inside a page, and a loop that lies across a
 * border was measured a quarter slower. */
#define KERNEL __attribute__((aligned(2048))) static uint64_t
#define KERNEL_SDOT __attribute__((aligned(2048), target("arch=armv8.2-a+dotprod"))) static uint64_t

static inline int8x16_t load(const uint8_t *at)
{
	return vld1q_s8((const int8_t *)at);
}

static inline int16x8_t evens(int8x16_t v)
{
	return vshrq_n_s16(vshlq_n_s16(vreinterpretq_s16_s8(v), 8), 8);
}

static inline int16x8_t odds(int8x16_t v)
{
	return vshrq_n_s16(vreinterpretq_s16_s8(v), 8);
}

/* sum + dot * factor; unsigned, since a factor that does not fit may overflow. */
static inline int64_t add_product(int64_t sum, int32_t dot, int64_t factor)
{
	return (int64_t)((uint64_t)sum + (uint64_t)(int64_t)dot * (uint64_t)factor);
}

/* ---- one token ---- */

#define EACH_ROW _Pragma("GCC unroll 4") for (uint32_t r = 0; r < 4; r++)

/* 16 weights of each of four rows times 16 elements, two products in each lane. The rows go step by step together, so
 * that no step waits for the one before it. */
static inline void sixteen(int16x8_t two[4], const uint8_t *const at[4], uint32_t offset, const int16_t *x)
{
	int16x8_t even[4], odd[4], x_even, x_odd;
	int8x16_t both[4];

	EACH_ROW both[r] = load(at[r] + offset);
	EACH_ROW even[r] = vshlq_n_s16(vreinterpretq_s16_s8(both[r]), 8);
	EACH_ROW odd[r] = odds(both[r]);
	EACH_ROW even[r] = vshrq_n_s16(even[r], 8);
	x_even = vld1q_s16(x);
	x_odd = vld1q_s16(x + 8);
	EACH_ROW two[r] = vmulq_s16(even[r], x_even);
	EACH_ROW two[r] = vmlaq_s16(two[r], odd[r], x_odd);
}

KERNEL one_token_mla(const uint8_t *const row[4], uint32_t blocks, const void *q, const int32_t *scale, int64_t *sum)
{
	const uint8_t *at[4] = { row[0], row[1], row[2], row[3] };
	const int16_t *x = q;
	int64_t total[4] = { 0 };
	uint64_t seen = 0;

	for (uint32_t b = 0; b < blocks; b++, x += FLX_BLOCK) {
		int16x8_t two[4];
		int32x4_t dot[4];
		int64_t by = scale[b];

		sixteen(two, at, 2, x);
		EACH_ROW dot[r] = vpaddlq_s16(two[r]);
		sixteen(two, at, 18, x + 16);
		EACH_ROW dot[r] = vpadalq_s16(dot[r], two[r]);
		EACH_ROW {
			int64_t factor = by * flx_half_fixed(flx_u16(at[r]), &seen);

			total[r] = add_product(total[r], vaddvq_s32(dot[r]), factor);
			at[r] += FLX_BLOCK_BYTES;
		}
	}
	memcpy(sum, total, sizeof(total));
	return seen;
}

KERNEL_SDOT one_token_sdot(const uint8_t *const row[4], uint32_t blocks, const void *q, const int32_t *scale, int64_t *sum)
{
	const uint8_t *at[4] = { row[0], row[1], row[2], row[3] };
	int64_t total[4] = { 0 };
	uint64_t seen = 0;

	for (uint32_t b = 0; b < blocks; b++) {
		const int8_t *x = (const int8_t *)q + b * FLX_BLOCK;
		int8x16_t x0 = vld1q_s8(x), x1 = vld1q_s8(x + 16);
		int32x4_t dot[4];
		int64_t by = scale[b];

		EACH_ROW dot[r] = vdotq_s32(vdupq_n_s32(0), load(at[r] + 2), x0);
		EACH_ROW dot[r] = vdotq_s32(dot[r], load(at[r] + 18), x1);
		EACH_ROW {
			int64_t factor = by * flx_half_fixed(flx_u16(at[r]), &seen);

			total[r] = add_product(total[r], vaddvq_s32(dot[r]), factor);
			at[r] += FLX_BLOCK_BYTES;
		}
	}
	memcpy(sum, total, sizeof(total));
	return seen;
}

/* ---- four tokens ---- */

/* Sums of one row, four tokens in the lanes of two registers. */
struct four {
	int64x2_t low, high;
};

static inline void add_four(struct four *sum, int32x4_t dot, int32x4_t scale, int64_t n)
{
	int32x4_t scaled = vmulq_s32(dot, scale);
	int32x2_t by = vdup_n_s32((int32_t)n);

	sum->low = vmlal_s32(sum->low, vget_low_s32(scaled), by);
	sum->high = vmlal_s32(sum->high, vget_high_s32(scaled), by);
}

static inline void store_four(int64_t *to, const struct four *sum)
{
	vst1q_s64(to, sum->low);
	vst1q_s64(to + 2, sum->high);
}

/* Two weights in every lane pair. */
#define PAIR(v, i) vreinterpretq_s16_s32(vdupq_laneq_s32(vreinterpretq_s32_s16(v), i))
/* Four weights, times four tokens: two products in each 16-bit lane, four in each of 32 bits. */
#define FOUR(dot, x, v, i) \
	vpadalq_s16(dot, vmlaq_s16(vmulq_s16((x)[0], PAIR(v, i)), (x)[1], PAIR(v, (i) + 1)))

KERNEL four_tokens_mla(const uint8_t *const row[4], uint32_t blocks, const void *q, const int32_t *scale, int64_t *sum)
{
	struct four total[4] = { { vdupq_n_s64(0), vdupq_n_s64(0) }, { vdupq_n_s64(0), vdupq_n_s64(0) },
				 { vdupq_n_s64(0), vdupq_n_s64(0) }, { vdupq_n_s64(0), vdupq_n_s64(0) } };
	uint64_t seen = 0;

	for (uint32_t b = 0; b < blocks; b++) {
		const int16_t *x = (const int16_t *)q + (uint64_t)b * FLX_BLOCK * 4;
		int32x4_t scales = vld1q_s32(scale + 4ull * b);
		int16x8_t in[16];

#pragma GCC unroll 16
		for (uint32_t i = 0; i < 16; i++)
			in[i] = vld1q_s16(x + 8 * i);
#pragma GCC unroll 4
		for (uint32_t r = 0; r < 4; r++) {
			const uint8_t *w = row[r] + (uint64_t)b * FLX_BLOCK_BYTES;
			int8x16_t v = load(w + 2);
			int16x8_t even = evens(v), odd = odds(v);
			int32x4_t dot = vdupq_n_s32(0);

			dot = FOUR(dot, in, even, 0);
			dot = FOUR(dot, in + 2, even, 2);
			dot = FOUR(dot, in + 4, odd, 0);
			dot = FOUR(dot, in + 6, odd, 2);
			v = load(w + 18);
			even = evens(v);
			odd = odds(v);
			dot = FOUR(dot, in + 8, even, 0);
			dot = FOUR(dot, in + 10, even, 2);
			dot = FOUR(dot, in + 12, odd, 0);
			dot = FOUR(dot, in + 14, odd, 2);
			add_four(&total[r], dot, scales, flx_half_fixed(flx_u16(w), &seen));
		}
	}
	for (uint32_t r = 0; r < 4; r++)
		store_four(sum + 4 * r, &total[r]);
	return seen;
}

KERNEL_SDOT four_tokens_sdot(const uint8_t *const row[4], uint32_t blocks, const void *q, const int32_t *scale, int64_t *sum)
{
	struct four total[4] = { { vdupq_n_s64(0), vdupq_n_s64(0) }, { vdupq_n_s64(0), vdupq_n_s64(0) },
				 { vdupq_n_s64(0), vdupq_n_s64(0) }, { vdupq_n_s64(0), vdupq_n_s64(0) } };
	uint64_t seen = 0;

	for (uint32_t b = 0; b < blocks; b++) {
		const int8_t *x = (const int8_t *)q + (uint64_t)b * FLX_BLOCK * 4;
		int32x4_t scales = vld1q_s32(scale + 4ull * b);
		int8x16_t in[8];

#pragma GCC unroll 8
		for (uint32_t i = 0; i < 8; i++)
			in[i] = vld1q_s8(x + 16 * i);
#pragma GCC unroll 4
		for (uint32_t r = 0; r < 4; r++) {
			const uint8_t *w = row[r] + (uint64_t)b * FLX_BLOCK_BYTES;
			int8x16_t first = load(w + 2), second = load(w + 18);
			int32x4_t dot = vdupq_n_s32(0);

			dot = vdotq_laneq_s32(dot, in[0], first, 0);
			dot = vdotq_laneq_s32(dot, in[1], first, 1);
			dot = vdotq_laneq_s32(dot, in[2], first, 2);
			dot = vdotq_laneq_s32(dot, in[3], first, 3);
			dot = vdotq_laneq_s32(dot, in[4], second, 0);
			dot = vdotq_laneq_s32(dot, in[5], second, 1);
			dot = vdotq_laneq_s32(dot, in[6], second, 2);
			dot = vdotq_laneq_s32(dot, in[7], second, 3);
			add_four(&total[r], dot, scales, flx_half_fixed(flx_u16(w), &seen));
		}
	}
	for (uint32_t r = 0; r < 4; r++)
		store_four(sum + 4 * r, &total[r]);
	return seen;
}

/* ---- layouts ---- */

/* mla, one token: of each 16 elements the even ones, then the odd ones. */
static const struct flx_q8_path one_mla = {
	.layout = { .lanes = 1, .bytes = 2,
		    .offset = { 0,  8,	1,  9,	2,  10, 3,  11, 4,  12, 5,  13, 6,  14, 7,  15,
				16, 24, 17, 25, 18, 26, 19, 27, 20, 28, 21, 29, 22, 30, 23, 31 } },
	.kernel = one_token_mla,
};

/* mla, four tokens: pairs (0, 2), (4, 6), (8, 10), (12, 14), (1, 3), ... of four tokens each. */
static const struct flx_q8_path four_mla = {
	.layout = { .lanes = 4, .lane_step = 2, .bytes = 2,
		    .offset = { 0,  32, 1,  33, 8,  40, 9,  41, 16, 48, 17, 49, 24, 56,	 25, 57,
				64, 96, 65, 97, 72, 104, 73, 105, 80, 112, 81, 113, 88, 120, 89, 121 } },
	.kernel = four_tokens_mla,
};

static const struct flx_q8_path one_sdot = {
	.layout = { .lanes = 1, .bytes = 1,
		    .offset = { 0,  1,	2,  3,	4,  5,	6,  7,	8,  9,	10, 11, 12, 13, 14, 15,
				16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31 } },
	.kernel = one_token_sdot,
};

/* sdot, four tokens: four elements of each. */
static const struct flx_q8_path four_sdot = {
	.layout = { .lanes = 4, .lane_step = 4, .bytes = 1,
		    .offset = { 0,  1,	2,  3,	16, 17, 18, 19, 32, 33, 34, 35, 48, 49,	 50,  51,
				64, 65, 66, 67, 80, 81, 82, 83, 96, 97, 98, 99, 112, 113, 114, 115 } },
	.kernel = four_tokens_sdot,
};

const struct flx_q8_path *flx_q8_path_neon(uint32_t caps, uint32_t tokens)
{
	if (caps & FLX_CAP_DOTPROD)
		return tokens == 1 ? &one_sdot : &four_sdot;
	if (caps & FLX_CAP_ASIMD)
		return tokens == 1 ? &one_mla : &four_mla;
	return NULL;
}

#else
typedef int flx_kernels_neon_is_empty; /* ISO C wants something in every file */
#endif
