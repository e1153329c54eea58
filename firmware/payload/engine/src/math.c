/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Refusals, arenas, and the few functions of mathematics that the rotary embedding needs. Only +, -, * and / of
 * doubles, each rounded as IEEE says, so the results are the same on every machine.
 */
#include <stdarg.h>

#include "internal.h"

static void put(struct flx_reason *reason, uint32_t *at, char c)
{
	if (*at + 1 < FLX_REASON_BYTES)
		reason->text[(*at)++] = c;
}

static void put_number(struct flx_reason *reason, uint32_t *at, uint64_t value)
{
	char digits[20];
	uint32_t n = 0;

	do {
		digits[n++] = (char)('0' + value % 10);
		value /= 10;
	} while (value != 0);
	while (n > 0)
		put(reason, at, digits[--n]);
}

static void put_bytes(struct flx_reason *reason, uint32_t *at, const uint8_t *text, uint64_t bytes)
{
	for (uint64_t i = 0; i < bytes && i < FLX_REASON_BYTES; i++)
		put(reason, at, text[i] >= 0x20 && text[i] < 0x7f ? (char)text[i] : '?');
}

int flx_refuse(struct flx_reason *reason, const char *format, ...)
{
	va_list args;
	uint32_t at = 0;

	va_start(args, format);
	for (; *format != 0; format++) {
		if (*format != '%') {
			put(reason, &at, *format);
			continue;
		}
		format++;
		if (*format == 's') {
			for (const char *s = va_arg(args, const char *); *s != 0; s++)
				put(reason, &at, *s);
		} else if (*format == 'u') {
			put_number(reason, &at, va_arg(args, uint64_t));
		} else {
			uint64_t bytes = va_arg(args, uint64_t);

			put_bytes(reason, &at, va_arg(args, const uint8_t *), bytes);
		}
	}
	va_end(args);
	reason->text[at] = 0;
	return FLX_E_MODEL;
}

void *flx_take(struct flx_bump *bump, uint64_t count, uint64_t size)
{
	uint64_t bytes = flx_align(count * size, FLX_ARENA_ALIGN);
	void *at;

	if (bump->base == NULL) {
		bump->used += bytes;
		return NULL;
	}
	if (bytes > bump->size - bump->used) {
		bump->full = 1;
		return NULL;
	}
	at = bump->base + bump->used;
	bump->used += bytes;
	return at;
}

static double scale_by_power(double x, int64_t exponent)
{
	uint64_t bits = (uint64_t)(exponent + 1023) << 52;
	double factor;

	memcpy(&factor, &bits, sizeof(factor));
	return x * factor;
}

/* Taylor series of e^y for |y| <= ln(2) / 2; 14 terms leave less than one unit in the last place. */
double flx_exp2(double x)
{
	int64_t whole;
	double y, term = 1.0, sum = 1.0;

	if (x < -1000.0)
		return 0.0;
	if (x > 1000.0)
		x = 1000.0;
	whole = (int64_t)(x < 0.0 ? x - 0.5 : x + 0.5);
	y = (x - (double)whole) * 0.69314718055994530942;
	for (int i = 1; i <= 14; i++) {
		term = term * y / i;
		sum += term;
	}
	return scale_by_power(sum, whole);
}

/* log2(m 2^e) with m in [1/sqrt(2), sqrt(2)): ln m = 2 artanh((m - 1) / (m + 1)). x is a normal number. */
double flx_log2(double x)
{
	uint64_t bits;
	int64_t exponent;
	double m, z, power, sum;

	memcpy(&bits, &x, sizeof(bits));
	exponent = (int64_t)(bits >> 52) - 1023;
	bits = (bits & 0x000fffffffffffff) | 0x3ff0000000000000;
	memcpy(&m, &bits, sizeof(m));
	if (m > 1.41421356237309504880) {
		m *= 0.5;
		exponent++;
	}
	z = (m - 1.0) / (m + 1.0);
	power = z;
	sum = z;
	for (int i = 3; i <= 25; i += 2) {
		power = power * z * z;
		sum += power / i;
	}
	return 2.0 * sum * 1.44269504088896340736 + (double)exponent;
}

/*
 * Reduced by multiples of pi/2 in two parts (exact product with the first for |x| < 2^20), then Taylor series on
 * |r| <= pi/4. The error is below 1e-10 for the angles of positions up to 2^20, far under a float's precision.
 */
void flx_sincos(double x, double *sine, double *cosine)
{
	const double part1 = 1.57079632673412561417, part2 = 6.07710050650619224932e-11;
	double turns = x * 0.63661977236758134308;
	int64_t n = (int64_t)(turns < 0.0 ? turns - 0.5 : turns + 0.5);
	double r = (x - (double)n * part1) - (double)n * part2;
	double r2 = r * r, term_s = r, term_c = 1.0, s = r, c = 1.0;

	for (int i = 1; i <= 8; i++) {
		term_c = -term_c * r2 / (double)((2 * i - 1) * (2 * i));
		term_s = -term_s * r2 / (double)((2 * i) * (2 * i + 1));
		c += term_c;
		s += term_s;
	}
	switch ((uint64_t)n & 3) {
	case 0:
		*sine = s;
		*cosine = c;
		break;
	case 1:
		*sine = c;
		*cosine = -s;
		break;
	case 2:
		*sine = -s;
		*cosine = -c;
		break;
	default:
		*sine = -c;
		*cosine = s;
		break;
	}
}
