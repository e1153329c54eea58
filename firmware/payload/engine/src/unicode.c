/* SPDX-License-Identifier: BSD-3-Clause */
/* UTF-8, character classes, and GPT-2's way of writing any byte as a visible letter. */
#include "internal.h"
#include "unicode_tables.h"

unsigned int flx_class(uint32_t codepoint)
{
	uint32_t low = 0, high = FLX_UNICODE_RANGES;

	if (codepoint > 0x10ffff)
		return FLX_CLASS_OTHER;
	/* the last range that starts at or before the code point; the first one starts at 0 */
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (flx_unicode_ranges[middle] >> 2 <= codepoint)
			low = middle;
		else
			high = middle;
	}
	return flx_unicode_ranges[low] & 3;
}

uint32_t flx_utf8(const uint8_t *at, const uint8_t *end, uint32_t *bytes)
{
	static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t lead = at[0], length, value;

	*bytes = 1;
	if (lead < 0x80)
		return lead;
	length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
	if (lead < 0xc2 || lead > 0xf4 || (uint64_t)(end - at) < length)
		return 0xffffffff;
	value = lead & (0x7fu >> length);
	for (uint32_t i = 1; i < length; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0xffffffff;
		value = value << 6 | (at[i] & 0x3f);
	}
	if (value < least[length] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
		return 0xffffffff;
	*bytes = length;
	return value;
}

uint32_t flx_utf8_put(uint8_t *to, uint32_t codepoint)
{
	if (codepoint < 0x80) {
		to[0] = (uint8_t)codepoint;
		return 1;
	}
	to[0] = (uint8_t)(0xc0 | codepoint >> 6);
	to[1] = (uint8_t)(0x80 | (codepoint & 0x3f));
	return 2;
}

/* Visible Latin-1 stands for itself; the other 68 bytes are numbered from U+0100 on, in their order. */
static int stands_for_itself(uint32_t byte)
{
	return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

uint32_t flx_letter_of_byte(uint8_t byte)
{
	if (stands_for_itself(byte))
		return byte;
	if (byte <= 0x20)
		return 0x100u + byte;
	if (byte <= 0xa0)
		return 0x121u + (byte - 0x7fu);
	return 0x143; /* 0xad */
}

int flx_byte_of_letter(uint32_t codepoint)
{
	if (codepoint < 0x100)
		return stands_for_itself(codepoint) ? (int)codepoint : -1;
	if (codepoint <= 0x120)
		return (int)(codepoint - 0x100);
	if (codepoint <= 0x142)
		return (int)(codepoint - 0x121 + 0x7f);
	return codepoint == 0x143 ? 0xad : -1;
}
