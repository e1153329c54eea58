/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sealed models: how a GGUF lies at rest, and how the payload takes it. This header is the format; host, payload and
 * tests have no other.
 *
 *   page 0                  struct flex_sealed_header
 *   pages 1..t              struct flex_sealed_entry for each chunk, FLEX_SEALED_ENTRIES a page, zeroes behind the last
 *   pages t + 1..t + n      the n chunks: the GGUF, zeroes behind its end, encrypted; tensors in layer order
 *
 * A chunk is one page. Linux takes single pages back and brings single pages again, so a page has to be authenticated by
 * itself; a larger chunk would be read again whole for the one page that went. Tags stand in front, so chunks are
 * page-aligned in the file, in the pages that Linux reads them into, and in memory, and are decrypted in place.
 *
 * Cipher: AES-256-GCM, 16-byte tags. All numbers are little-endian.
 *   key    32 random bytes for each sealing: never used for another file, nor for the same one sealed again.
 *   chunk  nonce = index (8 bytes), then 4 zero bytes; each index is encrypted once under its key, so no nonce comes
 *          twice. Associated data: struct flex_sealed_binding, which ties a chunk to model, version and place.
 *   wrap   the key, under the board's key, with a random nonce (at most 2^32 sealings under one board key). Associated
 *          data: the header up to the nonce, so that opening the key also authenticates every fact in the header.
 *
 * What an entry says of its chunk (sealing, index) has to be right and proves nothing: it is there so that a chunk that
 * was moved is told from one that was damaged. Only the cipher accepts a chunk.
 *
 * Order of opening: size, magic, format, numbers, board key (FOREIGN), key (HEADER), version (OLD); then chunks, each
 * only after its page is SECURE and pinned, and nothing computes on a page that has not been accepted.
 */
#ifndef FLEXKIT_SEALED_H
#define FLEXKIT_SEALED_H

#include <stdint.h>

#define FLEX_SEALED_MAGIC "FLEXSEAL"
#define FLEX_SEALED_FORMAT 1
#define FLEX_SEALED_CHUNK 4096
#define FLEX_SEALED_ENTRIES 128 /* in a page */
#define FLEX_SEALED_MODEL_BYTES 16
#define FLEX_SEALED_SEALING_BYTES 8
#define FLEX_SEALED_KEY_BYTES 32
#define FLEX_SEALED_KEY_ID_BYTES 16
#define FLEX_SEALED_NONCE_BYTES 12
#define FLEX_SEALED_TAG_BYTES 16
#define FLEX_SEALED_NAME_BYTES 64
#define FLEX_SEALED_BARE_BYTES 3892

struct flex_sealed_header {
	unsigned char magic[8];                             /* FLEX_SEALED_MAGIC */
	uint32_t format;                                    /* FLEX_SEALED_FORMAT */
	uint32_t chunk_bytes;                               /* FLEX_SEALED_CHUNK */
	uint64_t bytes;                                     /* of the GGUF, above 0 */
	uint64_t chunks;                                    /* bytes / FLEX_SEALED_CHUNK, rounded up */
	uint64_t version;                                   /* of the model, from 1; less than it has seen a board refuses */
	unsigned char model[FLEX_SEALED_MODEL_BYTES];       /* which model this is a version of */
	unsigned char sealing[FLEX_SEALED_SEALING_BYTES];   /* random: this sealing of it */
	unsigned char board_key[FLEX_SEALED_KEY_ID_BYTES];  /* name of the key that the model's key is wrapped under */
	char name[FLEX_SEALED_NAME_BYTES];                  /* for people: printable ASCII, zero-terminated */
	unsigned char bare[FLEX_SEALED_BARE_BYTES];         /* zero */
	unsigned char nonce[FLEX_SEALED_NONCE_BYTES];       /* of the wrap; all before it is associated data */
	unsigned char key[FLEX_SEALED_KEY_BYTES];           /* wrapped */
	unsigned char tag[FLEX_SEALED_TAG_BYTES];
};

struct flex_sealed_entry {
	uint64_t index;
	unsigned char sealing[FLEX_SEALED_SEALING_BYTES];
	unsigned char tag[FLEX_SEALED_TAG_BYTES];
};

struct flex_sealed_binding {
	unsigned char model[FLEX_SEALED_MODEL_BYTES];
	uint64_t version;
	uint64_t index;
};

/*
 * The board's key. No board of this build has a root of trust that we may use, the emulated one least of all: this key
 * is published here, protects nothing, and says so in every report.
 */
#define FLEX_SEALED_TEST_KEY "FlexKit test root key, no secret"
#define FLEX_SEALED_TEST_KEY_ID "flexkit-test-key"

/* Why a sealed model, or a chunk of it, is refused; 0 is accepted. The texts are what people get to read. */
#define FLEX_SEALED_E_PLAIN 1
#define FLEX_SEALED_E_PLAIN_TEXT "the model is not sealed"
#define FLEX_SEALED_E_FORMAT 2
#define FLEX_SEALED_E_FORMAT_TEXT "the sealed model's header makes no sense"
#define FLEX_SEALED_E_CUT 3
#define FLEX_SEALED_E_CUT_TEXT "the sealed model is cut: its size is not what its header says"
#define FLEX_SEALED_E_FOREIGN 4
#define FLEX_SEALED_E_FOREIGN_TEXT "the model is sealed for another board"
#define FLEX_SEALED_E_HEADER 5
#define FLEX_SEALED_E_HEADER_TEXT "the sealed model's header is forged or damaged"
#define FLEX_SEALED_E_OLD 6
#define FLEX_SEALED_E_OLD_TEXT "the sealed model is rolled back: this board has seen a newer version"
#define FLEX_SEALED_E_MOVED 7
#define FLEX_SEALED_E_MOVED_TEXT "chunks of the sealed model are reordered"
#define FLEX_SEALED_E_SWAPPED 8
#define FLEX_SEALED_E_SWAPPED_TEXT "the sealed model has chunks of another one"
#define FLEX_SEALED_E_TAMPERED 9
#define FLEX_SEALED_E_TAMPERED_TEXT "the sealed model has been tampered with"
#define FLEX_SEALED_E_STORE 10 /* the board's own trouble: nothing is wrong with the file */
#define FLEX_SEALED_E_STORE_TEXT "the board cannot keep the model's version: its secure flash is full or fails"
#define FLEX_SEALED_E_LOST 11 /* so is this */
#define FLEX_SEALED_E_LOST_TEXT "the board's secure flash is damaged: minimum versions are lost; clear it: flexkit flash --region versions"

#endif /* FLEXKIT_SEALED_H */
