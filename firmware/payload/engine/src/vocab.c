/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vocabulary: copied from the image into the arena and indexed. Input arrays are checked to lie in the image; what
 * they hold is not trusted.
 */
#include "internal.h"

#define MERGES_MAX (1u << 22)
#define SPECIALS_MAX 4096u /* each is looked for in the whole prompt */

/* FNV-1a, good enough: a hostile vocabulary can only slow down the owner's own tokenizer. */
static uint32_t hash_text(const uint8_t *text, uint32_t bytes)
{
	uint32_t hash = 2166136261u;

	for (uint32_t i = 0; i < bytes; i++)
		hash = (hash ^ text[i]) * 16777619u;
	return hash ^ hash >> 15;
}

static uint32_t hash_pair(uint32_t left, uint32_t right)
{
	uint32_t hash = (left * 0x9e3779b1u) ^ (right * 0x85ebca77u);

	hash ^= hash >> 15;
	return hash * 0x2c1b3c6du ^ hash >> 13;
}

/* A power of two that leaves at least a fifth of the table empty, so that every search ends. */
static uint32_t table_size(uint64_t entries)
{
	uint32_t size = 16;

	while (size < entries + entries / 4)
		size *= 2;
	return size;
}

/* Position in the index of this text, or of the empty place where it belongs. */
static uint32_t find_place(const struct flx_vocab *vocab, const uint8_t *text, uint32_t bytes)
{
	uint32_t place = hash_text(text, bytes) & vocab->index_mask;

	while (vocab->index[place] != 0) {
		uint32_t length;
		const uint8_t *known = flx_vocab_text(vocab, vocab->index[place] - 1, &length);

		if (length == bytes && memcmp(known, text, bytes) == 0)
			break;
		place = (place + 1) & vocab->index_mask;
	}
	return place;
}

int32_t flx_vocab_find(const struct flx_vocab *vocab, const uint8_t *text, uint32_t bytes)
{
	return (int32_t)vocab->index[find_place(vocab, text, bytes)] - 1;
}

static uint32_t find_merge_place(const struct flx_vocab *vocab, uint32_t left, uint32_t right)
{
	uint32_t place = hash_pair(left, right) & vocab->merge_mask;

	while (vocab->merge_index[place] != 0) {
		uint32_t rank = vocab->merge_index[place] - 1;

		if (vocab->merge_left[rank] == left && vocab->merge_right[rank] == right)
			break;
		place = (place + 1) & vocab->merge_mask;
	}
	return place;
}

int32_t flx_vocab_merge(const struct flx_vocab *vocab, uint32_t left, uint32_t right)
{
	return (int32_t)vocab->merge_index[find_merge_place(vocab, left, right)] - 1;
}

/* Element of an array of strings; moves on to the next. */
static const uint8_t *next_string(const uint8_t **at, uint32_t *bytes)
{
	const uint8_t *text = *at + 8;

	*bytes = (uint32_t)flx_u64(*at);
	*at = text + *bytes;
	return text;
}

/* Texts and index. Of two tokens with the same text the later one is found, as in llama.cpp. */
static void copy_texts(struct flx_vocab *vocab, const struct flx_strings *tokens, uint32_t *offset, uint8_t *text,
		       uint32_t *index)
{
	const uint8_t *at = tokens->at;
	uint32_t used = 0;

	memset(index, 0, ((uint64_t)vocab->index_mask + 1) * sizeof(*index));
	for (uint32_t i = 0; i < vocab->size; i++) {
		uint32_t bytes;
		const uint8_t *from = next_string(&at, &bytes);

		offset[i] = used;
		memcpy(text + used, from, bytes);
		used += bytes;
		offset[i + 1] = used;
		index[find_place(vocab, text + offset[i], bytes)] = i + 1;
	}
}

