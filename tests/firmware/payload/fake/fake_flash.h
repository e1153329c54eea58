/* SPDX-License-Identifier: BSD-3-Clause */
/* NOR flash in memory, whose power goes after a number of steps. */
#ifndef FAKE_FLASH_H
#define FAKE_FLASH_H

#include <stdbool.h>
#include <stdint.h>

/* As a medium that was never written: all zero. With power. */
void fake_flash_reset(void);

/* Power goes during this step from now on, the first is 0: it comes to half of what it was to do, later ones to nothing. */
void fake_flash_power_for(uint64_t steps);
void fake_flash_power_back(void);

/* Programmings and erasures so far. */
uint64_t fake_flash_steps(void);

/* Bits of a word that are 1 become 0. */
void fake_flash_wear(uint32_t block, uint32_t word, uint32_t bits);

#endif
