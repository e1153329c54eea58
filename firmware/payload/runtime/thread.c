/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Secure threads. A thread belongs to no core: it is saved whole in its struct at every way out, and whoever resumes it
 * by the id of that way out owns it. A second resume, or one with an older id, finds another word and is refused.
 */
#include "runtime.h"

#define STATE(word) ((word) & 0xff)
#define SEQUENCE(word) ((word) >> 8)
#define ID_INDEX(id) ((id) & 0xff)
#define ID_SEQUENCE(id) ((id) >> 8 & 0xffffff)
#define ID_EPOCH(id) ((id) >> 32)
#define SPSR_THREAD 0x304 /* EL1t is 0x4; D, A masked, IRQ and FIQ open */
#define EC_SVC64 0x15
#define SVC_YIELD 0
#define SVC_DONE 1

_Static_assert(offsetof(struct rt_thread, sp) == THREAD_SP, "entry.S");
_Static_assert(offsetof(struct rt_thread, pc) == THREAD_PC, "entry.S");
_Static_assert(offsetof(struct rt_thread, spsr) == THREAD_SPSR, "entry.S");
_Static_assert(offsetof(struct rt_thread, fpcr) == THREAD_FPCR, "entry.S");
_Static_assert(offsetof(struct rt_thread, fpsr) == THREAD_FPSR, "entry.S");
_Static_assert(offsetof(struct rt_thread, v) == THREAD_V, "entry.S");
_Static_assert(offsetof(struct rt_core, stack) == CORE_STACK, "entry.S");
_Static_assert(offsetof(struct rt_core, thread) == CORE_THREAD, "entry.S");
_Static_assert(offsetof(struct rt_core, mpidr) == CORE_MPIDR, "entry.S");
_Static_assert(sizeof(struct rt_core) == CORE_SIZE, "entry.S");
_Static_assert(DRILL_PATTERN == FLEX_DRILL_SIMD_PATTERN, "entry.S");
_Static_assert(FLEX_BOARD_PAYLOAD_THREADS <= 0xff, "an id has 8 bits for it");

static struct rt_thread threads[FLEX_BOARD_PAYLOAD_THREADS];
uint8_t rt_thread_stacks[FLEX_BOARD_PAYLOAD_THREADS][GUARD_BYTES + THREAD_STACK_BYTES] RT_KEEP
	__attribute__((aligned(4096)));

/* What may follow what. Whatever is not here cannot happen, or is refused with FLEX_E_STATE. */
enum thread_event { EVENT_START, EVENT_RESUME, EVENT_PREEMPT, EVENT_YIELD, EVENT_DONE, EVENTS };
#define NEVER THREAD_STATES
static const uint8_t next_state[THREAD_STATES][EVENTS] = {
	/*                     START           RESUME          PREEMPT           YIELD           DONE */
	[THREAD_FREE] =      { THREAD_RUNNING, NEVER,          NEVER,            NEVER,          NEVER },
	[THREAD_RUNNING] =   { NEVER,          NEVER,          THREAD_PREEMPTED, THREAD_YIELDED, THREAD_FREE },
	[THREAD_PREEMPTED] = { NEVER,          THREAD_RUNNING, NEVER,            NEVER,          NEVER },
	[THREAD_YIELDED] =   { NEVER,          THREAD_RUNNING, NEVER,            NEVER,          NEVER },
};

/*
 * Moves a thread that is at `word` by `event`. The sequence grows with each way out. False if the event does not fit
 * or another core was faster.
 */
static bool thread_move(struct rt_thread *thread, uint32_t word, enum thread_event event)
{
	uint32_t state = next_state[STATE(word)][event];
	uint32_t sequence = SEQUENCE(word) + (STATE(word) == THREAD_RUNNING);

	if (state == NEVER)
		return false;
	return __atomic_compare_exchange_n(&thread->word, &word, sequence << 8 | state, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_RELAXED);
}

static uint64_t id_of(const struct rt_thread *thread, uint32_t sequence)
{
	return (uint64_t)rt_epoch() << 32 | (uint64_t)(sequence & 0xffffff) << 8 | (uint64_t)(thread - threads);
}

uint64_t rt_thread_id(const struct rt_thread *thread)
{
	return id_of(thread, SEQUENCE(thread->word));
}

/* Leaves with an answer that no thread stands behind. */
static __attribute__((noreturn)) void leave_error(int64_t error)
{
	rt_gate_leave();
	rt_leave(error, 0, 0, 0, 0, 0);
}

/* The gate first: after it the thread may be somebody else's, so everything is read before. */
static __attribute__((noreturn)) void leave_thread(struct rt_thread *thread, enum thread_event event, int64_t status,
						   const uint64_t *value)
{
	uint64_t id = id_of(thread, SEQUENCE(thread->word) + 1);
	uint64_t v[4] = { value[0], value[1], value[2], value[3] };

	if (event == EVENT_PREEMPT && thread->team)
		__atomic_fetch_add(&thread->team->away, 1, __ATOMIC_RELEASE);
	rt_core()->thread = NULL;
	if (!thread_move(thread, thread->word, event))
		rt_panic("thread state");
	rt_gate_leave();
	rt_leave(status, id, v[0], v[1], v[2], v[3]);
}

