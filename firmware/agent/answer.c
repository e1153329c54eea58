/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "answer.h"

bool flex_answer_send(struct flex_builder *builder, int pipe)
{
	size_t done = 0;

	if (!flex_build_end(builder))
		return false;
	while (done < builder->used) {
		ssize_t count = write(pipe, builder->bytes + done, builder->used - done);

		if (count < 0 && errno != EINTR)
			return false;
		done += count > 0 ? (size_t)count : 0;
	}
	return true;
}

int flex_answer_error(int pipe, uint32_t request, int number, const char *text)
{
	static struct flex_builder builder;

	flex_build(&builder, FLEX_MSG_ERROR, request);
	flex_build_number(&builder, FLEX_TAG_ERRNO, (uint64_t)number);
	flex_build_text(&builder, FLEX_TAG_TEXT, text ? text : strerror(number));
	flex_answer_send(&builder, pipe);
	return 1;
}
