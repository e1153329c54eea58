/* SPDX-License-Identifier: BSD-3-Clause */
/* Kernels in portable C, and what surrounds the processor's own. kernels.h has the arithmetic. */
#include "kernels.h"

/* ---- quantised inputs ---- */

static inline uint32_t magnitude_bits(float x)
{
	return flx_float_bits(x) & 0x7fffffff;
}

static flx_i4 max4(flx_i4 a, flx_i4 b)
{
	flx_i4 mask = a > b;

	return (a & mask) | (b & ~mask);
}

/* Largest |x|: the order of the bits of positive floats is that of the floats, and NaN comes out on top. */
static float largest(const float *x, uint32_t n)
{
	flx_i4 top = { 0, 0, 0, 0 };
	int32_t best = 0;
	uint32_t i = 0;

	for (; i + 4 <= n; i += 4)
		top = max4(top, flx_i4_load(x + i) & 0x7fffffff);
	for (uint32_t k = 0; k < 4; k++)
		best = top[k] > best ? top[k] : best;
	for (; i < n; i++) {
		int32_t bits = (int32_t)magnitude_bits(x[i]);

		best = bits > best ? bits : best;
	}
	return flx_bits_float((uint32_t)best);
}

/* Four elements: rounded and clamped as flx_round does. */
static inline flx_i4 round4(flx_f4 x, float limit)
{
	flx_f4 high = { limit, limit, limit, limit }, low = -high;
	flx_i4 in = x >= low;

	x = (flx_f4)(((flx_i4)x & in) | ((flx_i4)low & ~in));
	in = x <= high;
	x = (flx_f4)(((flx_i4)x & in) | ((flx_i4)high & ~in));
	return (flx_i4)(x + FLX_ROUNDER) - FLX_ROUNDER_BITS;
}

static void store_block(const struct flx_layout *l, void *q, uint32_t at, const int32_t value[FLX_BLOCK])
{
	for (uint32_t k = 0; k < FLX_BLOCK; k++) {
		if (l->bytes == 1)
			((int8_t *)q)[at + l->offset[k]] = (int8_t)value[k];
		else
			((int16_t *)q)[at + l->offset[k]] = (int16_t)value[k];
	}
}

void flx_quantise(const struct flx_input *in, uint32_t token)
{
	const struct flx_layout *l = &in->path->layout;
	const float *x = in->x + (uint64_t)token * in->cols;
	uint32_t blocks = in->cols / FLX_BLOCK, group = token / l->lanes, lane = token % l->lanes;
	float top = largest(x, in->cols);
	float finest = top * (1.0f / (127.0f * FLX_SCALE_MAX)), steps = top > 0.0f ? FLX_SCALE_MAX / top : 0.0f;

	in->unit[token] = finest;
	for (uint32_t b = 0; b < blocks; b++, x += FLX_BLOCK) {
		uint32_t at = group * blocks + b;
		int32_t scale = flx_round(largest(x, FLX_BLOCK) * steps + 0.5f, FLX_SCALE_MAX);
		int32_t value[FLX_BLOCK];
		float inverse;

		scale = scale > 1 ? scale : 1;
		inverse = finest > 0.0f ? 1.0f / (finest * (float)scale) : 0.0f;
		for (uint32_t k = 0; k < FLX_BLOCK; k += 4) {
			flx_i4 four = round4(flx_f4_load(x + k) * inverse, 127.0f);

			__builtin_memcpy(value + k, &four, sizeof(four));
		}
		in->scale[at * l->lanes + lane] = scale;
		store_block(l, in->q, at * FLX_BLOCK * l->lanes + lane * l->lane_step, value);
	}
}

/* ---- Q8_0 ---- */

/* Rows and tokens one by one, elements in their order. */
static uint64_t q8_portable(const uint8_t *const row[4], uint32_t blocks, const void *q, const int32_t *scale,
			    int64_t *sum)
{
	uint64_t seen = 0;

	for (uint32_t r = 0; r < 4; r++) {
		const uint8_t *w = row[r];
		const int16_t *x = q;
		int64_t total = 0;

		for (uint32_t b = 0; b < blocks; b++, w += FLX_BLOCK_BYTES, x += FLX_BLOCK) {
			int64_t n = flx_half_fixed(flx_u16(w), &seen);
			const int8_t *weight = (const int8_t *)w + 2;
			int32_t dot = 0;

			for (uint32_t k = 0; k < FLX_BLOCK; k++)
				dot += weight[k] * x[k];
			/* unsigned: with an n that does not fit, the sum means nothing but must not be undefined */
			total = (int64_t)((uint64_t)total + (uint64_t)(int64_t)(dot * scale[b]) * (uint64_t)n);
		}
		sum[r] = total;
	}
	return seen;
}

