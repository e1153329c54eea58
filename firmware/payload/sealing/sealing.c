/* SPDX-License-Identifier: BSD-3-Clause */
/* Headers and chunks of sealed models. Check, then use: no number of a header is believed before the key has opened. */
#include "sealing.h"

#include <mbedtls/platform_util.h>
#include <stddef.h>
#include <string.h>

#define KEY_BITS (8 * FLEX_SEALED_KEY_BYTES)

_Static_assert(sizeof(struct flex_sealed_header) == FLEX_SEALED_CHUNK, "a header is a page");
_Static_assert(offsetof(struct flex_sealed_header, tag) == FLEX_SEALED_CHUNK - FLEX_SEALED_TAG_BYTES, "no padding");
_Static_assert(sizeof(struct flex_sealed_entry) * FLEX_SEALED_ENTRIES == FLEX_SEALED_CHUNK, "entries fill a page");
_Static_assert(sizeof(struct flex_sealed_binding) == 32, "no padding");
_Static_assert(sizeof(FLEX_SEALED_TEST_KEY) == FLEX_SEALED_KEY_BYTES + 1, "the key has its length");
_Static_assert(sizeof(FLEX_SEALED_TEST_KEY_ID) == FLEX_SEALED_KEY_ID_BYTES + 1, "the key's name has its length");

/* Initialised without their terminating zeroes. */
const struct seal_board seal_test_board = { .key = FLEX_SEALED_TEST_KEY, .key_id = FLEX_SEALED_TEST_KEY_ID };

void seal_wipe(void *memory, size_t bytes)
{
	mbedtls_platform_zeroize(memory, bytes);
}

uint64_t seal_entry_page(uint64_t index)
{
	return 1 + index / FLEX_SEALED_ENTRIES;
}

uint64_t seal_entry_place(uint64_t index)
{
	return index % FLEX_SEALED_ENTRIES;
}

/* What can be said of a header before its key is tried. */
static int check_facts(const struct flex_sealed_header *header, uint64_t file_bytes, const struct seal_board *board)
{
	uint64_t chunks = header->chunks, first_page;

	if (memcmp(header->magic, FLEX_SEALED_MAGIC, sizeof(header->magic)) != 0)
		return FLEX_SEALED_E_PLAIN;
	if (header->format != FLEX_SEALED_FORMAT || header->chunk_bytes != FLEX_SEALED_CHUNK || chunks == 0 ||
	    header->bytes == 0 || chunks != (header->bytes - 1) / FLEX_SEALED_CHUNK + 1)
		return FLEX_SEALED_E_FORMAT;
	first_page = seal_entry_page(chunks - 1) + 1;
	if (file_bytes / FLEX_SEALED_CHUNK != first_page + chunks || file_bytes % FLEX_SEALED_CHUNK != 0)
		return FLEX_SEALED_E_CUT;
	if (memcmp(header->board_key, board->key_id, sizeof(header->board_key)) != 0)
		return FLEX_SEALED_E_FOREIGN;
	return 0;
}

/* Takes the model's key out of the header, which thereby is what its maker wrote. False: it is not. */
static bool unwrap(uint8_t key[FLEX_SEALED_KEY_BYTES], const struct flex_sealed_header *header,
		   const struct seal_board *board)
{
	mbedtls_gcm_context gcm;
	int error;

	mbedtls_gcm_init(&gcm);
	error = mbedtls_gcm_setkey(&gcm, MBEDTLS_CIPHER_ID_AES, board->key, KEY_BITS);
	if (!error)
		error = mbedtls_gcm_auth_decrypt(&gcm, FLEX_SEALED_KEY_BYTES, header->nonce, sizeof(header->nonce),
						 (const uint8_t *)header, offsetof(struct flex_sealed_header, nonce),
						 header->tag, sizeof(header->tag), header->key, key);
	mbedtls_gcm_free(&gcm);
	return !error;
}

