/* SPDX-License-Identifier: BSD-3-Clause */
/* A tiny GGUF in memory, and memory that is readable only while it is pinned. */
#ifndef TEST_MODEL_H
#define TEST_MODEL_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <flx/engine.h>

#define CHECK(condition)                                                                    \
	do {                                                                                \
		if (!(condition)) {                                                         \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);     \
			abort();                                                            \
		}                                                                           \
	} while (0)

/* xorshift64*: the same numbers for the same seed everywhere. */
static inline uint64_t draw(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dull;
}

/* Writes a valid model (2 layers of 32, Q8_0 and F32, SPM or BPE) and returns its length; *metadata is the length of what
 * comes before the weights. */
uint64_t model_write(uint8_t *to, uint64_t room, uint32_t kind, uint64_t *metadata);

/* A copy of an image in pages of their own that cannot be read (under the address sanitizer) but while pinned. */
struct guarded {
	uint8_t *image;
	uint64_t bytes, pages;
	uint32_t *pins;    /* of each page */
	uint64_t pinned;   /* sum of them */
	uint64_t refuse_at; /* the pin call of this number fails; 0: none */
	uint64_t calls;
	struct flx_host host;
};

void guard(struct guarded *g, const uint8_t *image, uint64_t bytes);
void unguard(struct guarded *g);

/* Loads, tokenises, computes some tokens. Returns the first error (or FLX_OK) and checks what must hold either way. */
int exercise(struct guarded *g, struct flx_reason *reason);

#endif /* TEST_MODEL_H */
