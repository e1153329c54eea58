/* SPDX-License-Identifier: BSD-3-Clause */
/* Matrices, quantisation and attention's integer kernels against plain sums. */
#include <math.h>

#include "kernels.h"
#include "model.h"

#define COLS 256u
#define ROWS 9u
#define TOKENS 7u

static uint64_t seed = 0x9e3779b97f4a7c15ull;

static float uniform(float low, float high)
{
	return low + (high - low) * (float)(draw(&seed) >> 40) * 0x1p-24f;
}

static uint16_t half_of(float x)
{
	_Float16 h = (_Float16)x;
	uint16_t bits;

	memcpy(&bits, &h, sizeof(bits));
	return bits;
}

static float float_of(uint16_t bits)
{
	_Float16 h;

	memcpy(&h, &bits, sizeof(h));
	return (float)h;
}

struct data {
	float x[TOKENS * COLS];
	int16_t q[8 * COLS];
	int32_t scale[8 * COLS / 32];
	float unit[8];
	float out[TOKENS * ROWS];
	uint8_t q8[ROWS * COLS / 32 * 34];
	uint8_t f16[ROWS * COLS * 2];
	float f32[ROWS * COLS];
};

static struct flx_input input_of(struct data *d)
{
	return (struct flx_input){ .path = flx_q8_path(0, TOKENS), .tokens = TOKENS, .cols = COLS, .x = d->x, .q = d->q,
				   .scale = d->scale, .unit = d->unit };
}

static void fill(struct data *d, float weight_scale)
{
	for (uint32_t i = 0; i < TOKENS * COLS; i++)
		d->x[i] = uniform(-1, 1) * (i / 32 % 5 == 0 ? 20.0f : 0.3f);
	for (uint32_t b = 0; b < ROWS * COLS / 32; b++) {
		uint16_t h = half_of(uniform(0.1f, 1) * weight_scale);

		memcpy(d->q8 + 34 * b, &h, 2);
		for (uint32_t k = 0; k < 32; k++)
			d->q8[34 * b + 2 + k] = (uint8_t)draw(&seed);
	}
	for (uint32_t i = 0; i < ROWS * COLS; i++) {
		uint16_t h = half_of(uniform(-1, 1));

		d->f32[i] = uniform(-1, 1);
		memcpy(d->f16 + 2 * i, &h, 2);
	}
}

/* Each element is within half a step of its value, and the step within 1/4095 of the row's widest. */
static void quantisation_is_close(struct data *d, const struct flx_input *in)
{
	for (uint32_t t = 0; t < TOKENS; t++) {
		for (uint32_t k = 0; k < COLS; k++) {
			uint32_t b = t * (COLS / 32) + k / 32;
			double step = (double)d->unit[t] * d->scale[b], widest = 0;

			for (uint32_t j = k / 32 * 32; j < k / 32 * 32 + 32; j++)
				widest = fmax(widest, fabs(d->x[t * COLS + j]));
			CHECK(fabs(step * d->q[t * COLS + k] - d->x[t * COLS + k]) <= step * 0.50001);
			CHECK(step <= widest / 127 + 2.01 * d->unit[t]);
		}
	}
	(void)in;
}

/* Only the last conversions round: what the integers stand for, in double precision, to 3 units in the last place. */
static void q8_is_exact(struct data *d, const struct flx_input *in, float weight_scale, double bound)
{
	struct flx_tensor w = { .data = d->q8, .bytes = sizeof(d->q8), .rows = ROWS, .cols = COLS, .type = FLX_Q8_0 };

	flx_multiply(&w, in, d->out, ROWS, 0, 5);
	flx_multiply(&w, in, d->out, ROWS, 5, ROWS);
	for (uint32_t t = 0; t < TOKENS; t++) {
		for (uint32_t r = 0; r < ROWS; r++) {
			double sum = 0, size = 0;

			for (uint32_t k = 0; k < COLS; k++) {
				const uint8_t *block = d->q8 + (r * COLS + k) / 32 * 34;
				uint16_t h = (uint16_t)(block[0] | block[1] << 8);
				double term = (double)float_of(h) * (int8_t)block[2 + k % 32] * d->unit[t] *
					      d->scale[t * (COLS / 32) + k / 32] * d->q[t * COLS + k];

				sum += term;
				size += fabs(term);
			}
			CHECK(fabs(d->out[t * ROWS + r] - sum) <= 3e-7 * fabs(sum) + bound * size);
		}
	}
	(void)weight_scale;
}

