/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Minimum versions: the least version of each model that a board still takes, kept in flash that the normal world cannot
 * reach. It only ever rises.
 *
 * Two erase blocks hold a log each, of records of 32 bytes that are only ever appended. A block counts once its first
 * record, the head, is there; of two that count the one with the higher generation does. A full log is written again,
 * one record a model, into the other block, whose head comes last; then it is erased. So at every moment, power may go: a
 * record that was not finished fails its check and is passed over, a block that was not finished has no head.
 *
 * Without a head no record counts, and a log is empty only where no first record was ever written. Anything else is
 * damage, and what was kept is lost: every model is refused until somebody at the board clears the flash (flexkit flash
 * --region versions), which he does knowing that old versions are taken again.
 *
 * Flash is NOR: erasing makes all bits of a block 1, programming a word makes bits 0. One thread at a time.
 */
#ifndef VERSIONS_H
#define VERSIONS_H

#include "sealing.h"

#define VERSIONS_BLOCKS 2

/* The flash, by words of 32 bits. program() and erase() are false when the flash says that it could not. */
struct versions_flash {
	uint32_t words; /* in a block */
	uint32_t (*read)(uint32_t block, uint32_t word);
	bool (*program)(uint32_t block, uint32_t word, uint32_t value);
	bool (*erase)(uint32_t block);
};

/*
 * Takes note of the version of a model whose header is open. 0; FLEX_SEALED_E_OLD: the board has seen a newer one;
 * FLEX_SEALED_E_STORE: it is newer than what is kept, and that could not be written; FLEX_SEALED_E_LOST: what was kept
 * cannot be read. The lowest version there is, 1, needs no record. Takes as long as erasing a block, at the worst.
 */
int versions_admit(const struct versions_flash *flash, const struct seal *seal);

#endif /* VERSIONS_H */