int seal_open(struct seal *seal, const struct flex_sealed_header *header, uint64_t file_bytes,
	      const struct seal_board *board)
{
	int error = check_facts(header, file_bytes, board);

	memset(seal, 0, sizeof(*seal));
	if (error)
		return error;
	if (!unwrap(seal->key, header, board)) {
		seal_wipe(seal, sizeof(*seal));
		return FLEX_SEALED_E_HEADER;
	}
	seal->bytes = header->bytes;
	seal->chunks = header->chunks;
	seal->first_page = seal_entry_page(header->chunks - 1) + 1;
	seal->version = header->version;
	memcpy(seal->model, header->model, sizeof(seal->model));
	memcpy(seal->sealing, header->sealing, sizeof(seal->sealing));
	return 0;
}

int seal_check_version(const struct seal *seal, uint64_t minimum)
{
	return seal->version < minimum ? FLEX_SEALED_E_OLD : 0;
}

void seal_begin(struct seal_cipher *cipher, const struct seal *seal)
{
	cipher->seal = seal;
	mbedtls_gcm_init(&cipher->gcm);
	/* Fails for no key of this length; were it to, every chunk would be refused. */
	mbedtls_gcm_setkey(&cipher->gcm, MBEDTLS_CIPHER_ID_AES, seal->key, KEY_BITS);
}

void seal_end(struct seal_cipher *cipher)
{
	mbedtls_gcm_free(&cipher->gcm);
	cipher->seal = NULL;
}

/* What an entry says of its chunk has to be right; it proves nothing. */
static int check_entry(const struct seal *seal, uint64_t index, const struct flex_sealed_entry *entry)
{
	if (memcmp(entry->sealing, seal->sealing, sizeof(entry->sealing)) != 0)
		return FLEX_SEALED_E_SWAPPED;
	return entry->index != index ? FLEX_SEALED_E_MOVED : 0;
}

int seal_chunk(struct seal_cipher *cipher, uint64_t index, const struct flex_sealed_entry *entry, uint8_t *chunk)
{
	const struct seal *seal = cipher->seal;
	struct flex_sealed_binding binding = { .version = seal->version, .index = index };
	uint8_t nonce[FLEX_SEALED_NONCE_BYTES] = { 0 };
	int error = check_entry(seal, index, entry);

	if (error)
		return error;
	memcpy(binding.model, seal->model, sizeof(binding.model));
	memcpy(nonce, &index, sizeof(index));
	error = mbedtls_gcm_auth_decrypt(&cipher->gcm, FLEX_SEALED_CHUNK, nonce, sizeof(nonce),
					 (const uint8_t *)&binding, sizeof(binding), entry->tag, sizeof(entry->tag),
					 chunk, chunk);
	return error ? FLEX_SEALED_E_TAMPERED : 0;
}

const char *seal_reason(int error)
{
	static const char *const reasons[] = {
		[FLEX_SEALED_E_PLAIN] = FLEX_SEALED_E_PLAIN_TEXT,
		[FLEX_SEALED_E_FORMAT] = FLEX_SEALED_E_FORMAT_TEXT,
		[FLEX_SEALED_E_CUT] = FLEX_SEALED_E_CUT_TEXT,
		[FLEX_SEALED_E_FOREIGN] = FLEX_SEALED_E_FOREIGN_TEXT,
		[FLEX_SEALED_E_HEADER] = FLEX_SEALED_E_HEADER_TEXT,
		[FLEX_SEALED_E_OLD] = FLEX_SEALED_E_OLD_TEXT,
		[FLEX_SEALED_E_MOVED] = FLEX_SEALED_E_MOVED_TEXT,
		[FLEX_SEALED_E_SWAPPED] = FLEX_SEALED_E_SWAPPED_TEXT,
		[FLEX_SEALED_E_TAMPERED] = FLEX_SEALED_E_TAMPERED_TEXT,
		[FLEX_SEALED_E_STORE] = FLEX_SEALED_E_STORE_TEXT,
		[FLEX_SEALED_E_LOST] = FLEX_SEALED_E_LOST_TEXT,
	};

	if (error <= 0 || (size_t)error >= sizeof(reasons) / sizeof(reasons[0]))
		return "";
	return reasons[error];
}
