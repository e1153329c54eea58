/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "message.h"

#define SIZE_BYTES 4
#define HEAD_BYTES 9  /* size, type, request */
#define FIELD_BYTES 5 /* tag, length */

static void put_le(uint8_t *out, uint64_t number, int bytes)
{
	for (int i = 0; i < bytes; i++)
		out[i] = (uint8_t)(number >> (8 * i));
}

static uint64_t get_le(const uint8_t *bytes, int count)
{
	uint64_t number = 0;

	for (int i = 0; i < count; i++)
		number |= (uint64_t)bytes[i] << (8 * i);
	return number;
}

void flex_build(struct flex_builder *builder, uint8_t type, uint32_t request)
{
	builder->used = HEAD_BYTES;
	builder->failed = false;
	builder->bytes[SIZE_BYTES] = type;
	put_le(builder->bytes + SIZE_BYTES + 1, request, 4);
}

void flex_build_bytes(struct flex_builder *builder, uint8_t tag, const void *bytes, size_t count)
{
	if (builder->failed || count > sizeof(builder->bytes) - builder->used ||
	    sizeof(builder->bytes) - builder->used - count < FIELD_BYTES) {
		builder->failed = true;
		return;
	}
	builder->bytes[builder->used] = tag;
	put_le(builder->bytes + builder->used + 1, count, 4);
	if (count)
		memcpy(builder->bytes + builder->used + FIELD_BYTES, bytes, count);
	builder->used += FIELD_BYTES + count;
}

void flex_build_text(struct flex_builder *builder, uint8_t tag, const char *text)
{
	flex_build_bytes(builder, tag, text, strlen(text));
}

void flex_build_number(struct flex_builder *builder, uint8_t tag, uint64_t number)
{
	uint8_t bytes[8];

	put_le(bytes, number, 8);
	flex_build_bytes(builder, tag, bytes, sizeof(bytes));
}

bool flex_build_end(struct flex_builder *builder)
{
	put_le(builder->bytes, builder->used - SIZE_BYTES, SIZE_BYTES);
	return !builder->failed;
}

static bool fields_fit(const struct flex_message *message)
{
	struct flex_field field;
	size_t offset = 0;

	while (flex_message_next(message, &offset, &field))
		;
	return offset == message->count;
}

int flex_message_parse(const uint8_t *bytes, size_t count, struct flex_message *message)
{
	size_t size;

	if (count < SIZE_BYTES)
		return 0;
	size = (size_t)get_le(bytes, SIZE_BYTES) + SIZE_BYTES;
	if (size < HEAD_BYTES || size > FLEX_MESSAGE_MAX)
		return -1;
	if (count < size)
		return 0;
	message->type = bytes[SIZE_BYTES];
	message->request = (uint32_t)get_le(bytes + SIZE_BYTES + 1, 4);
	message->fields = bytes + HEAD_BYTES;
	message->count = size - HEAD_BYTES;
	return fields_fit(message) ? (int)size : -1;
}

bool flex_message_next(const struct flex_message *message, size_t *offset, struct flex_field *field)
{
	size_t left = message->count - *offset;
	const uint8_t *head = message->fields + *offset;
	size_t length;

	if (left < FIELD_BYTES)
		return false;
	length = (size_t)get_le(head + 1, 4);
	if (length > left - FIELD_BYTES)
		return false;
	field->tag = head[0];
	field->bytes = head + FIELD_BYTES;
	field->count = length;
	*offset += FIELD_BYTES + length;
	return true;
}

bool flex_message_find(const struct flex_message *message, uint8_t tag, struct flex_field *field)
{
	size_t offset = 0;

	while (flex_message_next(message, &offset, field))
		if (field->tag == tag)
			return true;
	return false;
}

uint64_t flex_message_number(const struct flex_message *message, uint8_t tag, uint64_t otherwise)
{
	struct flex_field field;

	if (!flex_message_find(message, tag, &field) || field.count != 8)
		return otherwise;
	return get_le(field.bytes, 8);
}

bool flex_message_text(const struct flex_message *message, uint8_t tag, char *text, size_t size)
{
	struct flex_field field;

	if (!flex_message_find(message, tag, &field) || field.count >= size || memchr(field.bytes, 0, field.count))
		return false;
	memcpy(text, field.bytes, field.count);
	text[field.count] = 0;
	return true;
}
