/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine's mathematics against the C library's; halves exhaustively; letters of bytes both ways. */
#include <math.h>

#include "kernels.h"
#include "model.h"

static void halves(void)
{
	for (uint32_t bits = 0; bits < 0x10000; bits++) {
		uint16_t raw = (uint16_t)bits;
		uint64_t seen = 0;
		_Float16 half;

		memcpy(&half, &raw, sizeof(half));
		if ((raw & 0x7c00) == 0x7c00)
			continue;
		CHECK(flx_half(raw) == (float)half);
		CHECK((double)flx_half_fixed(raw, &seen) == (double)half * 0x1p24);
		CHECK((double)seen == fabs((double)half) * 0x1p24);
	}
}

static void functions(void)
{
	uint64_t seed = 99;

	for (uint32_t i = 0; i < 200000; i++) {
		double unit = (double)(draw(&seed) >> 11) * 0x1p-53, s, c, angle = unit * (1 << 20);
		uint32_t fixed = (uint32_t)(unit * (33 << 18));

		CHECK(fabs(flx_exp2(unit * 80 - 60) / exp2(unit * 80 - 60) - 1) < 1e-14);
		CHECK(fabs(flx_log2(unit * 1e6 + 1e-3) - log2(unit * 1e6 + 1e-3)) < 1e-13);
		flx_sincos(angle, &s, &c);
		CHECK(fabs(s - sin(angle)) < 1e-9 && fabs(c - cos(angle)) < 1e-9);
		flx_sincos(-angle, &s, &c);
		CHECK(fabs(s + sin(angle)) < 1e-9 && fabs(c - cos(angle)) < 1e-9);
		CHECK(fabs(flx_exp2_fixed(fixed) - exp2(30 - (double)fixed / (1 << 18))) < 1 + 2e-6 * (1 << 30));
	}
	CHECK(flx_exp2_fixed(0) == 1u << 30 && flx_exp2_fixed(UINT32_MAX) == 0);
}

static void letters(void)
{
	for (uint32_t byte = 0; byte < 256; byte++)
		CHECK(flx_byte_of_letter(flx_letter_of_byte((uint8_t)byte)) == (int)byte);
	CHECK(flx_letter_of_byte(' ') == 0x120 && flx_letter_of_byte('\n') == 0x10a && flx_letter_of_byte('a') == 'a');
	CHECK(flx_byte_of_letter(0x144) < 0 && flx_byte_of_letter(' ') < 0);
}

static void reasons_are_cut_and_clean(void)
{
	struct flx_reason reason;
	uint8_t long_name[300];

	memset(long_name, 'n', sizeof(long_name));
	long_name[1] = 7;
	CHECK(flx_refuse(&reason, "%q", (uint64_t)sizeof(long_name), long_name) == FLX_E_MODEL);
	CHECK(strlen(reason.text) == FLX_REASON_BYTES - 1 && reason.text[1] == '?');
	flx_refuse(&reason, "%s %u!", "number", UINT64_MAX);
	CHECK(strcmp(reason.text, "number 18446744073709551615!") == 0);
}

int main(void)
{
	halves();
	functions();
	letters();
	reasons_are_cut_and_clean();
	return 0;
}
