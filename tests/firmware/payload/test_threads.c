/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Secure threads and teams. Leaving the payload and entering a thread do not return; here both come back to the test by
 * longjmp, with what they carried.
 */
#include <pthread.h>
#include <sched.h>

#include "runtime.h"
#include "test.h"

uint8_t rt_core_stacks[FLEX_BOARD_CORES][GUARD_BYTES + CORE_STACK_BYTES];
struct rt_core rt_cores[FLEX_BOARD_CORES];
char rt_drill_spin[8];

static jmp_buf out;
static enum { LEFT = 1, RUNNING } way;
static struct rt_thread *running;
static struct {
	int64_t x0;
	uint64_t x1, x2, x3, x4, x5;
} left;
static uint32_t epoch = 1;
static int64_t gate_answer;
static int inside;

uint32_t rt_epoch(void)
{
	return epoch;
}

int64_t rt_gate_enter(void)
{
	inside += gate_answer == FLEX_OK;
	return gate_answer;
}

void rt_gate_leave(void)
{
	inside--;
}

void rt_thread_run(struct rt_thread *thread)
{
	running = thread;
	rt_core()->thread = thread;
	way = RUNNING;
	longjmp(out, 1);
}

void rt_leave(int64_t x0, uint64_t x1, uint64_t x2, uint64_t x3, uint64_t x4, uint64_t x5)
{
	left.x0 = x0;
	left.x1 = x1;
	left.x2 = x2;
	left.x3 = x3;
	left.x4 = x4;
	left.x5 = x5;
	way = LEFT;
	longjmp(out, 1);
}

void rt_thread_entry(void)
{
}

uint64_t rt_drill_round(void)
{
	return 0;
}

__attribute__((noreturn)) void rt_thread_interrupt(struct rt_thread *thread);
void rt_thread_sync(struct rt_thread *thread);

/* A call of the NW; back when it has left again, or when a thread runs. */
static void enter(uint64_t fid, uint64_t a1, uint64_t a2)
{
	if (!setjmp(out))
		rt_enter(fid, a1, a2, 2, 3, 4, 5);
}

static void interrupt(struct rt_thread *thread)
{
	if (!setjmp(out))
		rt_thread_interrupt(thread);
}

static void service_call(struct rt_thread *thread, uint64_t number)
{
	fake_esr = 0x15ULL << 26 | number;
	if (!setjmp(out))
		rt_thread_sync(thread);
}

static struct rt_thread *begin(void)
{
	fake_core = &rt_cores[0];
	enter(FLEX_TOS_START, 77, 1);
	EQUAL(way, RUNNING);
	return running;
}

static void start_runs_a_fresh_thread(void)
{
	struct rt_thread *thread = begin();

	EQUAL(thread->call.op, 77);
	EQUAL(thread->call.arg[0], 1);
	EQUAL(thread->call.arg[4], 5);
	EQUAL(thread->x[0], (uint64_t)thread);
	EQUAL(thread->x[5], 0);
	EQUAL(thread->fpcr, 0);
	EQUAL(thread->sp % 16, 0);
	EQUAL(inside, 1);
}

static void preempted_thread_resumes_on_another_core_once(void)
{
	struct rt_thread *thread = begin();
	uint64_t id;

	thread->x[7] = 1234;
	interrupt(thread);
	EQUAL(way, LEFT);
	EQUAL(left.x0, FLEX_TOS_PREEMPTED);
	EQUAL(inside, 0);
	EQUAL(rt_cores[0].thread == NULL, 1);
	id = left.x1;
	fake_core = &rt_cores[1];
	enter(FLEX_TOS_RESUME, id, 999);
	EQUAL(way, RUNNING);
	CHECK(running == thread && rt_cores[1].thread == thread);
	EQUAL(thread->x[7], 1234);
	CHECK(thread->x[0] != 999); /* an answer is for a yield alone */
	fake_core = &rt_cores[0];
	enter(FLEX_TOS_RESUME, id, 0);
	EQUAL(way, LEFT);
	EQUAL(left.x0, FLEX_E_STATE);
	/* And after its next way out the old id is old. */
	interrupt(thread);
	CHECK(left.x1 != id);
	enter(FLEX_TOS_RESUME, id, 0);
	EQUAL(left.x0, FLEX_E_STATE);
}

