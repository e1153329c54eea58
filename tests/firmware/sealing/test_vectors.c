/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The cipher as we build and drive it, against published answers: AES-256-GCM, test cases 13, 14 and 16 of McGrew and
 * Viega, "The Galois/Counter Mode of Operation", as submitted to NIST. Then what sealing.h promises of refusals.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sealing.h"

#define CHECK(what) do { if (!(what)) { printf("%s:%d: %s\n", __FILE__, __LINE__, #what); exit(1); } } while (0)

struct vector {
	const char *key, *nonce, *bound, *plain, *cipher, *tag;
};

static const struct vector vectors[] = {
	{ .key = "0000000000000000000000000000000000000000000000000000000000000000",
	  .nonce = "000000000000000000000000", .bound = "", .plain = "", .cipher = "",
	  .tag = "530f8afbc74536b9a963b4f1c4cb738b" },
	{ .key = "0000000000000000000000000000000000000000000000000000000000000000",
	  .nonce = "000000000000000000000000", .bound = "", .plain = "00000000000000000000000000000000",
	  .cipher = "cea7403d4d606b6e074ec5d3baf39d18", .tag = "d0d1c8a799996bf0265b98b5d48ab919" },
	{ .key = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
	  .nonce = "cafebabefacedbaddecaf888", .bound = "feedfacedeadbeeffeedfacedeadbeefabaddad2",
	  .plain = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
		   "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
	  .cipher = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
		    "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
	  .tag = "76fc6ece0f4e1768cddf8853bb2d551b" },
};

static size_t unhex(uint8_t *out, const char *hex)
{
	size_t n = strlen(hex) / 2;

	for (size_t i = 0; i < n; i++)
		sscanf(hex + 2 * i, "%2hhx", &out[i]);
	return n;
}

static void published_answers_come_out(const struct vector *v)
{
	uint8_t key[32], nonce[12], bound[64], plain[64], data[64], tag[16];
	size_t bytes = unhex(plain, v->plain), bound_bytes = unhex(bound, v->bound);
	mbedtls_gcm_context gcm;

	unhex(key, v->key);
	unhex(nonce, v->nonce);
	unhex(tag, v->tag);
	CHECK(unhex(data, v->cipher) == bytes);
	mbedtls_gcm_init(&gcm);
	CHECK(mbedtls_gcm_setkey(&gcm, MBEDTLS_CIPHER_ID_AES, key, 256) == 0);
	CHECK(mbedtls_gcm_auth_decrypt(&gcm, bytes, nonce, 12, bound, bound_bytes, tag, 16, data, data) == 0);
	CHECK(memcmp(data, plain, bytes) == 0);
	unhex(data, v->cipher);
	tag[15] ^= 1;
	CHECK(mbedtls_gcm_auth_decrypt(&gcm, bytes, nonce, 12, bound, bound_bytes, tag, 16, data, data) != 0);
	mbedtls_gcm_free(&gcm);
}

/* A sealing of our own making: one chunk. */
static void seal_one(struct seal *seal, struct flex_sealed_entry *entry, uint8_t *chunk)
{
	struct flex_sealed_binding binding = { .version = 5, .index = 0 };
	uint8_t nonce[12] = { 0 };
	mbedtls_gcm_context gcm;

	*seal = (struct seal){ .bytes = 100, .chunks = 1, .first_page = 2, .version = 5, .key = { 1, 2, 3 } };
	*entry = (struct flex_sealed_entry){ .index = 0 };
	mbedtls_gcm_init(&gcm);
	CHECK(mbedtls_gcm_setkey(&gcm, MBEDTLS_CIPHER_ID_AES, seal->key, 256) == 0);
	CHECK(mbedtls_gcm_crypt_and_tag(&gcm, MBEDTLS_GCM_ENCRYPT, FLEX_SEALED_CHUNK, nonce, 12,
					(const uint8_t *)&binding, sizeof(binding), chunk, chunk, 16, entry->tag) == 0);
	mbedtls_gcm_free(&gcm);
}

