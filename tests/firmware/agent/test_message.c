/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "check.h"
#include "message.h"

static struct flex_builder builder;

static void fields_come_back(void)
{
	struct flex_message message;
	struct flex_field field;
	char text[8];

	flex_build(&builder, FLEX_MSG_STAT, 0x01020304);
	flex_build_text(&builder, FLEX_TAG_PATH, "/a/b");
	flex_build_number(&builder, FLEX_TAG_SIZE, UINT64_MAX - 1);
	flex_build_bytes(&builder, FLEX_TAG_DATA, "", 0);
	CHECK(flex_build_end(&builder));
	CHECK(flex_message_parse(builder.bytes, builder.used, &message) == (int)builder.used);
	CHECK(message.type == FLEX_MSG_STAT && message.request == 0x01020304);
	CHECK(flex_message_text(&message, FLEX_TAG_PATH, text, sizeof(text)) && !strcmp(text, "/a/b"));
	CHECK(!flex_message_text(&message, FLEX_TAG_PATH, text, 4));
	CHECK(flex_message_number(&message, FLEX_TAG_SIZE, 0) == UINT64_MAX - 1);
	CHECK(flex_message_number(&message, FLEX_TAG_MODE, 5) == 5);
	CHECK(flex_message_find(&message, FLEX_TAG_DATA, &field) && field.count == 0);
	for (size_t cut = 0; cut < builder.used; cut++)
		CHECK(flex_message_parse(builder.bytes, cut, &message) == 0);
}

static void too_much_is_refused(void)
{
	static uint8_t large[FLEX_MESSAGE_MAX];

	flex_build(&builder, FLEX_MSG_RESULT, 1);
	flex_build_bytes(&builder, FLEX_TAG_DATA, large, FLEX_MESSAGE_MAX - 14);
	CHECK(flex_build_end(&builder) && builder.used == FLEX_MESSAGE_MAX);
	flex_build_bytes(&builder, FLEX_TAG_DATA, large, 0);
	CHECK(!flex_build_end(&builder));
	flex_build(&builder, FLEX_MSG_RESULT, 1);
	flex_build_bytes(&builder, FLEX_TAG_DATA, large, FLEX_MESSAGE_MAX - 13);
	CHECK(!flex_build_end(&builder));
}

static void overruns_are_refused(void)
{
	/* size 10 (type, request, 5 bytes of field head), a field of 1 byte that is not there */
	static const uint8_t cut[] = { 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0 };
	static const uint8_t tiny[] = { 4, 0, 0, 0, 1, 0, 0, 0 };
	static const uint8_t huge[] = { 0, 0, 1, 0, 1, 0, 0, 0, 0 };
	struct flex_message message;

	CHECK(flex_message_parse(cut, sizeof(cut), &message) == -1);
	CHECK(flex_message_parse(tiny, sizeof(tiny), &message) == -1);
	CHECK(flex_message_parse(huge, sizeof(huge), &message) == -1);
}

/* Whatever the bytes are, nothing outside them is read (the sanitizer watches) and the walk ends. */
static void noise_is_harmless(uint64_t *random)
{
	for (int round = 0; round < 200000; round++) {
		size_t count = draw_below(random, 64);
		uint8_t *bytes = malloc(count + 1);
		struct flex_message message;
		struct flex_field field;
		size_t offset = 0;

		for (size_t i = 0; i < count; i++)
			bytes[i] = (uint8_t)draw(random);
		if (count > 4)
			memcpy(bytes, (uint8_t[]){ (uint8_t)(count - 4), 0, 0, 0 }, 4); /* else nearly all end here */
		if (count > 13)
			memcpy(bytes + 10, (uint8_t[]){ (uint8_t)draw_below(random, 64), 0, 0, 0 }, 4);
		if (flex_message_parse(bytes, count, &message) > 0)
			while (flex_message_next(&message, &offset, &field))
				CHECK(field.bytes + field.count <= bytes + count);
		free(bytes);
	}
}

int main(void)
{
	uint64_t random = seed();

	fields_come_back();
	too_much_is_refused();
	overruns_are_refused();
	noise_is_harmless(&random);
	return 0;
}
