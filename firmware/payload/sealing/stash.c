/* SPDX-License-Identifier: BSD-3-Clause */
#include "stash.h"

#include <mbedtls/sha256.h>
#include <string.h>

#define KEY_BITS (8 * FLEX_SEALED_KEY_BYTES)

/* What a chunk is bound to. */
struct binding {
	uint64_t number, positions, index;
};

/* Fails for nothing: SHA-256 in C has no errors. */
static void add(mbedtls_sha256_context *sha, const void *bytes, size_t count)
{
	mbedtls_sha256_update(sha, bytes, count);
}

void stash_draw_key(struct stash *stash, const struct seal_board *board, const struct stash_draw *draw,
		    const int32_t *ids)
{
	static const uint8_t counter[4] = { 0, 0, 0, 1 };
	uint64_t positions = stash->positions;
	mbedtls_sha256_context sha;

	mbedtls_sha256_init(&sha);
	mbedtls_sha256_starts(&sha, 0);
	add(&sha, counter, sizeof(counter));
	add(&sha, board->key, sizeof(board->key));
	add(&sha, draw, sizeof(*draw));
	add(&sha, &stash->number, sizeof(stash->number));
	add(&sha, &positions, sizeof(positions));
	add(&sha, ids, positions * sizeof(*ids));
	mbedtls_sha256_finish(&sha, stash->key);
	mbedtls_sha256_free(&sha);
}

/* Around the one use of a cipher: a key schedule costs little beside a chunk. */
static void begin(mbedtls_gcm_context *gcm, const struct stash *stash, uint64_t index, struct binding *binding,
		  uint8_t *nonce)
{
	*binding = (struct binding){ stash->number, stash->positions, index };
	memset(nonce, 0, FLEX_SEALED_NONCE_BYTES);
	memcpy(nonce, &index, sizeof(index));
	mbedtls_gcm_init(gcm);
	/* Fails for no key of this length. */
	mbedtls_gcm_setkey(gcm, MBEDTLS_CIPHER_ID_AES, stash->key, KEY_BITS);
}

void stash_close(const struct stash *stash, uint64_t index, uint8_t *chunk)
{
	uint8_t nonce[FLEX_SEALED_NONCE_BYTES];
	struct binding binding;
	mbedtls_gcm_context gcm;

	begin(&gcm, stash, index, &binding, nonce);
	mbedtls_gcm_crypt_and_tag(&gcm, MBEDTLS_GCM_ENCRYPT, STASH_DATA, nonce, sizeof(nonce), (const uint8_t *)&binding,
				  sizeof(binding), chunk, chunk, FLEX_SEALED_TAG_BYTES, chunk + STASH_DATA);
	mbedtls_gcm_free(&gcm);
}

bool stash_open(const struct stash *stash, uint64_t index, uint8_t *chunk)
{
	uint8_t nonce[FLEX_SEALED_NONCE_BYTES];
	struct binding binding;
	mbedtls_gcm_context gcm;
	int error;

	begin(&gcm, stash, index, &binding, nonce);
	error = mbedtls_gcm_auth_decrypt(&gcm, STASH_DATA, nonce, sizeof(nonce), (const uint8_t *)&binding,
					 sizeof(binding), chunk + STASH_DATA, FLEX_SEALED_TAG_BYTES, chunk, chunk);
	mbedtls_gcm_free(&gcm);
	return !error;
}
