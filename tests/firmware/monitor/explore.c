/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * explore CORES: all interleavings of up to CORES calls (2 or 3), from each of a few situations, over the real core on
 * a machine of three pages and two slots. Each core is a coroutine that stops before every access to a word that others
 * see, and before everything that it does to the machine; a situation that was met before is not gone into again (by a
 * 64-bit hash of all memory and stacks). What must hold is checked after every single step: page.h's table of
 * transitions, and that nobody reaches what is not his. Sequentially consistent, as the core's accesses are.
 */
#include <signal.h>
#include <string.h>
#include <ucontext.h>

#include "explore.h"

#define STACK_BYTES 16384U
#define DEPTH_MAX 512U
#define TABLE_BITS 21
#define LIST_ENTRIES (FLEX_MOVE_PAGES + 2U)

static struct {
	ucontext_t context;
	char stack[STACK_BYTES] __attribute__((aligned(16)));
	char *low; /* of the stack in use */
	const struct program *program;
	bool done;
} core[CORES_MAX];

static ucontext_t scheduler;
static unsigned int cores;
static bool exploring;
static unsigned long steps, situations_met;

/* Every register that a caller may have kept is on the stack here, so that the stack is all there is to compare. */
__attribute__((noinline)) void explore_stop(void)
{
	__builtin_unwind_init();
	if (exploring) {
		core[running].low = (char *)__builtin_frame_address(0) - 128;
		swapcontext(&core[running].context, &scheduler);
	}
}

void explore_step(const volatile void *word)
{
	const volatile char *at = word, *pages = (const char *)now.pages, *regions = (const char *)now.m.region;

	if (((at >= pages) && (at < (const char *)now.mapped)) || (word == &now.m.stat[FLEX_STAT_SECURE_PAGES]) ||
	    ((at >= regions) && (at < (regions + sizeof(now.m.region))))) {
		explore_stop();
	}
}

static uint64_t table[1U << TABLE_BITS];
static uint32_t used[1U << TABLE_BITS];
static uint32_t used_count;

struct situation {
	struct flex_monitor m;
	uint32_t pages[TRACKED];
	uint32_t block;
	uint64_t slots[2];
	char machine[sizeof(struct world) - offsetof(struct world, mapped) - sizeof(now.list)];
	uint64_t list[CORES_MAX][LIST_ENTRIES];
	struct {
		ucontext_t context;
		char stack[STACK_BYTES / 4U];
		char *low;
		bool done;
	} core[CORES_MAX];
	unsigned int next; /* core to go on with */
};

static struct situation path[DEPTH_MAX];
static unsigned int depth, where;

static size_t depth_of(const char *low, unsigned int c)
{
	return (size_t)(core[c].stack + STACK_BYTES - low);
}

static void keep(struct situation *to)
{
	unsigned int c;

	to->m = now.m;
	memcpy(to->pages, now.pages, sizeof(to->pages));
	to->block = now.block;
	memcpy(to->slots, now.slots, sizeof(to->slots));
	memcpy(to->machine, now.mapped, sizeof(to->machine));
	for (c = 0U; c < cores; c++) {
		memcpy(to->list[c], now.list[c], sizeof(to->list[c]));
		EXPECT(depth_of(core[c].low, c) <= sizeof(to->core[c].stack));
		to->core[c].context = core[c].context;
		to->core[c].low = core[c].low;
		to->core[c].done = core[c].done;
		memcpy(to->core[c].stack, core[c].low, depth_of(core[c].low, c));
	}
	to->next = 0U;
}

static void go_back(const struct situation *to)
{
	unsigned int c;

	now.m = to->m;
	memcpy(now.pages, to->pages, sizeof(to->pages));
	now.block = to->block;
	memcpy(now.slots, to->slots, sizeof(to->slots));
	memcpy(now.mapped, to->machine, sizeof(to->machine));
	for (c = 0U; c < cores; c++) {
		memcpy(now.list[c], to->list[c], sizeof(to->list[c]));
		core[c].context = to->core[c].context;
		core[c].low = to->core[c].low;
		core[c].done = to->core[c].done;
		memcpy(core[c].low, to->core[c].stack, depth_of(core[c].low, c));
	}
}

static uint64_t mix(uint64_t hash, const void *from, size_t bytes)
{
	const uint64_t *word = from;
	size_t i;

	for (i = 0U; i < (bytes / sizeof(*word)); i++) {
		hash = (hash ^ word[i]) * UINT64_C(0x9e3779b97f4a7c15);
		hash ^= hash >> 29;
	}
	return hash;
}