static void copy_types(struct flx_vocab *vocab, const struct flx_vocab_source *source, uint8_t *type, float *score)
{
	for (uint32_t i = 0; i < vocab->size; i++) {
		uint32_t given = source->types != NULL ? flx_u32(source->types + 4ull * i) : FLX_TOKEN_NORMAL;

		type[i] = given >= FLX_TOKEN_NORMAL && given <= FLX_TOKEN_BYTE ? (uint8_t)given : FLX_TOKEN_NORMAL;
		if (score != NULL)
			score[i] = flx_bits_float(flx_u32(source->scores + 4ull * i));
		/* a NaN would have no place in the order of merges */
		if (score != NULL && !(score[i] == score[i]))
			score[i] = -1e30f;
	}
}

static void find_byte_tokens(struct flx_vocab *vocab)
{
	static const char digit[] = "0123456789ABCDEF";

	for (uint32_t byte = 0; byte < 256; byte++) {
		uint8_t text[8] = "<0x00>";
		uint32_t bytes = 6;

		if (vocab->kind == FLX_TOKENIZER_SPM) {
			text[3] = (uint8_t)digit[byte >> 4];
			text[4] = (uint8_t)digit[byte & 15];
		} else {
			bytes = flx_utf8_put(text, flx_letter_of_byte((uint8_t)byte));
		}
		vocab->byte_token[byte] = flx_vocab_find(vocab, text, bytes);
	}
}

static int is_special(const struct flx_vocab *vocab, uint32_t token)
{
	uint32_t type = vocab->type[token];

	return vocab->offset[token + 1] > vocab->offset[token] &&
	       (type == FLX_TOKEN_CONTROL || type == FLX_TOKEN_USER || type == FLX_TOKEN_UNKNOWN);
}

static uint32_t text_bytes(const struct flx_vocab *vocab, uint32_t token)
{
	return vocab->offset[token + 1] - vocab->offset[token];
}

/* Whether token a is looked for after token b: shorter first, then the higher id. */
static int comes_after(const struct flx_vocab *vocab, uint32_t a, uint32_t b)
{
	uint32_t of_a = text_bytes(vocab, a), of_b = text_bytes(vocab, b);

	return of_a != of_b ? of_a < of_b : a > b;
}

static void sift(const struct flx_vocab *vocab, uint32_t *list, uint32_t root, uint32_t count)
{
	for (;;) {
		uint32_t child = 2 * root + 1, keep = list[root];

		if (child >= count)
			return;
		if (child + 1 < count && comes_after(vocab, list[child + 1], list[child]))
			child++;
		if (!comes_after(vocab, list[child], keep))
			return;
		list[root] = list[child];
		list[child] = keep;
		root = child;
	}
}

/* Heap sort: a hostile file may make every token special. */
static void list_specials(struct flx_vocab *vocab, uint32_t *list)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < vocab->size; i++) {
		if (is_special(vocab, i))
			list[count++] = i;
	}
	vocab->specials = count;
	for (uint32_t i = count / 2; i-- > 0;)
		sift(vocab, list, i, count);
	for (uint32_t end = count; end > 1; end--) {
		uint32_t last = list[end - 1];

		list[end - 1] = list[0];
		list[0] = last;
		sift(vocab, list, 0, end - 1);
	}
}

/* Splits "left right" at its first space after the first byte; the tokens and what they merge into must exist. */
static int read_merge(const struct flx_vocab *vocab, const uint8_t *text, uint32_t bytes, int32_t parts[3])
{
	uint8_t joined[512];
	uint32_t space = 1;

	while (space < bytes && text[space] != ' ')
		space++;
	if (space + 1 >= bytes || bytes > sizeof(joined))
		return -1;
	memcpy(joined, text, space);
	memcpy(joined + space, text + space + 1, bytes - space - 1);
	parts[0] = flx_vocab_find(vocab, text, space);
	parts[1] = flx_vocab_find(vocab, text + space + 1, bytes - space - 1);
	parts[2] = flx_vocab_find(vocab, joined, bytes - 1);
	return parts[0] < 0 || parts[1] < 0 || parts[2] < 0 ? -1 : 0;
}