static const struct flx_q8_path portable = {
	.layout = { .lanes = 1, .lane_step = 0, .bytes = 2,
		    .offset = { 0,  1,	2,  3,	4,  5,	6,  7,	8,  9,	10, 11, 12, 13, 14, 15,
				16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31 } },
	.kernel = q8_portable,
};

const struct flx_q8_path *flx_q8_path(uint32_t caps, uint32_t tokens)
{
	const struct flx_q8_path *path = flx_q8_path_neon(caps, tokens);

	return path != NULL ? path : &portable;
}

#if !defined(__aarch64__)
const struct flx_q8_path *flx_q8_path_neon(uint32_t caps, uint32_t tokens)
{
	(void)caps;
	(void)tokens;
	return NULL;
}
#endif

/* Bits that a row's n may have: B of kernels.h. */
static uint32_t scale_bits(uint32_t blocks)
{
	uint32_t log = 0;

	while ((1ull << log) < blocks)
		log++;
	return log > 1 ? 32 - log : 31;
}

static int32_t element(const struct flx_input *in, uint32_t token, uint32_t b, uint32_t k)
{
	const struct flx_layout *l = &in->path->layout;
	uint64_t at = ((uint64_t)(token / l->lanes) * (in->cols / FLX_BLOCK) + b) * FLX_BLOCK * l->lanes +
		      token % l->lanes * l->lane_step + l->offset[k];

	return l->bytes == 1 ? ((const int8_t *)in->q)[at] : ((const int16_t *)in->q)[at];
}

/* The largest |n| of a row gives the shift that makes all of them fit. */
static uint32_t row_shift(const uint8_t *w, uint32_t blocks)
{
	uint64_t seen = 0;
	uint32_t shift = 0;

	for (uint32_t b = 0; b < blocks; b++)
		flx_half_fixed(flx_u16(w + (uint64_t)b * FLX_BLOCK_BYTES), &seen);
	while (seen >> shift >= 1ull << scale_bits(blocks))
		shift++;
	return shift;
}

/* A row with scales that do not fit, times one token; any layout. */
static float slow_row(const uint8_t *w, const struct flx_input *in, uint32_t token)
{
	const struct flx_layout *l = &in->path->layout;
	uint32_t blocks = in->cols / FLX_BLOCK, shift = row_shift(w, blocks);
	uint64_t ignored = 0;
	int64_t total = 0;

	for (uint32_t b = 0; b < blocks; b++, w += FLX_BLOCK_BYTES) {
		int64_t n = flx_half_fixed(flx_u16(w), &ignored) >> shift;
		int32_t dot = 0, scale = in->scale[(token / l->lanes * blocks + b) * l->lanes + token % l->lanes];

		for (uint32_t k = 0; k < FLX_BLOCK; k++)
			dot += (int8_t)w[2 + k] * element(in, token, b, k);
		total += (int64_t)(dot * scale) * n;
	}
	return (float)total * (in->unit[token] * 0x1p-24f) * (float)(1u << shift);
}

static void q8_multiply(const struct flx_tensor *w, const struct flx_input *in, float *out, uint32_t out_stride,
			uint32_t first, uint32_t last)
{
	const struct flx_layout *l = &in->path->layout;
	uint32_t blocks = in->cols / FLX_BLOCK, bits = scale_bits(blocks), lanes = l->lanes;
	uint64_t row_bytes = (uint64_t)blocks * FLX_BLOCK_BYTES;

	for (uint32_t r = first; r < last; r += 4) {
		uint32_t rows = last - r < 4 ? last - r : 4;
		const uint8_t *row[4];

		for (uint32_t i = 0; i < 4; i++) /* beyond the end: the last one again, thrown away */
			row[i] = w->data + (r + (i < rows ? i : rows - 1)) * row_bytes;
		for (uint32_t t = 0; t < in->tokens; t += lanes) {
			uint64_t group = (uint64_t)(t / lanes) * blocks;
			const uint8_t *q = (const uint8_t *)in->q + group * FLX_BLOCK * lanes * l->bytes;
			int64_t sum[16];
			uint64_t seen = in->path->kernel(row, blocks, q, in->scale + group * lanes, sum);

			for (uint32_t i = 0; i < rows * lanes; i++) {
				uint32_t token = t + i % lanes;
				float *to = out + (uint64_t)token * out_stride + r + i / lanes;

				if (token >= in->tokens)
					continue;
				*to = seen >> bits == 0 ? (float)sum[i] * (in->unit[token] * 0x1p-24f) :
							  slow_row(row[i / lanes], in, token);
			}
		}
	}
}

