/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "batch.h"
#include "record.h"

#define LIMIT (64u << 20) /* bytes of requests, and of answers */

int flex_batch_open(struct flex_batch *batch, const char *path)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);

	if (file < 0)
		return -errno;
	memset(batch, 0, sizeof(*batch));
	flex_buffer_init(&batch->requests, LIMIT);
	flex_buffer_init(&batch->answers, LIMIT);
	while (flex_buffer_fill(&batch->requests, file) > 0)
		;
	close(file);
	return 0;
}

bool flex_batch_next(struct flex_batch *batch)
{
	int size;

	flex_buffer_consume(&batch->requests, batch->size);
	size = flex_message_parse(flex_buffer_head(&batch->requests), flex_buffer_used(&batch->requests),
				  &batch->current);
	batch->size = size > 0 ? (size_t)size : 0;
	batch->settled = false;
	return size > 0;
}

static bool settles(const struct flex_batch *batch, const struct flex_message *message)
{
	if (message->request != batch->current.request)
		return false;
	return message->type == FLEX_MSG_RESULT || message->type == FLEX_MSG_ERROR || message->type == FLEX_MSG_HELD;
}

bool flex_batch_keep(struct flex_batch *batch, const uint8_t *bytes, size_t count)
{
	struct flex_message message;

	if (flex_message_parse(bytes, count, &message) > 0 && settles(batch, &message))
		batch->settled = true;
	return flex_buffer_append(&batch->answers, bytes, count);
}

/* 0 or -errno. */
static int write_all(int descriptor, const void *bytes, size_t count)
{
	for (size_t done = 0; done < count;) {
		ssize_t written = write(descriptor, (const char *)bytes + done, count - done);

		if (written < 0)
			return -errno;
		done += (size_t)written;
	}
	return 0;
}

int flex_batch_write(struct flex_batch *batch, int descriptor)
{
	struct flex_record record = { .kind = FLEX_RECORD_DATA_KIND };
	char line[FLEX_RECORD_LINE];
	int status = 0;

	while (!status && flex_buffer_used(&batch->answers)) {
		size_t left = flex_buffer_used(&batch->answers);

		record.length = (uint16_t)(left < FLEX_RECORD_DATA ? left : FLEX_RECORD_DATA);
		memcpy(record.data, flex_buffer_head(&batch->answers), record.length);
		flex_buffer_consume(&batch->answers, record.length);
		status = write_all(descriptor, line, flex_record_encode(&record, line));
		record.sequence++;
	}
	return status ? status : write_all(descriptor, FLEX_BATCH_DONE "\n", sizeof(FLEX_BATCH_DONE));
}
