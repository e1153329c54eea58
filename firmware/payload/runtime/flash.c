/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The board's secure flash: two erase blocks of NOR behind the CFI's Intel command set, two 16-bit chips side by side
 * (JEDEC JESD68.01; Intel's "Common Flash Memory Interface" and its basic command set). Each command goes to both chips
 * at once, and both have to be ready.
 */
#include "mmu_bits.h"
#include "runtime.h"

#ifdef FLEX_BOARD_FLASH_BASE

#define BOTH(chip) ((chip) * 0x10001U)
#define COMMAND_READ BOTH(0xff)
#define COMMAND_CLEAR BOTH(0x50)
#define COMMAND_PROGRAM BOTH(0x40)
#define COMMAND_ERASE BOTH(0x20)
#define COMMAND_LOCKS BOTH(0x60)
#define COMMAND_CONFIRM BOTH(0xd0) /* erase; after COMMAND_LOCKS: unlock */
#define STATUS_READY BOTH(0x80)
#define STATUS_ERRORS BOTH(0x3a) /* erase, program, voltage, locked */
#define PROGRAM_TICKS (FLEX_BOARD_COUNTER_HZ / 10)
#define ERASE_TICKS (10ULL * FLEX_BOARD_COUNTER_HZ)

static volatile uint32_t *word_of(uint32_t block, uint32_t word)
{
	return (volatile uint32_t *)(FLEX_BOARD_FLASH_BASE + (uint64_t)block * FLEX_BOARD_FLASH_BLOCK) + word;
}

/* Waits until both chips are ready, and has them show their contents again. False: they report an error, or nothing. */
static bool finish(volatile uint32_t *at, uint64_t ticks)
{
	uint64_t start = rt_ticks();
	uint32_t status;
	bool late;

	do {
		/* In this order: a thread that was away for long between the two still sees what has come of it. */
		late = rt_ticks() - start > ticks;
		status = *at;
	} while ((status & STATUS_READY) != STATUS_READY && !late);
	*at = COMMAND_CLEAR;
	*at = COMMAND_READ;
	return (status & (STATUS_READY | STATUS_ERRORS)) == STATUS_READY;
}

/* Chips of this kind come up locked. */
static bool unlock(volatile uint32_t *at)
{
	*at = COMMAND_LOCKS;
	*at = COMMAND_CONFIRM;
	return finish(at, PROGRAM_TICKS);
}

void rt_flash_reset(void)
{
	for (uint32_t block = 0; block < RT_FLASH_BLOCKS; block++)
		*word_of(block, 0) = COMMAND_READ;
}

uint32_t rt_flash_read(uint32_t block, uint32_t word)
{
	return *word_of(block, word);
}

bool rt_flash_program(uint32_t block, uint32_t word, uint32_t value)
{
	volatile uint32_t *at = word_of(block, word);

	if (!unlock(at))
		return false;
	*at = COMMAND_PROGRAM;
	*at = value;
	return finish(at, PROGRAM_TICKS);
}

bool rt_flash_erase(uint32_t block)
{
	volatile uint32_t *at = word_of(block, 0);

	if (!unlock(at))
		return false;
	*at = COMMAND_ERASE;
	*at = COMMAND_CONFIRM;
	return finish(at, ERASE_TICKS);
}

#endif /* FLEX_BOARD_FLASH_BASE */