/* ---- F32 and F16 ---- */

struct sums {
	flx_f4 lane[4];
};

static inline float sum_up(const struct sums *s)
{
	flx_f4 v = (s->lane[0] + s->lane[1]) + (s->lane[2] + s->lane[3]);

	return (v[0] + v[1]) + (v[2] + v[3]);
}

float flx_dot(const float *a, const float *b, uint32_t n)
{
	struct sums s = { 0 };
	uint32_t i = 0;
	float rest = 0.0f;

	for (; i + 16 <= n; i += 16) {
		for (uint32_t k = 0; k < 4; k++)
			s.lane[k] += flx_f4_load(a + i + 4 * k) * flx_f4_load(b + i + 4 * k);
	}
	for (; i < n; i++)
		rest += a[i] * b[i];
	return sum_up(&s) + rest;
}

static inline flx_f4 half4(const uint8_t *at)
{
	flx_u4 h = { flx_u16(at), flx_u16(at + 2), flx_u16(at + 4), flx_u16(at + 6) };
	flx_f4 magnitude = (flx_f4)((h & 0x7fff) << 13) * 0x1p112f;

	return (flx_f4)((flx_u4)magnitude | (h & 0x8000) << 16);
}

static float dot_half(const uint8_t *a, const float *b, uint32_t n)
{
	struct sums s = { 0 };
	uint32_t i = 0;
	float rest = 0.0f;

	for (; i + 16 <= n; i += 16) {
		for (uint32_t k = 0; k < 4; k++)
			s.lane[k] += half4(a + 2 * (i + 4 * k)) * flx_f4_load(b + i + 4 * k);
	}
	for (; i < n; i++)
		rest += flx_half(flx_u16(a + 2 * i)) * b[i];
	return sum_up(&s) + rest;
}

void flx_multiply(const struct flx_tensor *w, const struct flx_input *in, float *out, uint32_t out_stride, uint32_t first,
		  uint32_t last)
{
	uint64_t row_bytes = w->bytes / w->rows;

	if (w->type == FLX_Q8_0) {
		q8_multiply(w, in, out, out_stride, first, last);
		return;
	}
	for (uint32_t r = first; r < last; r++) {
		const uint8_t *row = w->data + r * row_bytes;

		for (uint32_t t = 0; t < in->tokens; t++) {
			const float *x = in->x + (uint64_t)t * in->cols;

			out[(uint64_t)t * out_stride + r] =
				w->type == FLX_F16 ? dot_half(row, x, in->cols) :
						     flx_dot((const float *)(const void *)row, x, in->cols);
		}
	}
}

void flx_dequantise(const struct flx_tensor *w, uint32_t row, float *out)
{
	const uint8_t *at = w->data + row * (w->bytes / w->rows);

	for (uint32_t i = 0; i < w->cols; i++) {
		if (w->type == FLX_F32) {
			out[i] = flx_bits_float(flx_u32(at + 4ull * i));
		} else if (w->type == FLX_F16) {
			out[i] = flx_half(flx_u16(at + 2ull * i));
		} else {
			const uint8_t *block = at + i / FLX_BLOCK * FLX_BLOCK_BYTES;

			out[i] = flx_half(flx_u16(block)) * (float)(int8_t)block[2 + i % FLX_BLOCK];
		}
	}
}

/* ---- element by element ---- */

void flx_rms_norm(float *out, const float *x, const float *weight, uint32_t n, float eps)
{
	float factor = 1.0f / __builtin_sqrtf(flx_dot(x, x, n) / (float)n + eps);
	uint32_t i = 0;

	for (; i + 4 <= n; i += 4)
		flx_f4_store(out + i, flx_f4_load(x + i) * factor * flx_f4_load(weight + i));
	for (; i < n; i++)
		out[i] = x[i] * factor * weight[i];
}

/*
 * e^x for x in [-87, 87] (clamped; a NaN counts as -87): x = k ln 2 + r, |r| <= ln(2) / 2, polynomial of degree 6; the
 * error is below 2 units in the last place.
 */
