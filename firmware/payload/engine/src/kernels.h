/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Matrices times activations.
 *
 * Q8_0 is computed in integers from end to end, so that the order of sums does not matter and every processor gives the
 * same bits. An input row x (one token, K elements, blocks of 32) becomes
 *
 *	x[k] = unit * scale[b] * q[k]       q in -127..127, scale in 1..4095, one unit (float) for the row
 *
 * and a weight is w[k] = n[b] * 2^-24 * q8[k], n being the half-precision scale as the integer that it is a multiple
 * of. So y = unit * 2^-24 * sum over b of (n[b] * scale[b] * dot[b]), summed in 64 bits:
 *
 *	|dot| <= 32 * 128 * 127, times 4095 < 2^31; |n| < 2^B, B = min(31, 32 - log2 of the number of blocks)
 *
 * never overflows. A row with a larger n is rare (B is 25 for K = 4096: weights above 254) and takes a slow path that
 * shifts all its n to the right until they fit.
 *
 * F16 and F32 are computed in single precision: 16 running sums, added up in a fixed tree.
 */
#ifndef FLX_KERNELS_H
#define FLX_KERNELS_H

#include "internal.h"

#define FLX_BLOCK 32u
#define FLX_BLOCK_BYTES 34u
#define FLX_SCALE_MAX 4095

/* How a block of 32 quantised elements lies in memory; which one is best is the kernel's business. */
struct flx_layout {
	uint32_t lanes;      /* tokens interleaved: 1 or 4 */
	uint32_t lane_step;  /* distance of the tokens' elements */
	uint32_t bytes;      /* of an element: 1 or 2 */
	uint8_t offset[32];  /* of element k, in elements, for lane 0 */
};

/*
 * Four rows of weights, `blocks` each, times one group of `lanes` tokens: sum[row * lanes + lane]. Returns all |n| or-ed
 * together: if that has bits at B or above, the sums mean nothing.
 */
typedef uint64_t flx_q8_kernel(const uint8_t *const row[4], uint32_t blocks, const void *q, const int32_t *scale,
			       int64_t *sum);

struct flx_q8_path {
	struct flx_layout layout;
	flx_q8_kernel *kernel;
};

/* The input of a matrix, prepared: floats for F32 and F16 weights, integers for Q8_0. */
struct flx_input {
	const struct flx_q8_path *path; /* whose layout q and scale have */
	uint32_t tokens, cols;
	const float *x;      /* (tokens, cols) */
	void *q;             /* (tokens / lanes rounded up, cols / 32, 32 * lanes) */
	int32_t *scale;      /* (tokens / lanes rounded up, cols / 32, lanes) */
	float *unit;         /* (tokens) */
};

/* The path for this processor (FLX_CAP_*) and number of tokens; the second is NULL where there is no such code. */
const struct flx_q8_path *flx_q8_path(uint32_t caps, uint32_t tokens);
const struct flx_q8_path *flx_q8_path_neon(uint32_t caps, uint32_t tokens);

/* The weight's scale as a multiple of 2^-24; its magnitude is or-ed into *seen. Infinities and NaN become numbers above
 * 65504. */
static inline int64_t flx_half_fixed(uint16_t half, uint64_t *seen)
{
	uint32_t exponent = half >> 10 & 31, fraction = half & 0x3ffu;
	uint64_t n = exponent == 0 ? fraction : (uint64_t)(fraction | 0x400u) << (exponent - 1);

	*seen |= n;
	return half & 0x8000 ? -(int64_t)n : (int64_t)n;
}

/* Adding and subtracting 1.5 * 2^23 rounds to the nearest whole number, ties to even, for |x| < 2^22. */
#define FLX_ROUNDER 12582912.0f
#define FLX_ROUNDER_BITS 0x4b400000

/* Rounded, within -limit..limit (limit < 2^22); a NaN becomes -limit. */
static inline int32_t flx_round(float x, float limit)
{
	x = x >= -limit ? x : -limit;
	x = x <= limit ? x : limit;
	return (int32_t)flx_float_bits(x + FLX_ROUNDER) - FLX_ROUNDER_BITS;
}

/* Fills q, scale and unit for one token from x. cols is a multiple of 32. */
void flx_quantise(const struct flx_input *in, uint32_t token);

/* out[token * out_stride + row] for rows [first, last) and all tokens of the input. */
void flx_multiply(const struct flx_tensor *w, const struct flx_input *in, float *out, uint32_t out_stride, uint32_t first,
		  uint32_t last);

/* One row as floats. */
void flx_dequantise(const struct flx_tensor *w, uint32_t row, float *out);

/* Four floats (or integers) side by side: the same on every machine, since each lane is on its own. */
typedef float flx_f4 __attribute__((vector_size(16)));
typedef int32_t flx_i4 __attribute__((vector_size(16)));
typedef uint32_t flx_u4 __attribute__((vector_size(16)));

static inline flx_f4 flx_f4_load(const float *at)
{
	flx_f4 v;

	__builtin_memcpy(&v, at, sizeof(v));
	return v;
}

static inline void flx_f4_store(float *at, flx_f4 v)
{
	__builtin_memcpy(at, &v, sizeof(v));
}

static inline flx_i4 flx_i4_load(const void *at)
{
	flx_i4 v;

	__builtin_memcpy(&v, at, sizeof(v));
	return v;
}

/* Sum of n products, in 16 running sums. */
float flx_dot(const float *a, const float *b, uint32_t n);
/* out[i] = gate / (1 + exp(-gate)) * up, n a multiple of 4 or not */
void flx_swiglu(float *out, const float *gate, const float *up, uint32_t n);
/* out = x / sqrt(mean of squares + eps) * weight */
void flx_rms_norm(float *out, const float *x, const float *weight, uint32_t n, float eps);

/*
 * Attention in integers. A key or value row of a head is 13 bits with one scale: x[d] = scale * q[d], |q| <= 4095,
 * padded with zeros to a multiple of 8; the query likewise with 12 bits or fewer, so that a dot product fits 32 bits.
 */
#define FLX_KV_MAX 4095

/* Quantises n floats to |q| <= max, pads with zeros to `padded`; returns the scale. */
float flx_quantise_row(int16_t *q, const float *x, uint32_t n, uint32_t padded, int32_t max);
/* score[i] = sum over d of query[d] * key[i * n + d] for i < count; n a multiple of 8. The query is split into even and
 * odd elements: (n / 8) times four even ones, then four odd ones. */
void flx_scores(int32_t *score, const int32_t *query, const int16_t *key, uint32_t n, uint32_t count);
/* out[d] = sum over i of weight[i] * value[i * n + d], in the same order of even and odd; n at most 1024. */
void flx_mix(int32_t *out, const int32_t *weight, const int16_t *value, uint32_t n, uint32_t count);
/* 2^-(x / 2^18) * 2^30, rounded down, x >= 0 */
uint32_t flx_exp2_fixed(uint32_t x);

#endif /* FLX_KERNELS_H */
