/* SPDX-License-Identifier: BSD-3-Clause */
#include "fake.h"
#include "fake_flash.h"

#define WORDS (FLEX_BOARD_FLASH_BLOCK / 4)

static uint32_t flash[RT_FLASH_BLOCKS][WORDS];
static uint64_t steps, power;

void fake_flash_reset(void)
{
	memset(flash, 0, sizeof(flash));
	steps = 0;
	power = UINT64_MAX;
}

void fake_flash_power_for(uint64_t count)
{
	power = steps + count;
}

void fake_flash_power_back(void)
{
	power = UINT64_MAX;
}

uint64_t fake_flash_steps(void)
{
	return steps;
}

void fake_flash_wear(uint32_t block, uint32_t word, uint32_t bits)
{
	flash[block][word] &= ~bits;
}

void rt_flash_reset(void)
{
}

uint32_t rt_flash_read(uint32_t block, uint32_t word)
{
	CHECK(block < RT_FLASH_BLOCKS && word < WORDS);
	return flash[block][word];
}

bool rt_flash_program(uint32_t block, uint32_t word, uint32_t value)
{
	CHECK(block < RT_FLASH_BLOCKS && word < WORDS);
	if (steps < power)
		flash[block][word] &= value;
	else if (steps == power)
		flash[block][word] &= value | 0x0f0f0f0f;
	return steps++ < power;
}

bool rt_flash_erase(uint32_t block)
{
	CHECK(block < RT_FLASH_BLOCKS);
	if (steps < power)
		memset(flash[block], 0xff, sizeof(flash[block]));
	else if (steps == power)
		memset(flash[block], 0xff, sizeof(flash[block]) / 2);
	return steps++ < power;
}
