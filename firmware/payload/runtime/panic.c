/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Panic: leave a record with the monitor, tell the NW call under way FLEX_E_PANIC, and let the gate do the rest. The
 * record has registers of the exception only: nothing of a session.
 */
#include "runtime.h"

static uint64_t panics RT_KEEP;

/* By vector number (entry.S); a synchronous exception may have a message of its own, from rt_panic(). */
static const char *const fault_name[16] = {
	"exception in a thread",  "interrupt for the secure world", "",
	"error in a thread",      "exception in the runtime",       "interrupt in the runtime",
	"interrupt in the runtime", "error in the runtime",
};

uint64_t rt_panics(void)
{
	return __atomic_load_n(&panics, __ATOMIC_RELAXED);
}

static void copy_text(unsigned char *to, size_t room, const char *from)
{
	size_t n = strlen(from);

	if (n >= room)
		n = room - 1;
	memcpy(to, from, n);
	memset(to + n, 0, room - n);
}

static void fill_record(struct rt_core *core, uint64_t kind)
{
	struct flex_panic *record = &core->record;
	const char *message = core->message ? core->message : fault_name[kind & 15];

	memset(record, 0, sizeof(*record));
	record->magic = FLEX_PANIC_MAGIC;
	record->sequence = __atomic_add_fetch(&panics, 1, __ATOMIC_RELAXED);
	record->esr = RT_READ(esr_el1);
	record->far = RT_READ(far_el1);
	record->elr = RT_READ(elr_el1);
	record->core = (uint64_t)(core - rt_cores);
	record->heartbeat = rt_service.heartbeat();
	if (core->thread) {
		record->thread = rt_thread_id(core->thread);
		record->operation = core->thread->call.op;
	}
	copy_text(record->message, sizeof(record->message), message ? message : "exception without a name");
}

/* The monitor is busy while the NW reads the last record: not for long. */
static void leave_record(const struct flex_panic *record)
{
	unsigned int tries = 1000;

	while (tries-- && rt_smc(FLEX_MON_PANIC, (uint64_t)record, sizeof(*record), 0).status == FLEX_E_BUSY)
		rt_relax();
}

/* On the core's own stack, interrupts masked. */
__attribute__((noreturn)) void rt_fault(uint64_t kind)
{
	struct rt_core *core = rt_core();

	/* A fault in here: the first record is the one that counts. */
	if (!core->panicking) {
		core->panicking = 1;
		fill_record(core, kind);
		rt_gate_die();
		leave_record(&core->record);
	}
	core->panicking = 0;
	core->message = NULL;
	core->thread = NULL;
	if (core->booting)
		rt_boot_done(0, 0, 0, 0);
	rt_gate_leave();
	rt_leave(FLEX_E_PANIC, 0, 0, 0, 0, 0);
}
