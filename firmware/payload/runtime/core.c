/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Boot, and the gate: who is inside the payload, whether the service lives, and its restart after a panic.
 *
 * The gate is one word, {epoch 63..40, dying 32, cores inside 31..0}. A panic sets `dying`; from then on nobody new
 * comes in, spinners give up, and everybody else is driven out by the next interrupt. The first entry that finds nobody
 * inside does the restart: pins forgotten, slots dropped, windows unmapped, .bss zeroed, epoch + 1. Threads of an older
 * epoch are refused by their id.
 */
#include <flexkit/page.h>

#include "runtime.h"

#define GATE_DYING (1UL << 32)
#define GATE_INSIDE 0xffffffffUL
#define GATE_EPOCH_SHIFT 40
#define RESTART_CHUNK 2048 /* slots between two looks at pending interrupts */

extern char __bss_start[], __bss_end[];

static uint64_t gate RT_KEEP;
static uint64_t restart_slot RT_KEEP; /* how far the restart under way has come */
uint8_t rt_core_stacks[FLEX_BOARD_CORES][GUARD_BYTES + CORE_STACK_BYTES] RT_KEEP __attribute__((aligned(4096)));
struct rt_core rt_cores[FLEX_BOARD_CORES] RT_KEEP;

#define HEX(c) ((c) >= 'a' ? (c) - 'a' + 10 : (c) - '0')
#define BYTE(i) (HEX(FLEX_BUILD_ID_HEX[2 * (i)]) << 4 | HEX(FLEX_BUILD_ID_HEX[2 * (i) + 1]))
const uint8_t rt_identity[16] = {
	BYTE(0), BYTE(1), BYTE(2),  BYTE(3),  BYTE(4),  BYTE(5),  BYTE(6),  BYTE(7),
	BYTE(8), BYTE(9), BYTE(10), BYTE(11), BYTE(12), BYTE(13), BYTE(14), BYTE(15),
};
_Static_assert(sizeof(FLEX_BUILD_ID_HEX) == 33, "FLEX_BUILD_ID_HEX has 32 digits");

/* First C code: MMU off, on core 0's stack, memory zeroed. */
void rt_early(void)
{
	for (unsigned int i = 0; i < FLEX_BOARD_CORES; i++)
		rt_cores[i].stack = (uint64_t)rt_core_stacks[i] + sizeof(rt_core_stacks[i]);
	rt_mmu_build();
}

static uint64_t big_endian(const uint8_t *byte)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < 8; i++)
		value = value << 8 | byte[i];
	return value;
}

/* MMU on, primary core: brings the service up. The boot ends here. */
__attribute__((noreturn)) void rt_boot(void)
{
	rt_core()->booting = 1;
	gate = 1UL << GATE_EPOCH_SHIFT;
	rt_service.init();
	rt_core()->booting = 0;
	rt_boot_done((uint64_t)&rt_vectors, big_endian(rt_identity), big_endian(rt_identity + 8), RT_DEBUG);
}

uint32_t rt_epoch(void)
{
	return (uint32_t)(__atomic_load_n(&gate, __ATOMIC_ACQUIRE) >> GATE_EPOCH_SHIFT);
}

bool rt_dying(void)
{
	return (__atomic_load_n(&gate, __ATOMIC_RELAXED) & GATE_DYING) != 0;
}

/*
 * Gives back every slot that the dead service held: pins first, which belonged to its threads alone, then the pages.
 * Nobody else is inside, so no pin can come. False when an interrupt waits: to be called again.
 */
static bool drop_all_slots(void)
{
	uint64_t *slots = rt_slot_words();

	while (restart_slot < FLEX_BOARD_SLOTS) {
		uint64_t left = FLEX_BOARD_SLOTS - restart_slot;
		uint64_t count = left < RESTART_CHUNK ? left : RESTART_CHUNK;
		struct rt_smc ret;

		for (uint64_t i = 0; i < count; i++)
			__atomic_fetch_and(&slots[restart_slot + i],
					   ~((uint64_t)FLEX_SLOT_PINS_MAX << FLEX_SLOT_PINS_SHIFT), __ATOMIC_ACQ_REL);
		ret = rt_smc(FLEX_MON_DROP, restart_slot, count, 0);
		if (ret.status == FLEX_OK)
			restart_slot += count;
		else if (ret.x1 < count)
			/* A slot that a recall has in its hands is being emptied anyway: past it. */
			restart_slot += ret.x1 + (ret.status != FLEX_E_INTERRUPTED);
		else
			restart_slot += count;
		if (rt_interrupt_pending())
			return false;
	}
	return true;
}

/* True when the service lives again. On the only core inside. */
static bool restart(void)
{
	if (!drop_all_slots())
		return false;
	restart_slot = 0;
	rt_window_reset();
	rt_service.release_regions();
	memset(__bss_start, 0, (size_t)(__bss_end - __bss_start));
	rt_service.init();
	return true;
}

int64_t rt_gate_enter(void)
{
	uint64_t seen = __atomic_load_n(&gate, __ATOMIC_ACQUIRE);

	do {
		if ((seen & GATE_DYING) && (seen & GATE_INSIDE))
			return FLEX_E_BUSY;
	} while (!__atomic_compare_exchange_n(&gate, &seen, seen + 1, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
	if (!(seen & GATE_DYING))
		return FLEX_OK;
	if (!restart()) {
		rt_gate_leave();
		return FLEX_E_BUSY;
	}
	/* Alive, with the next epoch and this core inside. */
	__atomic_store_n(&gate, ((uint64_t)(rt_epoch() + 1) << GATE_EPOCH_SHIFT) | 1, __ATOMIC_RELEASE);
	return FLEX_OK;
}

void rt_gate_leave(void)
{
	__atomic_fetch_sub(&gate, 1, __ATOMIC_ACQ_REL);
}

void rt_gate_die(void)
{
	__atomic_fetch_or(&gate, GATE_DYING, __ATOMIC_ACQ_REL);
}
