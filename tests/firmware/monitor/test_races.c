/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cores at once. Built with the address and with the thread sanitizer: a page's content is touched only under a pin
 * (by the payload) or while the page is BUSY (by a scrub), and the thread sanitizer would see the two overlap.
 */
#include <pthread.h>

#include "fake.h"

#define ROUNDS 3000

static unsigned int running;

static void *recaller(void *unused)
{
	struct out o;

	(void)unused;
	while (__atomic_load_n(&running, __ATOMIC_ACQUIRE) != 0U) {
		o = call_on(1U, FLEX_CALLER_NW, FLEX_MON_RECALL, 1U, 0U, 1U);
		EXPECT_EQ(o.rc, FLEX_OK);
		EXPECT_EQ(o.x1, 1);
	}
	return NULL;
}

/* The payload pins page 0 whenever it can, writes a secret, and must find it as long as it holds the pin. */
static void recall_and_pin_exclude_each_other(void)
{
	pthread_t thread;
	unsigned int generation = 0U, pinned = 0U;
	uint64_t secret = 1U;

	mail(0U, 1U, 0U, 1U);
	mail(1U, 1U, 0U, 1U);
	list(1U, 0U);
	running = 1U;
	EXPECT_EQ(pthread_create(&thread, NULL, recaller, NULL), 0);
	while (pinned < ROUNDS) {
		if (nw(FLEX_MON_DONATE, 0U, 0U, 1U).rc == FLEX_OK) {
			if (payload(FLEX_MON_CLAIM, PAYLOAD_BASE, 1U, 5U).rc == FLEX_OK) {
				generation++;
			}
		}
		if (pin(5U, 0U, generation)) {
			fake.content[0] = ++secret;
			EXPECT_EQ(state_of(0U) == FLEX_PAGE_NORMAL, false);
			EXPECT_EQ(fake.content[0], secret);
			unpin(5U);
			pinned++;
		}
	}
	__atomic_store_n(&running, 0U, __ATOMIC_RELEASE);
	EXPECT_EQ(pthread_join(thread, NULL), 0);
	EXPECT_EQ(flex_slot_generation(fake.m.slots[5]), generation);
}

struct worker {
	unsigned int core;
	uint64_t donated, recalled, moved;
};

/* Each core donates, claims, drops, moves and recalls the same 64 pages, as it likes. */
static void *everything(void *argument)
{
	struct worker *w = argument;
	unsigned int seed = w->core, i, n;
	struct out o;

	for (i = 0U; i < ROUNDS / 4; i++) {
		seed = (seed * 1103515245U) + 12345U;
		n = 1U + ((seed >> 16) % 64U);
		switch ((seed >> 8) % 5U) {
		case 0U:
			o = call_on(w->core, FLEX_CALLER_NW, FLEX_MON_DONATE, 0U, n - 1U, 64U);
			w->donated += o.x1 - (n - 1U);
			break;
		case 1U:
			o = call_on(w->core, FLEX_CALLER_NW, FLEX_MON_RECALL, 0U, n - 1U, 64U);
			w->recalled += o.x2;
			break;
		case 3U: /* of box 1: to and fro between the same pages and 64 others */
			o = call_on(w->core, FLEX_CALLER_NW, FLEX_MON_MOVE, 1U, (n - 1U) * 2U, 128U);
			w->moved += o.x2;
			break;
		case 2U:
			o = call_on(w->core, FLEX_CALLER_PAYLOAD, FLEX_MON_CLAIM, PAYLOAD_BASE, n, (seed >> 20) % 70U);
			break;
		default:
			o = call_on(w->core, FLEX_CALLER_PAYLOAD, FLEX_MON_DROP, (seed >> 20) % 70U, n, 0U);
			break;
		}
		EXPECT((o.rc == FLEX_OK) || (o.rc == FLEX_E_STATE) || (o.rc == FLEX_E_BUSY) ||
		       (o.rc == FLEX_E_INTERRUPTED));
	}
	return NULL;
}

static void all_cores_do_everything(void)
{
	struct worker w[CORES] = { { .core = 0U }, { .core = 1U }, { .core = 2U }, { .core = 3U } };
	pthread_t thread[CORES];
	uint64_t donated = 0U, recalled = 0U, moved = 0U;
	unsigned int i;

	mail(0U, 64U, 100U, 1U);
	list(64U, 100U);
	for (i = 0U; i < 64U; i++) {
		mail_pair(1U, 2U * i, pa(100U + i), pa(800U + i));
		mail_pair(1U, (2U * i) + 1U, pa(800U + i), pa(100U + i));
	}
	for (i = 0U; i < CORES; i++) {
		EXPECT_EQ(pthread_create(&thread[i], NULL, everything, &w[i]), 0);
	}
	for (i = 0U; i < CORES; i++) {
		EXPECT_EQ(pthread_join(thread[i], NULL), 0);
		donated += w[i].donated;
		recalled += w[i].recalled;
		moved += w[i].moved;
	}
	fake_check();
	EXPECT(donated > 0U);
	EXPECT_EQ(donated, fake.m.stat[FLEX_STAT_DONATED]);
	EXPECT_EQ(recalled, fake.m.stat[FLEX_STAT_RECALLED]);
	EXPECT(moved > 0U);
	EXPECT_EQ(moved, fake.m.stat[FLEX_STAT_MOVED]);
	EXPECT_EQ(donated - recalled, fake.m.stat[FLEX_STAT_SECURE_PAGES]);
}

static int64_t region_call(uint32_t fid)
{
	struct out o = { .x1 = 0U };

	do {
		o = call_on(2U, FLEX_CALLER_NW, fid, DRAM_BASE, FLEX_BLOCK_SIZE, o.x1);
	} while (o.rc == FLEX_E_INTERRUPTED);
	return o.rc;
}

static void *region_core(void *unused)
{
	unsigned int i;

	(void)unused;
	for (i = 0U; i < 60U; i++) {
		if (region_call(FLEX_MON_REGION_SECURE) == FLEX_OK) {
			EXPECT_EQ(region_call(FLEX_MON_REGION_RELEASE), FLEX_OK);
		}
	}
	return NULL;
}

static void a_region_and_a_donation_exclude_each_other(void)
{
	pthread_t thread;
	unsigned int i;
	struct out o;

	mail(0U, 1U, 9U, 1U);
	EXPECT_EQ(pthread_create(&thread, NULL, region_core, NULL), 0);
	for (i = 0U; i < ROUNDS; i++) {
		o = nw(FLEX_MON_DONATE, 0U, 0U, 1U);
		EXPECT((o.rc == FLEX_OK) || (o.rc == FLEX_E_STATE));
		if (o.rc == FLEX_OK) {
			EXPECT_EQ(nw(FLEX_MON_RECALL, 0U, 0U, 1U).x2, 1);
		}
	}
	EXPECT_EQ(pthread_join(thread, NULL), 0);
}

int main(void)
{
	RUN(recall_and_pin_exclude_each_other);
	RUN(all_cores_do_everything);
	RUN(a_region_and_a_donation_exclude_each_other);
	return 0;
}
