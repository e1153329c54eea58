/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "answer.h"
#include "fragment.h"

#define PAGE 4096u

static uint64_t free_bytes(void)
{
	struct sysinfo info;

	return sysinfo(&info) ? 0 : (uint64_t)info.freeram * info.mem_unit;
}

int flex_fragment_worker(const struct flex_message *message, int pipe)
{
	static struct flex_builder builder;
	uint64_t leave = flex_message_number(message, FLEX_TAG_LEAVE, UINT64_MAX), free = free_bytes();
	uint64_t bytes = free > leave ? (free - leave) / (2 * PAGE) * (2 * PAGE) : 0;
	uint8_t *memory;

	if (!bytes)
		return flex_answer_error(pipe, message->request, EINVAL, "FRAGMENT: no more is free than is to be left");
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return flex_answer_error(pipe, message->request, errno, NULL);
	madvise(memory, bytes, MADV_NOHUGEPAGE);
	if (madvise(memory, bytes, MADV_POPULATE_WRITE))
		return flex_answer_error(pipe, message->request, errno, NULL);
	for (uint64_t offset = 0; offset < bytes; offset += 2 * PAGE)
		if (madvise(memory + offset, PAGE, MADV_DONTNEED))
			return flex_answer_error(pipe, message->request, errno, NULL);
	flex_build(&builder, FLEX_MSG_HELD, message->request);
	flex_build_number(&builder, FLEX_TAG_SIZE, bytes / 2);
	flex_answer_send(&builder, pipe);
	for (;;)
		pause(); /* until CANCEL */
}
