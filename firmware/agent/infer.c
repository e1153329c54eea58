/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "answer.h"
#include "infer.h"
#include "infer_modes.h"

#define THREADS_MAX 64

/* False when there is no prompt, or too many are there. */
static bool take_prompts(const struct flex_message *message, struct flex_infer *infer)
{
	struct flex_field field;
	size_t offset = 0;

	for (infer->turns = 0; flex_message_next(message, &offset, &field);) {
		if (field.tag != FLEX_TAG_PROMPT)
			continue;
		if (infer->turns == FLEX_INFER_TURNS)
			return false;
		infer->prompt[infer->turns++] = (struct flex_prompt){ field.bytes, field.count };
	}
	return infer->turns != 0;
}

bool flex_infer_take(const struct flex_message *message, struct flex_infer *infer)
{
	infer->request = message->request;
	infer->tokens = (uint32_t)flex_message_number(message, FLEX_TAG_TOKENS, 0);
	infer->threads = (uint32_t)flex_message_number(message, FLEX_TAG_THREADS, 1);
	infer->context = (uint32_t)flex_message_number(message, FLEX_TAG_CONTEXT, 0);
	infer->mode = (uint32_t)flex_message_number(message, FLEX_TAG_MODE, FLEX_INFER_FLEXSERVE);
	infer->flags = (uint32_t)flex_message_number(message, FLEX_TAG_FLAGS, 0);
	if (!flex_message_text(message, FLEX_TAG_MODEL, infer->model, sizeof(infer->model)) ||
	    !take_prompts(message, infer))
		return false;
	return infer->tokens >= 1 && infer->threads >= 1 && infer->threads <= THREADS_MAX &&
	       infer->mode <= FLEX_INFER_STRAWMAN_OPT;
}

/* 0 or an errno. The page cache alone: asking for more (2) also asks the driver's shrinker for every cached weight. */
static int drop_page_cache(void)
{
	int descriptor, error = 0;

	sync();
	descriptor = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	if (descriptor < 0)
		return errno;
	if (write(descriptor, "1\n", 2) != 2)
		error = errno;
	close(descriptor);
	return error;
}

static int (*const run_mode[])(const struct flex_infer *infer) = {
	[FLEX_INFER_FLEXSERVE] = flex_infer_secure,
	[FLEX_INFER_STRAWMAN] = flex_infer_secure,
	[FLEX_INFER_STRAWMAN_OPT] = flex_infer_secure,
	[FLEX_INFER_NORMAL] = flex_infer_linux,
	[FLEX_INFER_NORMAL_IDLE] = flex_infer_linux,
	[FLEX_INFER_STOCK] = flex_infer_linux,
};

int flex_infer_run(const struct flex_infer *infer)
{
	int error;

	if (infer->turns > 1 && infer->mode != FLEX_INFER_FLEXSERVE)
		return flex_answer_error(infer->pipe, infer->request, EINVAL, "INFER: a conversation is for mode flexserve");
	error = infer->flags & FLEX_INFER_DROP_PAGE_CACHE ? drop_page_cache() : 0;
	if (error)
		return flex_answer_error(infer->pipe, infer->request, error, "page cache could not be dropped");
	return run_mode[infer->mode](infer);
}

int flex_infer_worker(const struct flex_message *message, int pipe)
{
	static struct flex_infer infer;

	infer.pipe = pipe;
	if (!flex_infer_take(message, &infer))
		return flex_answer_error(pipe, message->request, EINVAL, "INFER: a field is missing or out of range");
	return flex_infer_run(&infer);
}