static flx_f4 exp4(flx_f4 x)
{
	const flx_f4 high = { 87.0f, 87.0f, 87.0f, 87.0f }, low = -high;
	flx_i4 in = x >= low;
	flx_f4 k, r, p;

	x = (flx_f4)(((flx_i4)x & in) | ((flx_i4)low & ~in));
	in = x <= high;
	x = (flx_f4)(((flx_i4)x & in) | ((flx_i4)high & ~in));
	k = x * 1.44269504f + FLX_ROUNDER;
	in = ((flx_i4)k - FLX_ROUNDER_BITS) << 23;
	k = k - FLX_ROUNDER;
	r = x - k * 0.693145752f;
	r = r - k * 1.42860677e-6f;
	p = r * 0.00138888889f + 0.00833333333f;
	p = p * r + 0.0416666667f;
	p = p * r + 0.166666667f;
	p = p * r + 0.5f;
	p = p * r + 1.0f;
	p = p * r + 1.0f;
	return (flx_f4)((flx_i4)p + in);
}

/* One group of up to four. */
static inline void swiglu4(float *out, const float *gate, const float *up)
{
	flx_f4 g = flx_f4_load(gate);

	flx_f4_store(out, g / (exp4(-g) + 1.0f) * flx_f4_load(up));
}

void flx_swiglu(float *out, const float *gate, const float *up, uint32_t n)
{
	float rest[3][4] = { { 0 }, { 0 }, { 0 } };
	uint32_t i = 0;

	for (; i + 4 <= n; i += 4)
		swiglu4(out + i, gate + i, up + i);
	memcpy(rest[0], gate + i, (n - i) * sizeof(float));
	memcpy(rest[1], up + i, (n - i) * sizeof(float));
	swiglu4(rest[2], rest[0], rest[1]);
	memcpy(out + i, rest[2], (n - i) * sizeof(float));
}

/* ---- attention ---- */

float flx_quantise_row(int16_t *q, const float *x, uint32_t n, uint32_t padded, int32_t max)
{
	float top = largest(x, n), inverse = top > 0.0f ? (float)max / top : 0.0f;

	for (uint32_t i = 0; i < n; i++)
		q[i] = (int16_t)flx_round(x[i] * inverse, (float)max);
	for (uint32_t i = n; i < padded; i++)
		q[i] = 0;
	return top / (float)max;
}

/* Eight 16-bit numbers as two times four of 32 bits: the even ones and the odd ones. */
static inline flx_i4 evens(flx_i4 eight)
{
	return eight << 16 >> 16;
}

static inline flx_i4 odds(flx_i4 eight)
{
	return eight >> 16;
}

void flx_scores(int32_t *score, const int32_t *query, const int16_t *key, uint32_t n, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++, key += n) {
		flx_i4 sum = { 0, 0, 0, 0 };

		for (uint32_t d = 0; d < n; d += 8) {
			flx_i4 eight = flx_i4_load(key + d);

			sum += evens(eight) * flx_i4_load(query + d) + odds(eight) * flx_i4_load(query + d + 4);
		}
		score[i] = sum[0] + sum[1] + sum[2] + sum[3];
	}
}

void flx_mix(int32_t *out, const int32_t *weight, const int16_t *value, uint32_t n, uint32_t count)
{
	/* unsigned, since absurd weights (of a NaN) may overflow */
	for (uint32_t d = 0; d < n; d += 16) { /* 16 elements at a time stay in registers */
		uint32_t more = d + 16 <= n;
		flx_u4 sum[4] = { { 0 }, { 0 }, { 0 }, { 0 } };

		for (uint32_t i = 0; i < count; i++) {
			const int16_t *at = value + (uint64_t)i * n + d;
			flx_i4 eight = flx_i4_load(at);
			uint32_t by = (uint32_t)weight[i];

			sum[0] += (flx_u4)evens(eight) * by;
			sum[1] += (flx_u4)odds(eight) * by;
			if (more) {
				eight = flx_i4_load(at + 8);
				sum[2] += (flx_u4)evens(eight) * by;
				sum[3] += (flx_u4)odds(eight) * by;
			}
		}
		__builtin_memcpy(out + d, sum, 32);
		if (more)
			__builtin_memcpy(out + d + 8, sum + 2, 32);
	}
}

uint32_t flx_exp2_fixed(uint32_t x)
{
	/* 2^-f for f in [0, 1), coefficients of the Taylor series times 2^30 */
	static const int32_t c[8] = { 1073741824, -744261118, 257941248, -59597083, 10327387, -1431680, 165394, -16377 };
	int64_t f = (int64_t)(x & 0x3ffff) << 12, p = c[7];

	if (x >> 18 > 30)
		return 0;
	for (int i = 6; i >= 0; i--)
		p = (p * f >> 30) + c[i];
	return (uint32_t)(p >> (x >> 18));
}
