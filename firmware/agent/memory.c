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
#define LOOK (4u << 20) /* FAULT asks so often what has been given back: some dozen microseconds each */
#define PEEK (256u << 10) /* and so often before its clock runs */

/* Bytes. MemFree counts both; Linux begins to reclaim without regard to the second. */
struct memory_free {
	uint64_t any; /* of which anything may be made */
	uint64_t cma; /* of which only what can move */
};

/* Zeros when /proc/meminfo cannot be read. */
static struct memory_free memory_free(void)
{
	char line[128];
	unsigned long long all = 0, cma = 0;
	FILE *file = fopen("/proc/meminfo", "re");

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "MemFree: %llu kB", &all) != 1)
			sscanf(line, "CmaFree: %llu kB", &cma);
	if (file)
		fclose(file);
	if (cma > all)
		cma = all;
	return (struct memory_free){ .any = (uint64_t)(all - cma) * 1024, .cma = (uint64_t)cma * 1024 };
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
	for (uint64_t free; (free = memory_free().any) > leave + STEP;) {
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

/* Pages that page cache has given back since boot, 0 when /proc/vmstat cannot be read. */
static uint64_t cache_dropped(void)
{
	char line[128];
	unsigned long long pages = 0;
	FILE *file = fopen("/proc/vmstat", "re");

	while (file && fgets(line, sizeof(line), file) && sscanf(line, "pgsteal_file %llu", &pages) != 1)
		;
	if (file)
		fclose(file);
	return pages;
}

/* Who gives memory back to a process that takes it: pages since boot. By FLEX_TAG_KIND of FAULT. */
static uint64_t (*const givers[])(void) = { flex_device_recalled, cache_dropped };
#define GIVERS (sizeof(givers) / sizeof(givers[0]))

/* Touches what is free, until memory has to be given back. Returns the bytes touched. */
static uint64_t touch_free(uint8_t *memory, uint64_t bytes, uint64_t (*given)(void))
{
	uint64_t before = given(), done = 0;

	while (done < bytes && given() == before) {
		uint64_t part = bytes - done < PEEK ? bytes - done : PEEK;

		touch(memory + done, part);
		done += part;
	}
	return done;
}

/*
 * Touches memory until it has `wanted` pages and as many have been given back, or all of it when 0. Returns the bytes
 * touched; *back: the pages given.
 */
static uint64_t touch_until(uint8_t *memory, uint64_t bytes, uint64_t wanted, uint64_t (*given)(void), uint64_t *back)
{
	uint64_t before = given(), done = 0;

	*back = 0;
	while (done < bytes && !(wanted && done >= wanted * PAGE && *back >= wanted)) {
		uint64_t part = bytes - done < LOOK ? bytes - done : LOOK;

		touch(memory + done, part);
		done += part;
		*back = given() - before;
	}
	return done;
}

int flex_fault_worker(const struct flex_message *message, int pipe)
{
	static struct flex_builder builder;
	uint64_t bytes = flex_message_number(message, FLEX_TAG_SIZE, 0) / PAGE * PAGE;
	uint64_t wanted = flex_message_number(message, FLEX_TAG_PAGES, 0);
	uint64_t kind = flex_message_number(message, FLEX_TAG_KIND, 0);
	uint64_t free_first, room, touched, back, begin, end;
	uint64_t (*given)(void);
	void *memory;

	if (!bytes || kind >= GIVERS)
		return flex_answer_error(pipe, message->request, EINVAL, "FAULT: no size, or an unknown kind");
	given = givers[kind];
	room = wanted ? memory_free().cma / PAGE * PAGE : 0; /* HOLD leaves all of it: it goes first, however much it is */
	memory = map_fresh(bytes + room);
	if (!memory)
		return flex_answer_error(pipe, message->request, errno, NULL);
	madvise(memory, bytes + room, MADV_NOHUGEPAGE); /* each page on its own, as most programs take them */
	free_first = wanted ? touch_free(memory, bytes + room, given) : 0;
	begin = flex_ticks();
	touched = touch_until((uint8_t *)memory + free_first, bytes + room - free_first, wanted, given, &back);
	end = flex_ticks();
	flex_build(&builder, FLEX_MSG_RESULT, message->request);
	flex_build_number(&builder, FLEX_TAG_SIZE, touched);
	flex_build_number(&builder, FLEX_TAG_TICKS, end - begin);
	flex_build_number(&builder, FLEX_TAG_PAGES, back);
	flex_answer_send(&builder, pipe);
	return 0;
}
