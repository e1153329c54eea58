/* SPDX-License-Identifier: BSD-3-Clause */
/* What the engine's own files share: refusals, unaligned reads, hashes, small mathematics. */
#ifndef FLX_INTERNAL_H
#define FLX_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#include <flx/engine.h>

/* The only library functions used; a compiler may call them on its own, too. */
void *memcpy(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);

/*
 * Writes why a file is refused and returns FLX_E_MODEL. Format: %s string, %u uint64_t, %q bytes (uint64_t length,
 * const uint8_t *) with everything but printable ASCII as '?'. What does not fit is cut.
 */
int flx_refuse(struct flx_reason *reason, const char *format, ...);

/* Little-endian reads of any alignment; the builtin becomes one load. Both of our machines are little-endian, and
 * big-endian files are refused. */
static inline uint16_t flx_u16(const void *at)
{
	uint16_t v;

	__builtin_memcpy(&v, at, sizeof(v));
	return v;
}

static inline uint32_t flx_u32(const void *at)
{
	uint32_t v;

	__builtin_memcpy(&v, at, sizeof(v));
	return v;
}

static inline uint64_t flx_u64(const void *at)
{
	uint64_t v;

	__builtin_memcpy(&v, at, sizeof(v));
	return v;
}

static inline float flx_bits_float(uint32_t bits)
{
	float v;

	__builtin_memcpy(&v, &bits, sizeof(v));
	return v;
}

static inline uint32_t flx_float_bits(float value)
{
	uint32_t v;

	__builtin_memcpy(&v, &value, sizeof(v));
	return v;
}

/*
 * IEEE half to single, exact for all but infinities and NaN, which become numbers above 65504: a multiplication by
 * 2^112 moves the exponent and makes subnormal halves normal. The vector kernels do the same four at a time.
 */
static inline float flx_half(uint16_t half)
{
	uint32_t sign = (uint32_t)(half & 0x8000) << 16;
	float magnitude = flx_bits_float((uint32_t)(half & 0x7fff) << 13) * 0x1p112f;

	return flx_bits_float(flx_float_bits(magnitude) | sign);
}

static inline uint64_t flx_align(uint64_t value, uint64_t to)
{
	return (value + to - 1) & ~(to - 1);
}

/* An arena handed out piece by piece. Without a base it only counts. */
struct flx_bump {
	uint8_t *base;
	uint64_t size, used;
	int full;
};

/* `count * size` bytes, aligned to FLX_ARENA_ALIGN, not zeroed; NULL if only counting or when it does not fit. The
 * caller has made sure that the product is below 2^62. */
void *flx_take(struct flx_bump *bump, uint64_t count, uint64_t size);

/* math.c: deterministic on every machine; double arithmetic only. Arguments are finite. */
double flx_exp2(double x);
double flx_log2(double x);            /* x > 0 */
void flx_sincos(double x, double *sine, double *cosine);

/* vocab.c */
struct flx_strings {
	const uint8_t *at;  /* first element of a GGUF array of strings, checked to lie in the image */
	uint64_t count;
	uint64_t text_bytes; /* of all elements together */
	uint64_t longest;
};

struct flx_vocab_source {
	struct flx_strings tokens, merges;
	const uint8_t *scores; /* float32 (tokens.count) or NULL */
	const uint8_t *types;  /* int32 (tokens.count) or NULL */
};

/* Builds `vocab` (kind, size and flags are set already) from checked arrays; FLX_OK, FLX_E_MODEL or FLX_E_ARENA. Only
 * counting: takes from the bump and touches nothing else. */
int flx_vocab_build(struct flx_vocab *vocab, const struct flx_vocab_source *source, struct flx_bump *bump,
		    struct flx_reason *reason);
/* Token with exactly this text, or -1. */
int32_t flx_vocab_find(const struct flx_vocab *vocab, const uint8_t *text, uint32_t bytes);
/* Rank of the merge of two tokens, or -1. */
int32_t flx_vocab_merge(const struct flx_vocab *vocab, uint32_t left, uint32_t right);

static inline const uint8_t *flx_vocab_text(const struct flx_vocab *vocab, uint32_t token, uint32_t *bytes)
{
	*bytes = vocab->offset[token + 1] - vocab->offset[token];
	return vocab->text + vocab->offset[token];
}

#define FLX_TOKEN_NORMAL 1
#define FLX_TOKEN_UNKNOWN 2
#define FLX_TOKEN_CONTROL 3
#define FLX_TOKEN_USER 4
#define FLX_TOKEN_UNUSED 5
#define FLX_TOKEN_BYTE 6

/* unicode.c */
#define FLX_CLASS_OTHER 0
#define FLX_CLASS_LETTER 1 /* \p{L} */
#define FLX_CLASS_NUMBER 2 /* \p{N} */
#define FLX_CLASS_SPACE 3  /* \s: the property White_Space */
unsigned int flx_class(uint32_t codepoint);
/* Decodes one code point of [at, end), at < end; its length in *bytes. 0xffffffff and length 1 if not UTF-8. */
uint32_t flx_utf8(const uint8_t *at, const uint8_t *end, uint32_t *bytes);
/* Writes a code point below 0x800, returns 1 or 2. */
uint32_t flx_utf8_put(uint8_t *to, uint32_t codepoint);
/* GPT-2's visible letter of a byte, and back (-1: not such a letter). */
uint32_t flx_letter_of_byte(uint8_t byte);
int flx_byte_of_letter(uint32_t codepoint);

#endif /* FLX_INTERNAL_H */
