/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "answer.h"
#include "clock.h"
#include "device.h"
#include "memory.h"

#define STEP (1u << 20)  /* HOLD comes this close to what it is to leave */
#define LARGE (64u << 20) /* mapped at once at the most: others take and give memory meanwhile */
#define NEAR (256u << 20) /* from here on only small pages are taken: the search for large ones is pressure of its own */
#define PAGE 4096u

/* MemFree of /proc/meminfo in bytes, 0 when it cannot be read. */
static uint64_t memory_free(void)
{
	char line[128];
	unsigned long long kilobytes = 0;
	FILE *file = fopen("/proc/meminfo", "re");

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "MemFree: %llu kB", &kilobytes) == 1)
			break;
	if (file)
		fclose(file);
	return (uint64_t)kilobytes * 1024;
}

static void *map_fresh(uint64_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static void touch(volatile uint8_t *memory, uint64_t bytes)
{
	for (uint64_t offset = 0; offset < bytes; offset += PAGE)
		memory[offset] = 1;
}

/* The OOM killer takes whoever faults next, not the holder: what is measured is reclaim, not its death. */
static void spare_me(void)
{
	FILE *file = fopen("/proc/self/oom_score_adj", "we");

	if (!file)
		return;
	fputs("-900", file);
	fclose(file);
}

/* Memory that is really there: the kernel fills it, in large pages where they may be had, without a fault for each. */
static bool take(uint64_t bytes, bool large)
{
	void *memory = map_fresh(bytes);

	if (!memory)
		return false;
	madvise(memory, bytes, large ? MADV_HUGEPAGE : MADV_NOHUGEPAGE); /* no matter if it cannot */
	return !madvise(memory, bytes, MADV_POPULATE_WRITE);
}

int flex_hold_worker(const struct flex_message *message, int pipe)
{
	static struct flex_builder builder;
	uint64_t leave = flex_message_number(message, FLEX_TAG_LEAVE, UINT64_MAX);
	uint64_t held = 0;

	if (leave == UINT64_MAX)
		return flex_answer_error(pipe, message->request, EINVAL, "HOLD: how much to leave is not said");
	spare_me();
	for (uint64_t free; (free = memory_free()) > leave + STEP;) {
		uint64_t bytes = free - leave < LARGE ? (free - leave) / STEP * STEP : LARGE;

		if (!take(bytes, free - leave > NEAR))
			return flex_answer_error(pipe, message->request, errno, NULL);
		held += bytes;
	}
	flex_build(&builder, FLEX_MSG_HELD, message->request);
	flex_build_number(&builder, FLEX_TAG_SIZE, held);
	flex_answer_send(&builder, pipe);
	for (;;)
		pause(); /* until CANCEL */
}

int flex_fault_worker(const struct flex_message *message, int pipe)
{
	static struct flex_builder builder;
	uint64_t bytes = flex_message_number(message, FLEX_TAG_SIZE, 0) / PAGE * PAGE;
	uint64_t recalled, begin, end;
	void *memory;

	if (!bytes)
		return flex_answer_error(pipe, message->request, EINVAL, "FAULT: no size");
	memory = map_fresh(bytes);
	if (!memory)
		return flex_answer_error(pipe, message->request, errno, NULL);
	madvise(memory, bytes, MADV_NOHUGEPAGE); /* each page on its own, as most programs take them */
	recalled = flex_device_recalled();
	begin = flex_ticks();
	touch(memory, bytes);
	end = flex_ticks();
	flex_build(&builder, FLEX_MSG_RESULT, message->request);
	flex_build_number(&builder, FLEX_TAG_SIZE, bytes);
	flex_build_number(&builder, FLEX_TAG_TICKS, end - begin);
	flex_build_number(&builder, FLEX_TAG_PAGES, flex_device_recalled() - recalled);
	flex_answer_send(&builder, pipe);
	return 0;
}
