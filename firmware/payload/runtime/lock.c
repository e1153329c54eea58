/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Spin locks, and the team: tiles of work shared by a leader and its helpers.
 *
 * A spin lock masks interrupts, so its holder is never preempted and a waiter waits for as long as the code between
 * lock and unlock takes. The one exception is a holder that panics: its lock is never released, so waiters look for it.
 */
#include "runtime.h"

#define TEAM_TILES_SHIFT 20
#define TEAM_SEQUENCE_SHIFT 40
#define TEAM_MASK 0xfffffUL
#define TEAM_AWAY_TICKS (FLEX_BOARD_COUNTER_HZ / 10000) /* 100 us: about what leaving and coming back costs */
#define TEAM_SPIN_TICKS (FLEX_BOARD_COUNTER_HZ / 100)   /* 10 ms: a tile takes a tenth of that */

uint64_t rt_lock(struct rt_lock *lock)
{
	uint64_t mask = rt_mask();

	while (__atomic_exchange_n(&lock->held, 1, __ATOMIC_ACQUIRE)) {
		while (__atomic_load_n(&lock->held, __ATOMIC_RELAXED)) {
			rt_relax();
			if (rt_dying())
				rt_abandon_on_core_stack();
		}
	}
	return mask;
}

void rt_unlock(struct rt_lock *lock, uint64_t mask)
{
	__atomic_store_n(&lock->held, 0, __ATOMIC_RELEASE);
	rt_unmask(mask);
}

/*
 * The word says it all: whoever moves `next` from n to n + 1 owns tile n of that sequence. While a tile is owned or
 * free the leader does not touch fn and arg, so what was read before a successful exchange belongs to that sequence.
 */
static bool take_tile(struct rt_team *team, uint64_t word)
{
	while ((word & TEAM_MASK) < (word >> TEAM_TILES_SHIFT & TEAM_MASK)) {
		void (*fn)(void *arg, uint32_t tile) = __atomic_load_n(&team->fn, __ATOMIC_RELAXED);
		void *arg = __atomic_load_n(&team->arg, __ATOMIC_RELAXED);

		if (!__atomic_compare_exchange_n(&team->word, &word, word + 1, false, __ATOMIC_ACQ_REL,
						 __ATOMIC_ACQUIRE))
			continue;
		rt_context_sync(); /* the tile's pages may have been mapped a moment ago, by the leader's core */
		fn(arg, (uint32_t)(word & TEAM_MASK));
		__atomic_fetch_add(&team->done, 1, __ATOMIC_RELEASE);
		return true;
	}
	return false;
}

bool rt_team_help(struct rt_team *team)
{
	uint64_t word = __atomic_load_n(&team->word, __ATOMIC_ACQUIRE);
	bool taken;

	if ((word & TEAM_MASK) >= (word >> TEAM_TILES_SHIFT & TEAM_MASK))
		return false;
	/* From before a tile is taken until after it is done. */
	rt_thread_at(team);
	taken = take_tile(team, word);
	rt_thread_at(NULL);
	return taken;
}

/*
 * Others still compute the last tiles. As long as all of them run, leaving could only make it later; it is one who was
 * preempted that Linux may have to be given this core for. The second limit is for what cannot be foreseen.
 */
static void team_wait(struct rt_team *team, uint32_t tiles)
{
	uint64_t now = rt_ticks(), start = now, together = now;

	while (__atomic_load_n(&team->done, __ATOMIC_ACQUIRE) != tiles) {
		rt_relax();
		now = rt_ticks();
		if (__atomic_load_n(&team->away, __ATOMIC_ACQUIRE) == 0)
			together = now;
		if (now - together > TEAM_AWAY_TICKS || now - start > TEAM_SPIN_TICKS) {
			rt_yield(FLEX_YIELD_IDLE, 0, 0, 0);
			start = together = rt_ticks();
		}
	}
}

void rt_team_run(struct rt_team *team, void (*fn)(void *arg, uint32_t tile), void *arg, uint32_t tiles)
{
	uint64_t sequence = (__atomic_load_n(&team->word, __ATOMIC_RELAXED) >> TEAM_SEQUENCE_SHIFT) + 1;

	if (tiles > TEAM_MASK)
		rt_panic("too many tiles");
	__atomic_store_n(&team->fn, fn, __ATOMIC_RELAXED);
	__atomic_store_n(&team->arg, arg, __ATOMIC_RELAXED);
	__atomic_store_n(&team->done, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&team->word, sequence << TEAM_SEQUENCE_SHIFT | (uint64_t)tiles << TEAM_TILES_SHIFT,
			 __ATOMIC_RELEASE);
	while (rt_team_help(team))
		;
	team_wait(team, tiles);
}
