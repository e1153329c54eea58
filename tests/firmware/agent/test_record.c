/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "check.h"
#include "record.h"

static struct flex_record sample(uint16_t length)
{
	struct flex_record record = { .kind = 'D', .session = 0x1a2b, .sequence = 0x01234567, .length = length };

	for (size_t i = 0; i < length; i++)
		record.data[i] = (uint8_t)(i * 7 + length);
	return record;
}

static bool same(const struct flex_record *a, const struct flex_record *b)
{
	return a->kind == b->kind && a->session == b->session && a->sequence == b->sequence && a->length == b->length &&
	       !memcmp(a->data, b->data, a->length);
}

/* "123456789" has the CRC that every description of CRC-32 gives. */
static void crc_is_the_standard_one(void)
{
	CHECK(flex_crc32(0, "123456789", 9) == 0xCBF43926u);
	CHECK(flex_crc32(flex_crc32(0, "1234", 4), "56789", 5) == 0xCBF43926u);
	CHECK(flex_crc32(0, "", 0) == 0);
}

static void every_length_survives(void)
{
	for (uint16_t length = 0; length <= FLEX_RECORD_DATA; length++) {
		struct flex_record record = sample(length), back;
		char line[FLEX_RECORD_LINE];
		size_t count = flex_record_encode(&record, line);

		CHECK(count <= FLEX_RECORD_LINE);
		CHECK(line[count - 1] == '\n');
		CHECK(flex_record_decode(line, count, &back));
		CHECK(same(&record, &back));
		CHECK(flex_record_decode(line, count - 1, &back));
	}
}

static void the_longest_fills_the_line(void)
{
	struct flex_record record = sample(FLEX_RECORD_DATA);
	char line[FLEX_RECORD_LINE];

	CHECK(flex_record_encode(&record, line) == 511);
}

/* A kernel message without a newline may stand before it, a carriage return behind it. */
static void the_last_marker_counts(void)
{
	struct flex_record record = sample(20), back;
	char line[2 * FLEX_RECORD_LINE + 64], one[FLEX_RECORD_LINE];
	size_t count = flex_record_encode(&record, one);
	int length = snprintf(line, sizeof(line), "[  1.0] oops @FK1 D 00%.*s\r\n", (int)count - 1, one);

	CHECK(flex_record_decode(line, (size_t)length, &back));
	CHECK(same(&record, &back));
}

static void every_flipped_bit_is_noticed(void)
{
	struct flex_record record = sample(33), back;
	char line[FLEX_RECORD_LINE];
	size_t count = flex_record_encode(&record, line) - 1;

	for (size_t bit = 0; bit < 8 * count; bit++) {
		line[bit / 8] ^= (char)(1 << (bit % 8));
		/* Only a newline in the place of the end may go unnoticed, and that is no change of the record. */
		if (flex_record_decode(line, count, &back))
			CHECK(same(&record, &back));
		line[bit / 8] ^= (char)(1 << (bit % 8));
	}
}

static void every_cut_is_noticed(void)
{
	struct flex_record record = sample(100), back;
	char line[FLEX_RECORD_LINE];
	size_t count = flex_record_encode(&record, line) - 1;

	for (size_t cut = 0; cut < count; cut++)
		CHECK(!flex_record_decode(line, cut, &back));
}

static void length_beyond_the_limit_is_refused(void)
{
	static const char line[] = "@FK1 D 0000 00000000 fff 00000000 AAAA\n";
	struct flex_record back;

	CHECK(!flex_record_decode(line, sizeof(line) - 1, &back));
}

int main(void)
{
	crc_is_the_standard_one();
	every_length_survives();
	the_longest_fills_the_line();
	the_last_marker_counts();
	every_flipped_bit_is_noticed();
	every_cut_is_noticed();
	length_beyond_the_limit_is_refused();
	return 0;
}