static void yield_carries_values_out_and_the_answer_in(void)
{
	struct rt_thread *thread = begin();

	thread->x[0] = FLEX_YIELD_NEED;
	thread->x[1] = 10;
	thread->x[2] = 20;
	thread->x[3] = 30;
	service_call(thread, 0);
	EQUAL(left.x0, FLEX_TOS_YIELDED);
	EQUAL(left.x2, FLEX_YIELD_NEED);
	EQUAL(left.x3, 10);
	EQUAL(left.x5, 30);
	enter(FLEX_TOS_RESUME, left.x1, (uint64_t)FLEX_E_CANCELLED);
	EQUAL(way, RUNNING);
	EQUAL((int64_t)thread->x[0], FLEX_E_CANCELLED);
}

static void done_frees_the_thread_for_a_new_operation(void)
{
	struct rt_thread *thread = begin();
	uint64_t id;

	thread->call.status = FLEX_E_MODEL;
	thread->call.value[3] = 8;
	service_call(thread, 1);
	EQUAL(left.x0, FLEX_E_MODEL);
	EQUAL(left.x5, 8);
	id = left.x1;
	enter(FLEX_TOS_RESUME, id, 0);
	EQUAL(left.x0, FLEX_E_STATE);
	CHECK(begin() == thread);
	enter(FLEX_TOS_RESUME, id, 0);
	EQUAL(left.x0, FLEX_E_STATE);
}

static void threads_run_out(void)
{
	for (unsigned int i = 0; i < FLEX_BOARD_PAYLOAD_THREADS; i++)
		begin();
	enter(FLEX_TOS_START, 1, 0);
	EQUAL(way, LEFT);
	EQUAL(left.x0, FLEX_E_EXHAUSTED);
}

static void panic_drill_needs_no_thread(void)
{
	jmp_buf here;

	for (unsigned int i = 0; i < FLEX_BOARD_PAYLOAD_THREADS; i++)
		begin();
	fake_panic_expected = &here;
	if (!setjmp(here)) {
		enter(FLEX_TOS_START, FLEX_OP_DRILL, FLEX_DRILL_PANIC);
		CHECK(!"reached");
	}
	EQUAL(strcmp(fake_panic_message, "restart asked for, no thread free"), 0);
}

static void ids_that_never_were_are_refused(void)
{
	static const struct {
		uint64_t id;
		int64_t status;
	} bad[] = {
		{ 0, FLEX_E_INVAL },
		{ ~0ULL, FLEX_E_INVAL },
		{ 2ULL << 32, FLEX_E_INVAL },                              /* an epoch to come */
		{ 1ULL << 32 | FLEX_BOARD_PAYLOAD_THREADS, FLEX_E_INVAL }, /* no such thread */
		{ 1ULL << 32 | 1ULL << 8, FLEX_E_STATE },
		{ 1ULL << 32, FLEX_E_STATE },                              /* free, never started */
	};

	fake_core = &rt_cores[0];
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		enter(FLEX_TOS_RESUME, bad[i].id, 0);
		EQUAL(way, LEFT);
		EQUAL(left.x0, bad[i].status);
		EQUAL(inside, 0);
	}
	enter(0x72000003, 0, 0);
	EQUAL(left.x0, FLEX_E_UNKNOWN);
}

static void threads_of_a_dead_epoch_are_refused(void)
{
	uint64_t id;

	interrupt(begin());
	id = left.x1;
	epoch = 2;
	enter(FLEX_TOS_RESUME, id, 0);
	EQUAL(left.x0, FLEX_E_PANIC);
	gate_answer = FLEX_E_BUSY;
	enter(FLEX_TOS_START, 1, 0);
	EQUAL(left.x0, FLEX_E_BUSY);
}

/* ---- teams, on real threads ---- */

#define TILES 500
#define JOBS 200

static struct rt_team team;
static uint32_t counts[TILES];
static int team_over;

static void count_tile(void *arg, uint32_t tile)
{
	__atomic_fetch_add(&((uint32_t *)arg)[tile], 1, __ATOMIC_RELAXED);
}

/* A core, with a thread running on it, for each of the host's threads. */
static struct rt_core team_cores[4];
static struct rt_thread team_threads[4];

static void enter_core(unsigned int number)
{
	team_cores[number].thread = &team_threads[number];
	fake_core = &team_cores[number];
}

static void *helper(void *number)
{
	enter_core((unsigned int)(uintptr_t)number);
	while (!__atomic_load_n(&team_over, __ATOMIC_ACQUIRE))
		rt_team_help(&team);
	return NULL;
}

