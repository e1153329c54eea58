/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Opening sealed models (flexkit/sealed.h is the format). Pure functions of what they are given: no allocation, no lock,
 * no state of their own; the cipher is Mbed TLS's. Everything read here must lie in memory that the normal world can
 * neither write nor take away meanwhile: SECURE pages, pinned.
 *
 * Runs on any thread that may use SIMD registers. Stack: 2 KiB below the caller.
 */
#ifndef SEALING_H
#define SEALING_H

#include <flexkit/sealed.h>
#include <mbedtls/gcm.h>
#include <stdbool.h>
#include <stdint.h>

/* What the board has to open models with. */
struct seal_board {
	uint8_t key[FLEX_SEALED_KEY_BYTES];
	uint8_t key_id[FLEX_SEALED_KEY_ID_BYTES];
};

/* An opened header: what every chunk of the model needs. Holds the key: keep it in secure memory, wipe it at the end. */
struct seal {
	uint64_t bytes;      /* of the GGUF */
	uint64_t chunks;
	uint64_t first_page; /* of the file: where chunk 0 lies */
	uint64_t version;
	uint8_t model[FLEX_SEALED_MODEL_BYTES];
	uint8_t sealing[FLEX_SEALED_SEALING_BYTES];
	uint8_t key[FLEX_SEALED_KEY_BYTES];
};

/* A cipher ready for chunks of one model; one thread's alone, on its stack. */
struct seal_cipher {
	const struct seal *seal;
	mbedtls_gcm_context gcm;
};

/* The board's key in this build: the published test key. */
extern const struct seal_board seal_test_board;

/*
 * Checks a header and takes the model's key out of it. `file_bytes`: size of the file.
 * 0, or FLEX_SEALED_E_*: `seal` is all zero then.
 */
int seal_open(struct seal *seal, const struct flex_sealed_header *header, uint64_t file_bytes,
	      const struct seal_board *board);

/* FLEX_SEALED_E_OLD for a version below `minimum`, the least that the board still takes of this model; else 0. */
int seal_check_version(const struct seal *seal, uint64_t minimum);

/* Where the entry of a chunk stands in the table: its page in the file, and its place in that page. */
uint64_t seal_entry_page(uint64_t index);
uint64_t seal_entry_place(uint64_t index);

/* Prepares a cipher; seal_end() wipes it. `seal` must stay until then. */
void seal_begin(struct seal_cipher *cipher, const struct seal *seal);
void seal_end(struct seal_cipher *cipher);

/*
 * Decrypts chunk `index` (below seal->chunks) in place. 0: `chunk` holds authenticated plaintext. FLEX_SEALED_E_*: it
 * was refused, and `chunk` holds nothing but zeroes or what was there before.
 */
int seal_chunk(struct seal_cipher *cipher, uint64_t index, const struct flex_sealed_entry *entry, uint8_t *chunk);

/* Why, for people; never NULL. */
const char *seal_reason(int error);

/* Zeroes that the compiler cannot leave out. */
void seal_wipe(void *memory, size_t bytes);

#endif /* SEALING_H */