static int copy_merges(struct flx_vocab *vocab, const struct flx_strings *merges, uint32_t *left, uint32_t *right,
		       uint32_t *result, uint32_t *index, struct flx_reason *reason)
{
	const uint8_t *at = merges->at;

	memset(index, 0, ((uint64_t)vocab->merge_mask + 1) * sizeof(*index));
	for (uint32_t i = 0; i < vocab->merges; i++) {
		int32_t parts[3];
		uint32_t bytes, place;
		const uint8_t *text = next_string(&at, &bytes);

		if (read_merge(vocab, text, bytes, parts) != 0)
			return flx_refuse(reason, "merge %u names tokens that are not in the vocabulary", (uint64_t)i);
		left[i] = (uint32_t)parts[0];
		right[i] = (uint32_t)parts[1];
		result[i] = (uint32_t)parts[2];
		place = find_merge_place(vocab, left[i], right[i]);
		if (index[place] == 0) /* the first of equals has the better rank */
			index[place] = i + 1;
	}
	return FLX_OK;
}

static int check_size(const struct flx_vocab_source *source, struct flx_reason *reason)
{
	if (source->tokens.text_bytes > 0x7fffffff || source->tokens.longest > 0xffff)
		return flx_refuse(reason, "the vocabulary's texts are too long");
	if (source->merges.count > MERGES_MAX)
		return flx_refuse(reason, "%u merges are more than %u", source->merges.count, (uint64_t)MERGES_MAX);
	return FLX_OK;
}

int flx_vocab_build(struct flx_vocab *vocab, const struct flx_vocab_source *source, struct flx_bump *bump,
		    struct flx_reason *reason)
{
	uint32_t index_size = table_size(vocab->size), merge_size = table_size(source->merges.count);
	uint32_t *offset, *index, *special, *left, *right, *result, *merge_index;
	uint8_t *text, *type;
	float *score = NULL;

	if (check_size(source, reason) != FLX_OK)
		return FLX_E_MODEL;
	offset = flx_take(bump, (uint64_t)vocab->size + 1, sizeof(*offset));
	text = flx_take(bump, source->tokens.text_bytes + 1, 1);
	if (source->scores != NULL)
		score = flx_take(bump, vocab->size, sizeof(*score));
	type = flx_take(bump, vocab->size, 1);
	index = flx_take(bump, index_size, sizeof(*index));
	special = flx_take(bump, vocab->size, sizeof(*special));
	left = flx_take(bump, source->merges.count, sizeof(*left));
	right = flx_take(bump, source->merges.count, sizeof(*right));
	result = flx_take(bump, source->merges.count, sizeof(*result));
	merge_index = flx_take(bump, merge_size, sizeof(*merge_index));
	if (bump->base == NULL)
		return FLX_OK;
	if (bump->full)
		return FLX_E_ARENA;

	vocab->longest = (uint32_t)source->tokens.longest;
	vocab->merges = (uint32_t)source->merges.count;
	vocab->index_mask = index_size - 1;
	vocab->merge_mask = merge_size - 1;
	vocab->offset = offset;
	vocab->text = text;
	vocab->score = score;
	vocab->type = type;
	vocab->index = index;
	vocab->special = special;
	vocab->merge_left = left;
	vocab->merge_right = right;
	vocab->merge_result = result;
	vocab->merge_index = merge_index;
	copy_texts(vocab, &source->tokens, offset, text, index);
	copy_types(vocab, source, type, score);
	find_byte_tokens(vocab);
	list_specials(vocab, special);
	if (vocab->specials > SPECIALS_MAX)
		return flx_refuse(reason, "%u special tokens are more than %u", (uint64_t)vocab->specials,
				  (uint64_t)SPECIALS_MAX);
	return copy_merges(vocab, &source->merges, left, right, result, merge_index, reason);
}
