/* SPDX-License-Identifier: BSD-3-Clause */
#include <stddef.h>

#include "fake.h"
#include "fake_seal.h"
#include "sealing.h"

uint64_t fake_sealed_pages(uint64_t pages)
{
	return seal_entry_page(pages - 1) + 1 + pages;
}

static void encrypt(const uint8_t *key, const uint8_t *nonce, const void *bound, size_t bound_bytes, uint8_t *data,
		    size_t bytes, uint8_t *tag)
{
	mbedtls_gcm_context gcm;

	mbedtls_gcm_init(&gcm);
	EQUAL(mbedtls_gcm_setkey(&gcm, MBEDTLS_CIPHER_ID_AES, key, 256), 0);
	EQUAL(mbedtls_gcm_crypt_and_tag(&gcm, MBEDTLS_GCM_ENCRYPT, bytes, nonce, 12, bound, bound_bytes, data, data, 16,
					tag), 0);
	mbedtls_gcm_free(&gcm);
}

static void seal_header(struct flex_sealed_header *header, const uint8_t *key, uint64_t pages, uint64_t version,
			const char *sealing)
{
	*header = (struct flex_sealed_header){ .format = FLEX_SEALED_FORMAT, .chunk_bytes = FLEX_SEALED_CHUNK,
					       .bytes = pages * FLEX_SEALED_CHUNK, .chunks = pages, .version = version,
					       .model = "a fake model" };
	memcpy(header->magic, FLEX_SEALED_MAGIC, sizeof(header->magic));
	memcpy(header->sealing, sealing, sizeof(header->sealing));
	memcpy(header->board_key, FLEX_SEALED_TEST_KEY_ID, sizeof(header->board_key));
	memcpy(header->key, key, sizeof(header->key));
	encrypt(seal_test_board.key, header->nonce, header, offsetof(struct flex_sealed_header, nonce), header->key,
		sizeof(header->key), header->tag);
}

void fake_seal(uint8_t *file, const uint8_t *plain, uint64_t pages, uint64_t version, const char *sealing)
{
	uint8_t key[FLEX_SEALED_KEY_BYTES] = { 0 }, *data = file + (fake_sealed_pages(pages) - pages) * FLEX_SEALED_CHUNK;
	struct flex_sealed_binding binding = { .model = "a fake model", .version = version };

	memcpy(key, sealing, FLEX_SEALED_SEALING_BYTES);
	memset(file, 0, fake_sealed_pages(pages) * FLEX_SEALED_CHUNK);
	seal_header((struct flex_sealed_header *)file, key, pages, version, sealing);
	memcpy(data, plain, pages * FLEX_SEALED_CHUNK);
	for (uint64_t index = 0; index < pages; index++) {
		struct flex_sealed_entry *entry =
			(struct flex_sealed_entry *)(file + seal_entry_page(index) * FLEX_SEALED_CHUNK) +
			seal_entry_place(index);
		uint8_t nonce[FLEX_SEALED_NONCE_BYTES] = { 0 };

		memcpy(nonce, &index, sizeof(index));
		binding.index = entry->index = index;
		memcpy(entry->sealing, sealing, sizeof(entry->sealing));
		encrypt(key, nonce, &binding, sizeof(binding), data + index * FLEX_SEALED_CHUNK, FLEX_SEALED_CHUNK,
			entry->tag);
	}
}