static void a_refused_chunk_leaves_nothing_to_read(void)
{
	static uint8_t plain[FLEX_SEALED_CHUNK], chunk[FLEX_SEALED_CHUNK], zero[FLEX_SEALED_CHUNK];
	struct flex_sealed_entry entry;
	struct seal_cipher cipher;
	struct seal seal;

	memset(plain, 'w', sizeof(plain));
	memcpy(chunk, plain, sizeof(chunk));
	seal_one(&seal, &entry, chunk);
	seal_begin(&cipher, &seal);
	chunk[17] ^= 4;
	CHECK(seal_chunk(&cipher, 0, &entry, chunk) == FLEX_SEALED_E_TAMPERED);
	CHECK(memcmp(chunk, zero, sizeof(chunk)) == 0);

	memcpy(chunk, plain, sizeof(chunk));
	seal_one(&seal, &entry, chunk);
	CHECK(seal_chunk(&cipher, 1, &entry, chunk) == FLEX_SEALED_E_MOVED);
	CHECK(seal_chunk(&cipher, 0, &entry, chunk) == 0);
	CHECK(memcmp(chunk, plain, sizeof(chunk)) == 0);
	seal_end(&cipher);
}

static void another_version_does_not_open_a_chunk(void)
{
	static uint8_t chunk[FLEX_SEALED_CHUNK];
	struct flex_sealed_entry entry;
	struct seal_cipher cipher;
	struct seal seal;

	seal_one(&seal, &entry, chunk);
	seal.version = 6;
	seal_begin(&cipher, &seal);
	CHECK(seal_chunk(&cipher, 0, &entry, chunk) == FLEX_SEALED_E_TAMPERED);
	seal_end(&cipher);
}

static void a_header_that_is_refused_gives_no_key(void)
{
	static struct flex_sealed_header header;
	static const struct seal nothing;
	struct seal seal;

	memset(&seal, 0xff, sizeof(seal));
	CHECK(seal_open(&seal, &header, sizeof(header), &seal_test_board) == FLEX_SEALED_E_PLAIN);
	CHECK(memcmp(&seal, &nothing, sizeof(seal)) == 0);
	memcpy(header.magic, FLEX_SEALED_MAGIC, sizeof(header.magic));
	header.format = FLEX_SEALED_FORMAT;
	header.chunk_bytes = FLEX_SEALED_CHUNK;
	header.bytes = header.chunks = 1;
	memcpy(header.board_key, FLEX_SEALED_TEST_KEY_ID, sizeof(header.board_key));
	memset(&seal, 0xff, sizeof(seal));
	CHECK(seal_open(&seal, &header, 3 * FLEX_SEALED_CHUNK, &seal_test_board) == FLEX_SEALED_E_HEADER);
	CHECK(memcmp(&seal, &nothing, sizeof(seal)) == 0);
}

static void versions_below_the_minimum_are_refused(void)
{
	const struct seal seal = { .version = 5 };

	CHECK(seal_check_version(&seal, 0) == 0);
	CHECK(seal_check_version(&seal, 5) == 0);
	CHECK(seal_check_version(&seal, 6) == FLEX_SEALED_E_OLD);
	CHECK(seal_check_version(&seal, UINT64_MAX) == FLEX_SEALED_E_OLD);
}

static void every_refusal_has_a_reason(void)
{
	CHECK(seal_reason(0)[0] == 0 && seal_reason(-1)[0] == 0 && seal_reason(FLEX_SEALED_E_LOST + 1)[0] == 0);
	for (int why = FLEX_SEALED_E_PLAIN; why <= FLEX_SEALED_E_LOST; why++)
		CHECK(strlen(seal_reason(why)) > 10);
}

static void the_table_is_where_the_format_says(void)
{
	CHECK(seal_entry_page(0) == 1 && seal_entry_place(0) == 0);
	CHECK(seal_entry_page(127) == 1 && seal_entry_place(127) == 127);
	CHECK(seal_entry_page(128) == 2 && seal_entry_place(128) == 0);
}

int main(void)
{
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
		published_answers_come_out(&vectors[i]);
	a_refused_chunk_leaves_nothing_to_read();
	another_version_does_not_open_a_chunk();
	a_header_that_is_refused_gives_no_key();
	versions_below_the_minimum_are_refused();
	every_refusal_has_a_reason();
	the_table_is_where_the_format_says();
	printf("sealing: all passed\n");
	return 0;
}
