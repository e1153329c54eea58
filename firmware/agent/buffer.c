/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buffer.h"

#define FIRST_SIZE 4096

void flex_buffer_init(struct flex_buffer *buffer, size_t limit)
{
	memset(buffer, 0, sizeof(*buffer));
	buffer->limit = limit;
}

void flex_buffer_free(struct flex_buffer *buffer)
{
	free(buffer->data);
	flex_buffer_init(buffer, buffer->limit);
}

size_t flex_buffer_used(const struct flex_buffer *buffer)
{
	return buffer->end - buffer->begin;
}

size_t flex_buffer_room(const struct flex_buffer *buffer)
{
	return buffer->limit - flex_buffer_used(buffer);
}

const uint8_t *flex_buffer_head(const struct flex_buffer *buffer)
{
	return buffer->data + buffer->begin;
}

/* Makes place for `count` more bytes behind the end, by moving or by growing. */
static bool reserve(struct flex_buffer *buffer, size_t count)
{
	size_t used = flex_buffer_used(buffer);
	size_t size = buffer->size ? buffer->size : FIRST_SIZE;
	uint8_t *data;

	if (buffer->size - buffer->end >= count)
		return true;
	if (used && buffer->begin)
		memmove(buffer->data, buffer->data + buffer->begin, used);
	buffer->begin = 0;
	buffer->end = used;
	while (size - used < count)
		size *= 2;
	if (size <= buffer->size)
		return true;
	data = realloc(buffer->data, size);
	if (!data)
		return false;
	buffer->data = data;
	buffer->size = size;
	return true;
}

bool flex_buffer_append(struct flex_buffer *buffer, const void *bytes, size_t count)
{
	if (count > flex_buffer_room(buffer) || !reserve(buffer, count))
		return false;
	if (count)
		memcpy(buffer->data + buffer->end, bytes, count);
	buffer->end += count;
	return true;
}

void flex_buffer_consume(struct flex_buffer *buffer, size_t count)
{
	buffer->begin += count;
	if (buffer->begin == buffer->end)
		flex_buffer_clear(buffer);
}

void flex_buffer_clear(struct flex_buffer *buffer)
{
	buffer->begin = 0;
	buffer->end = 0;
}

static bool would_block(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

int flex_buffer_fill(struct flex_buffer *buffer, int descriptor)
{
	uint8_t chunk[4096];
	size_t room = flex_buffer_room(buffer);
	ssize_t count;

	if (!room)
		return 0;
	count = read(descriptor, chunk, room < sizeof(chunk) ? room : sizeof(chunk));
	if (count < 0)
		return would_block() ? 0 : -1;
	if (count == 0)
		return -1;
	return flex_buffer_append(buffer, chunk, (size_t)count) ? (int)count : -1;
}

int flex_buffer_drain(struct flex_buffer *buffer, int descriptor)
{
	size_t used = flex_buffer_used(buffer);
	ssize_t count;

	if (!used)
		return 0;
	count = write(descriptor, flex_buffer_head(buffer), used < 65536 ? used : 65536);
	if (count < 0)
		return would_block() ? 0 : -1;
	flex_buffer_consume(buffer, (size_t)count);
	return (int)count;
}