/* Counters that only grow are not part of a situation: nothing depends on them. */
static bool met_before(const struct situation *here)
{
	uint64_t hash = mix(1U, here->m.region, CORES_MAX * sizeof(here->m.region[0]));
	unsigned int c;
	uint32_t at;

	hash = mix(hash, here->pages, offsetof(struct situation, core) - offsetof(struct situation, pages));
	hash = mix(hash, &here->m.stat[FLEX_STAT_SECURE_PAGES], sizeof(uint64_t));
	for (c = 0U; c < cores; c++) {
		uint64_t done = here->core[c].done ? 1U : 0U;

		hash = mix(hash, &done, sizeof(done));
		hash = mix(hash, here->core[c].stack, here->core[c].done ? 0U : (depth_of(here->core[c].low, c) & ~UINT64_C(7)));
	}
	hash |= 1U;
	for (at = (uint32_t)(hash >> (64 - TABLE_BITS)); table[at] != 0U; at = (at + 1U) % (1U << TABLE_BITS)) {
		if (table[at] == hash) {
			return true;
		}
	}
	EXPECT(used_count < (1U << (TABLE_BITS - 1)));
	table[at] = hash;
	used[used_count++] = at;
	return false;
}

static void run_core(void)
{
	core[running].program->run(core[running].program);
	core[running].done = true;
	explore_stop();
}

static void step(unsigned int c)
{
	uint32_t pages[TRACKED];
	uint64_t slots[2];

	memcpy(pages, now.pages, sizeof(pages));
	memcpy(slots, now.slots, sizeof(slots));
	running = c;
	swapcontext(&scheduler, &core[c].context);
	steps++;
	check_step(pages, slots);
}

static void explore(unsigned int s, const unsigned int *which)
{
	unsigned int c, done;

	where = s;
	depth = 0U;
	exploring = false;
	set_out(s);
	for (c = 0U; c < cores; c++) {
		core[c].program = &programs[which[c]];
		core[c].done = false;
		getcontext(&core[c].context);
		core[c].context.uc_stack.ss_sp = core[c].stack;
		core[c].context.uc_stack.ss_size = STACK_BYTES;
		core[c].low = core[c].stack + STACK_BYTES - 256;
		makecontext(&core[c].context, run_core, 0);
	}
	while (used_count > 0U) {
		table[used[--used_count]] = 0U;
	}
	exploring = true;
	keep(&path[0]);
	for (;;) {
		while ((path[depth].next < cores) && path[depth].core[path[depth].next].done) {
			path[depth].next++;
		}
		if (path[depth].next == cores) {
			if (depth-- == 0U) {
				return;
			}
			continue;
		}
		go_back(&path[depth]);
		step(path[depth].next++);
		for (c = 0U, done = 0U; c < cores; c++) {
			done += core[c].done ? 1U : 0U;
		}
		if (done == cores) {
			check_end();
		}
		EXPECT(depth + 1U < DEPTH_MAX);
		keep(&path[depth + 1U]);
		if (!met_before(&path[depth + 1U])) {
			situations_met++;
			depth++;
		}
	}
}

/* Where it was when something did not hold: the cores' order of steps is that of path[].next. */
static void tell(int unused)
{
	unsigned int c, i;

	(void)unused;
	fprintf(stderr, "%s:", situation_name(where));
	for (c = 0U; c < cores; c++) {
		fprintf(stderr, " [%s]", core[c].program->name);
	}
	fprintf(stderr, "\nsteps of cores:");
	for (i = 0U; i <= depth; i++) {
		fprintf(stderr, " %u", path[i].next - 1U);
	}
	fprintf(stderr, "\n");
}

static void every_combination(void)
{
	unsigned int which[CORES_MAX] = { 0U }, s;

	for (s = 0U; s < situation_count; s++) {
		for (which[0] = 0U; which[0] < program_count; which[0]++) {
			for (which[1] = which[0]; which[1] < program_count; which[1]++) {
				for (which[2] = which[1]; which[2] < ((cores == 3U) ? program_count : (which[1] + 1U)); which[2]++) {
					explore(s, which);
				}
			}
		}
	}
}

int main(int argc, char **argv)
{
	cores = (argc > 1) ? (unsigned int)strtoul(argv[1], NULL, 0) : 2U;
	EXPECT((cores >= 2U) && (cores <= CORES_MAX));
	signal(SIGABRT, tell);
	every_combination();
	printf("ok %u cores: %lu situations, %lu steps\n", cores, situations_met, steps);
	return 0;
}