static int64_t step_aside(uint64_t reason, uint64_t v1, uint64_t v2, uint64_t v3)
{
	EQUAL(reason, FLEX_YIELD_IDLE);
	EQUAL(v1 + v2 + v3, 0);
	sched_yield();
	return FLEX_OK;
}

static void every_tile_runs_once(void)
{
	pthread_t helpers[3];

	fake_on_yield = step_aside;
	enter_core(0);
	for (unsigned int i = 0; i < 3; i++)
		CHECK(pthread_create(&helpers[i], NULL, helper, (void *)(uintptr_t)(i + 1)) == 0);
	for (uint32_t job = 1; job <= JOBS; job++) {
		uint32_t tiles = 1 + job * 7 % TILES;

		memset(counts, 0, sizeof(counts));
		rt_team_run(&team, count_tile, counts, tiles);
		for (uint32_t i = 0; i < TILES; i++)
			EQUAL(__atomic_load_n(&counts[i], __ATOMIC_RELAXED), i < tiles);
	}
	rt_team_run(&team, count_tile, counts, 0);
	__atomic_store_n(&team_over, 1, __ATOMIC_RELEASE);
	for (unsigned int i = 0; i < 3; i++)
		pthread_join(helpers[i], NULL);
	CHECK(!rt_team_help(&team));
}

/* Where a helper is while the leader waits for its tile. */
static enum { OUTSIDE, AT_TILE, TILE_DONE } helper_at;
static unsigned int waits;

static void slow_tile(void *arg, uint32_t tile)
{
	bool helping = rt_core() == arg;

	(void)tile;
	if (helping)
		__atomic_store_n(&helper_at, AT_TILE, __ATOMIC_RELEASE);
	/* Each of the two gets one: the leader waits in its own until the helper has the other. */
	while (__atomic_load_n(&helper_at, __ATOMIC_ACQUIRE) == (helping ? AT_TILE : OUTSIDE))
		sched_yield();
}

static void *slow_helper(void *unused)
{
	enter_core(1);
	while (!rt_team_help(&team))
		sched_yield();
	return unused;
}

/* The leader leaves: the helper is resumed, and its tile ends. */
static int64_t resume_helper(uint64_t reason, uint64_t v1, uint64_t v2, uint64_t v3)
{
	step_aside(reason, v1, v2, v3);
	/* A slow host may let the leader out again before the helper has come to its end. */
	if (waits++)
		return FLEX_OK;
	EQUAL(team.away, 1);
	__atomic_store_n(&team.away, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&helper_at, TILE_DONE, __ATOMIC_RELEASE);
	return FLEX_OK;
}

static void leader_leaves_for_a_helper_that_is_away(void)
{
	pthread_t other;

	fake_on_yield = resume_helper;
	enter_core(0);
	__atomic_store_n(&team.away, 1, __ATOMIC_RELEASE); /* what its preemption in the tile will have left */
	CHECK(pthread_create(&other, NULL, slow_helper, NULL) == 0);
	rt_team_run(&team, slow_tile, &team_cores[1], 2);
	CHECK(waits >= 1);
	pthread_join(other, NULL);
}

static void preempted_at_a_tile_counts_as_away(void)
{
	struct rt_thread *thread = begin();
	uint64_t id;

	thread->team = &team;
	interrupt(thread);
	EQUAL(team.away, 1);
	id = left.x1;
	enter(FLEX_TOS_RESUME, id, 0);
	EQUAL(way, RUNNING);
	EQUAL(team.away, 0);
	/* A resume that is refused changes nothing, and neither does a preemption elsewhere. */
	enter(FLEX_TOS_RESUME, id, 0);
	EQUAL(team.away, 0);
	thread->team = NULL;
	interrupt(thread);
	EQUAL(team.away, 0);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(start_runs_a_fresh_thread),
		TEST(preempted_thread_resumes_on_another_core_once),
		TEST(yield_carries_values_out_and_the_answer_in),
		TEST(done_frees_the_thread_for_a_new_operation),
		TEST(threads_run_out),
		TEST(panic_drill_needs_no_thread),
		TEST(ids_that_never_were_are_refused),
		TEST(threads_of_a_dead_epoch_are_refused),
		TEST(every_tile_runs_once),
		TEST(leader_leaves_for_a_helper_that_is_away),
		TEST(preempted_at_a_tile_counts_as_away),
	};

	return run_tests(tests, sizeof(tests) / sizeof(tests[0]));
}
