/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stashes: what a session has computed, encrypted for the normal world to keep. Chunk by chunk, AES-256-GCM, each with
 * its tag behind it.
 *
 * Every stash has a key of its own, which never leaves secure memory: that alone makes an older one, another session's,
 * or one of another boot worthless. A chunk's nonce is its number and its place is bound to it, so under a key no nonce
 * comes twice, and chunks cannot change places.
 *
 * The key is derived (NIST SP 800-56C, one step, SHA-256) from the board's and the model's, from random numbers where the
 * core has them, from time and a count of stashes since the boot, and from all that the contents follow from: the model
 * and the tokens. So on a core without random numbers, where a boot may be like another to the tick, the same key still
 * means the same contents, and nobody learns more from the second stash than from the first.
 */
#ifndef STASH_H
#define STASH_H

#include "sealing.h"

#define STASH_CHUNK 0x8000
#define STASH_DATA (STASH_CHUNK - FLEX_SEALED_TAG_BYTES) /* of a chunk */

struct stash {
	uint64_t number;    /* since the boot, from 1; 0: there is none */
	uint32_t positions; /* whose KV cache is in it */
	uint8_t key[FLEX_SEALED_KEY_BYTES];
};

/* What a key is drawn from, beside the tokens. No padding. */
struct stash_draw {
	uint64_t random[4];
	uint64_t ticks;
	uint64_t session;
	uint8_t model[FLEX_SEALED_KEY_BYTES]; /* its key */
};

/* Makes `stash`, whose number and positions are set, one with a key: of the first `positions` of `ids`. */
void stash_draw_key(struct stash *stash, const struct seal_board *board, const struct stash_draw *draw,
		    const int32_t *ids);

/*
 * Encrypts STASH_DATA bytes at `chunk` in place, the tag behind them; decrypts them again: false if they are not what
 * was encrypted as chunk `index` of this stash, and they are zeroes then. `chunk` is secure memory.
 */
void stash_close(const struct stash *stash, uint64_t index, uint8_t *chunk);
bool stash_open(const struct stash *stash, uint64_t index, uint8_t *chunk);

#endif /* STASH_H */