static void floats_are_close(struct data *d, const struct flx_input *in)
{
	struct flx_tensor w32 = { .data = (uint8_t *)d->f32, .bytes = sizeof(d->f32), .rows = ROWS, .cols = COLS };
	struct flx_tensor w16 = { .data = d->f16, .bytes = sizeof(d->f16), .rows = ROWS, .cols = COLS, .type = FLX_F16 };
	float out16[TOKENS * ROWS];

	flx_multiply(&w32, in, d->out, ROWS, 0, ROWS);
	flx_multiply(&w16, in, out16, ROWS, 0, ROWS);
	for (uint32_t t = 0; t < TOKENS; t++) {
		for (uint32_t r = 0; r < ROWS; r++) {
			double sum = 0, sum16 = 0, size = 0;

			for (uint32_t k = 0; k < COLS; k++) {
				uint16_t h;

				memcpy(&h, d->f16 + 2 * (r * COLS + k), 2);
				sum += (double)d->f32[r * COLS + k] * d->x[t * COLS + k];
				sum16 += (double)float_of(h) * d->x[t * COLS + k];
				size += fabs(d->x[t * COLS + k]);
			}
			CHECK(fabs(d->out[t * ROWS + r] - sum) < 1e-6 * size);
			CHECK(fabs(out16[t * ROWS + r] - sum16) < 1e-6 * size);
		}
	}
}

static void matrices(void)
{
	static struct data d;
	/* the last scale makes weights of 500,000: rows that have to be shifted */
	static const float scales[3] = { 1e-6f, 0.01f, 4000.0f };

	for (uint32_t i = 0; i < 3; i++) {
		struct flx_input in = input_of(&d);

		fill(&d, scales[i]);
		for (uint32_t t = 0; t < TOKENS; t++)
			flx_quantise(&in, t);
		quantisation_is_close(&d, &in);
		q8_is_exact(&d, &in, scales[i], i == 2 ? 1e-7 : 0.0);
		floats_are_close(&d, &in);
	}
}

/* Whatever a file and its activations hold, nothing overflows or is undefined, and the same comes out twice. */
static void absurd_numbers(void)
{
	static struct data d;
	static float again[TOKENS * ROWS];
	static const uint32_t bits[] = { 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00001, 0x7f7fffff, 0x00000001, 0x80000000 };
	struct flx_tensor w = { .data = d.q8, .bytes = sizeof(d.q8), .rows = ROWS, .cols = COLS, .type = FLX_Q8_0 };

	for (uint32_t round = 0; round < 200; round++) {
		struct flx_input in = input_of(&d);

		fill(&d, 1.0f);
		for (uint32_t i = 0; i < 20; i++) {
			memcpy(&d.x[draw(&seed) % (TOKENS * COLS)], &bits[draw(&seed) % 7], 4);
			d.q8[draw(&seed) % sizeof(d.q8)] = (uint8_t)draw(&seed);
		}
		for (uint32_t t = 0; t < TOKENS; t++)
			flx_quantise(&in, t);
		flx_multiply(&w, &in, d.out, ROWS, 0, ROWS);
		flx_multiply(&w, &in, again, ROWS, 0, ROWS);
		CHECK(memcmp(d.out, again, sizeof(again)) == 0);
	}
}

static void scores_and_mix(void)
{
	enum { N = 24, COUNT = 37 };
	int16_t rows[COUNT * N];
	int32_t query[N], score[COUNT], weight[COUNT], mixed[N];

	for (uint32_t i = 0; i < COUNT * N; i++)
		rows[i] = (int16_t)(draw(&seed) % 8191) - 4095;
	for (uint32_t i = 0; i < N; i++)
		query[i] = (int32_t)(draw(&seed) % 8191) - 4095;
	for (uint32_t i = 0; i < COUNT; i++)
		weight[i] = (int32_t)(draw(&seed) % 4096);
	flx_scores(score, query, rows, N, COUNT);
	flx_mix(mixed, weight, rows, N, COUNT);
	for (uint32_t i = 0; i < COUNT; i++) {
		int32_t sum = 0;

		for (uint32_t d = 0; d < N; d++)
			sum += query[d / 8 * 8 + d % 2 * 4 + d % 8 / 2] * rows[i * N + d];
		CHECK(score[i] == sum);
	}
	for (uint32_t d = 0; d < N; d++) {
		int32_t sum = 0;

		for (uint32_t i = 0; i < COUNT; i++)
			sum += weight[i] * rows[i * N + d];
		CHECK(mixed[d / 8 * 8 + d % 2 * 4 + d % 8 / 2] == sum);
	}
}

static void element_by_element(void)
{
	float gate[11], up[11], out[11];

	for (uint32_t round = 0; round < 100; round++) {
		for (uint32_t i = 0; i < 11; i++) {
			gate[i] = uniform(-30, 30);
			up[i] = uniform(-2, 2);
		}
		flx_swiglu(out, gate, up, 11);
		for (uint32_t i = 0; i < 11; i++) {
			double wanted = gate[i] / (1 + exp(-(double)gate[i])) * up[i];

			CHECK(fabs(out[i] - wanted) <= 1e-6 * fabs(wanted) + 1e-30);
		}
	}
}

int main(void)
{
	matrices();
	absurd_numbers();
	scores_and_mix();
	element_by_element();
	return 0;
}
