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

static uint8_t *map_small(uint64_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	madvise(memory, bytes, MADV_NOHUGEPAGE);
	return memory;
}

/* Linux hands out neighbours one after the other: of two mappings that grow in turn, each gets every second page. */
int flex_fragment_worker(const struct flex_message *message, int pipe)
{
	static struct flex_builder builder;
	uint64_t leave = flex_message_number(message, FLEX_TAG_LEAVE, UINT64_MAX), free = free_bytes();
	uint64_t bytes = free > leave ? (free - leave) / (2 * PAGE) * PAGE : 0;
	volatile uint8_t *stays, *goes;

	if (!bytes)
		return flex_answer_error(pipe, message->request, EINVAL, "FRAGMENT: no more is free than is to be left");
	stays = map_small(bytes);
	goes = map_small(bytes);
	if (!stays || !goes)
		return flex_answer_error(pipe, message->request, errno, NULL);
	for (uint64_t offset = 0; offset < bytes; offset += PAGE) {
		stays[offset] = 1;
		goes[offset] = 1;
	}
	munmap((void *)goes, bytes);
	flex_build(&builder, FLEX_MSG_HELD, message->request);
	flex_build_number(&builder, FLEX_TAG_SIZE, bytes);
	flex_answer_send(&builder, pipe);
	for (;;)
		pause(); /* until CANCEL */
}