/* A spinner gave up because the service is dying; on the core's stack. */
__attribute__((noreturn)) void rt_abandoned(void)
{
	rt_core()->thread = NULL;
	leave_error(FLEX_E_PANIC);
}

/* Prepares a free thread for an operation and takes it. NULL when all are in use. */
static struct rt_thread *thread_take(void)
{
	for (unsigned int i = 0; i < FLEX_BOARD_PAYLOAD_THREADS; i++) {
		uint32_t word = __atomic_load_n(&threads[i].word, __ATOMIC_RELAXED);

		if (STATE(word) == THREAD_FREE && thread_move(&threads[i], word, EVENT_START))
			return &threads[i];
	}
	return NULL;
}

static __attribute__((noreturn)) void start(uint64_t op, const uint64_t arg[5])
{
	struct rt_thread *thread = thread_take();

	if (!thread) {
		/* Threads that hang never end: the way out of having no other is the rehearsed one. */
		if (op == FLEX_OP_DRILL && arg[0] == FLEX_DRILL_PANIC)
			rt_panic("restart asked for, no thread free");
		leave_error(FLEX_E_EXHAUSTED);
	}
	memset(thread, 0, offsetof(struct rt_thread, word));
	thread->team = NULL;
	memset(&thread->call, 0, offsetof(struct rt_call, list));
	thread->call.op = op;
	memcpy(thread->call.arg, arg, sizeof(thread->call.arg));
	thread->x[0] = (uint64_t)thread;
	thread->sp = (uint64_t)rt_thread_stacks[thread - threads] + sizeof(rt_thread_stacks[0]);
	thread->pc = (uint64_t)rt_thread_entry;
	thread->spsr = SPSR_THREAD;
	rt_thread_run(thread);
}

static __attribute__((noreturn)) void resume(uint64_t id, uint64_t answer)
{
	struct rt_thread *thread;
	uint32_t word;

	if (ID_EPOCH(id) != rt_epoch())
		leave_error(ID_EPOCH(id) != 0 && ID_EPOCH(id) < rt_epoch() ? FLEX_E_PANIC : FLEX_E_INVAL);
	if (ID_INDEX(id) >= FLEX_BOARD_PAYLOAD_THREADS)
		leave_error(FLEX_E_INVAL);
	thread = &threads[ID_INDEX(id)];
	word = __atomic_load_n(&thread->word, __ATOMIC_ACQUIRE);
	if (SEQUENCE(word) != ID_SEQUENCE(id) || !thread_move(thread, word, EVENT_RESUME))
		leave_error(FLEX_E_STATE);
	if (STATE(word) == THREAD_YIELDED)
		thread->x[0] = answer;
	else if (thread->team)
		__atomic_fetch_sub(&thread->team->away, 1, __ATOMIC_RELEASE);
	rt_thread_run(thread);
}

/* From the NW, on this core's empty stack, interrupts masked. */
__attribute__((noreturn)) void rt_enter(uint64_t fid, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5,
					uint64_t a6)
{
	const uint64_t arg[5] = { a2, a3, a4, a5, a6 };
	int64_t error = rt_gate_enter();

	if (error)
		rt_leave(error, 0, 0, 0, 0, 0);
	if (fid == FLEX_TOS_START)
		start(a1, arg);
	if (fid == FLEX_TOS_RESUME)
		resume(a1, a2);
	leave_error(FLEX_E_UNKNOWN);
}

/* An interrupt of the NW: out, at once. */
__attribute__((noreturn)) void rt_thread_interrupt(struct rt_thread *thread)
{
	static const uint64_t nothing[4];

	/* A drill spins on one instruction, with no register free to watch for this. */
	if (thread->pc == (uint64_t)rt_drill_spin)
		thread->pc += 4;
	leave_thread(thread, EVENT_PREEMPT, FLEX_TOS_PREEMPTED, nothing);
}

/* A yield or the end. It returns from whatever else it is: a fault. */
void rt_thread_sync(struct rt_thread *thread)
{
	uint64_t esr = RT_READ(esr_el1);

	if (esr >> 26 != EC_SVC64)
		return;
	if ((esr & 0xffff) == SVC_YIELD)
		leave_thread(thread, EVENT_YIELD, FLEX_TOS_YIELDED, thread->x);
	leave_thread(thread, EVENT_DONE, thread->call.status, thread->call.value);
}

void rt_thread_at(struct rt_team *team)
{
	uint64_t mask = rt_mask();

	rt_core()->thread->team = team;
	rt_unmask(mask);
}

/* First C code of a thread. */
void rt_thread_main(struct rt_thread *thread)
{
	rt_service.operation(&thread->call);
}

__attribute__((noreturn)) void rt_drill_hang(void)
{
	for (;;)
		rt_relax();
}

uint64_t rt_drill_simd(uint64_t rounds)
{
	uint64_t differences = 0;

	while (rounds--)
		differences |= rt_drill_round();
	return differences;
}
