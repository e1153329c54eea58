/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Text to tokens and back.
 *
 * Both tokenizers merge the best adjacent pair until none is left: SentencePiece by the score of the merged token over
 * the whole text, BPE by the rank of the merge inside each word that the pre-splitter finds. Ties go to the left. One
 * heap does both: a key of 64 bits, best first, is the pair's order in the upper half and its place in the lower.
 */
#include "internal.h"

/* A piece of the text that is a token, or (id -1) one character that is none. */
struct symbol {
	uint32_t start, bytes; /* in the work text; bytes is 0 once merged into its left neighbour */
	int32_t previous, next;
	int32_t id;
};

struct pair {
	uint64_t key;
	uint32_t right;  /* symbol; the left one is the key's lower half */
	uint32_t bytes;  /* of both together: another length means that one of them has changed */
	int32_t id;      /* what they become */
};

struct work {
	const struct flx_vocab *vocab;
	uint8_t *text;   /* escaped piece (SPM), or a word in GPT-2's letters (BPE) */
	struct symbol *symbol;
	struct pair *heap;
	uint32_t symbols, pairs;
	int32_t *ids;
	uint64_t count, max;
	int error;
};

/* An escaped byte takes at most 3 bytes, plus one escaped space in front. Each merge takes one pair off the heap and
 * adds at most two, so it never holds more than twice as many as there are symbols. */
static uint64_t text_room(uint64_t bytes)
{
	return flx_align(3 * bytes + 3, FLX_ARENA_ALIGN);
}

uint64_t flx_scratch_bytes(const struct flx_model *model, uint64_t text_bytes)
{
	(void)model;
	if (text_bytes > (1ull << 28))
		return UINT64_MAX;
	return text_room(text_bytes) + flx_align((text_bytes + 1) * sizeof(struct symbol), FLX_ARENA_ALIGN) +
	       (text_bytes + 1) * 2 * sizeof(struct pair) + text_bytes * sizeof(uint32_t);
}

static void emit(struct work *w, int32_t id)
{
	if (w->count >= w->max)
		w->error = FLX_E_PROMPT;
	else
		w->ids[w->count++] = id;
}

/* ---- the heap ---- */

static void heap_push(struct work *w, struct pair pair)
{
	uint32_t at = w->pairs++;

	while (at > 0 && pair.key < w->heap[(at - 1) / 2].key) {
		w->heap[at] = w->heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	w->heap[at] = pair;
}

static struct pair heap_pop(struct work *w)
{
	struct pair top = w->heap[0], last = w->heap[--w->pairs];
	uint32_t at = 0;

	for (;;) {
		uint32_t child = 2 * at + 1;

		if (child >= w->pairs)
			break;
		if (child + 1 < w->pairs && w->heap[child + 1].key < w->heap[child].key)
			child++;
		if (last.key <= w->heap[child].key)
			break;
		w->heap[at] = w->heap[child];
		at = child;
	}
	w->heap[at] = last;
	return top;
}

/* ---- merging ---- */

/* Higher scores come first: the order of floats as the order of unsigned numbers, turned round. */
static uint32_t order_of_score(float score)
{
	uint32_t bits = flx_float_bits(score + 0.0f);

	return bits & 0x80000000 ? bits : ~bits & 0x7fffffff;
}

static void consider(struct work *w, int32_t left, int32_t right)
{
	const struct flx_vocab *v = w->vocab;
	struct symbol *l, *r;
	struct pair pair;
	uint32_t order;

	if (left < 0 || right < 0)
		return;
	l = &w->symbol[left];
	r = &w->symbol[right];
	if (v->kind == FLX_TOKENIZER_SPM) {
		pair.id = flx_vocab_find(v, w->text + l->start, l->bytes + r->bytes);
		if (pair.id < 0)
			return;
		order = order_of_score(v->score[pair.id]);
	} else {
		int32_t rank = l->id < 0 || r->id < 0 ? -1 : flx_vocab_merge(v, (uint32_t)l->id, (uint32_t)r->id);

		if (rank < 0)
			return;
		pair.id = (int32_t)v->merge_result[rank];
		order = (uint32_t)rank;
	}
	pair.key = (uint64_t)order << 32 | (uint32_t)left;
	pair.right = (uint32_t)right;
	pair.bytes = l->bytes + r->bytes;
	heap_push(w, pair);
}

static void add_symbol(struct work *w, uint32_t start, uint32_t bytes, int32_t id)
{
	int32_t at = (int32_t)w->symbols++;

	w->symbol[at] = (struct symbol){ .start = start, .bytes = bytes, .previous = at - 1, .next = at + 1, .id = id };
}

static void merge_symbols(struct work *w)
{
	w->pairs = 0;
	if (w->symbols == 0)
		return;
	w->symbol[w->symbols - 1].next = -1;
	for (uint32_t i = 1; i < w->symbols; i++)
		consider(w, (int32_t)i - 1, (int32_t)i);
	while (w->pairs > 0) {
		struct pair pair = heap_pop(w);
		int32_t left = (int32_t)(uint32_t)pair.key;
		struct symbol *l = &w->symbol[left], *r = &w->symbol[pair.right];

		if (l->bytes == 0 || r->bytes == 0 || l->bytes + r->bytes != pair.bytes)
			continue;
		l->bytes = pair.bytes;
		l->id = pair.id;
		l->next = r->next;
		r->bytes = 0;
		if (r->next >= 0)
			w->symbol[r->next].previous = left;
		consider(w, l->previous, left);
		consider(w, left, l->next);
	}
}

/* What is no token falls back to the tokens of its bytes. In BPE these bytes are letters; none of them is a token of
 * its own then, so they are unknown. */
static void emit_bytes(struct work *w, const struct symbol *s)
{
	for (uint32_t i = 0; i < s->bytes; i++) {
		int32_t id = -1;

		if (w->vocab->kind == FLX_TOKENIZER_SPM)
			id = w->vocab->byte_token[w->text[s->start + i]];
		if (id < 0)
			id = w->vocab->unknown;
		if (id < 0)
			w->error = FLX_E_PROMPT;
		else
			emit(w, id);
		if (w->vocab->kind == FLX_TOKENIZER_BPE)
			break;
	}
}

static void emit_symbols(struct work *w)
{
	for (int32_t i = w->symbols > 0 ? 0 : -1; i >= 0; i = w->symbol[i].next) {
		if (w->symbol[i].id >= 0)
			emit(w, w->symbol[i].id);
		else
			emit_bytes(w, &w->symbol[i]);
	}
}

/* ---- SentencePiece ---- */

static uint32_t put_space(uint8_t *to)
{
	to[0] = 0xe2; /* U+2581, the visible space */
	to[1] = 0x96;
	to[2] = 0x81;
	return 3;
}

static void spm_piece(struct work *w, const uint8_t *text, uint64_t bytes, int space_first)
{
	uint32_t used = space_first ? put_space(w->text) : 0;
	uint32_t length;

	for (uint64_t i = 0; i < bytes; i++) {
		if (text[i] == ' ')
			used += put_space(w->text + used);
		else
			w->text[used++] = text[i];
	}
	w->symbols = 0;
	for (uint32_t at = 0; at < used; at += length) {
		flx_utf8(w->text + at, w->text + used, &length);
		add_symbol(w, at, length, flx_vocab_find(w->vocab, w->text + at, length));
	}
	merge_symbols(w);
	emit_symbols(w);
}

/* ---- BPE with llama 3's pre-splitter ---- */

/*
 * The words, first alternative that matches, as in llama.cpp:
 *	(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])
 *	[^\r\n\p{L}\p{N}]?\p{L}+
 *	\p{N}{1,3}
 *	 ?[^\s\p{L}\p{N}]+[\r\n]*
 *	\s*[\r\n]+
 *	\s+(?!\S)
 *	\s+
 */
struct text {
	const uint8_t *at, *end;
};

/* The code point at `at` and its class; 0 at the end. */
static uint32_t peek(const struct text *t, const uint8_t *at, uint32_t *bytes, unsigned int *kind)
{
	uint32_t codepoint;

	*bytes = 0;
	*kind = FLX_CLASS_OTHER;
	if (at >= t->end)
		return 0;
	codepoint = flx_utf8(at, t->end, bytes);
	*kind = flx_class(codepoint);
	return codepoint;
}

static const uint8_t *skip_class(const struct text *t, const uint8_t *at, unsigned int wanted, uint32_t most)
{
	for (uint32_t n = 0; n < most; n++) {
		uint32_t bytes;
		unsigned int kind;

		peek(t, at, &bytes, &kind);
		if (bytes == 0 || kind != wanted)
			break;
		at += bytes;
	}
	return at;
}

static const uint8_t *skip_newlines(const struct text *t, const uint8_t *at)
{
	while (at < t->end && (*at == '\r' || *at == '\n'))
		at++;
	return at;
}

static uint8_t lower(const struct text *t, const uint8_t *at)
{
	if (at >= t->end)
		return 0;
	return *at >= 'A' && *at <= 'Z' ? *at + 32 : *at;
}

/* 's 't 'm 'd 're 've 'll: their length, or 0 */
static uint32_t contraction(const struct text *t)
{
	uint8_t first, second;

	if (*t->at != '\'')
		return 0;
	first = lower(t, t->at + 1);
	second = lower(t, t->at + 2);
	if (first == 's' || first == 't' || first == 'm' || first == 'd')
		return 2;
	if ((first == 'r' && second == 'e') || (first == 'v' && second == 'e') || (first == 'l' && second == 'l'))
		return 3;
	return 0;
}

/* White space from t->at on: through its last line break; or all but its last character when a word follows; or all. */
static const uint8_t *white_space_end(const struct text *t)
{
	const uint8_t *at = t->at, *last = t->at, *after_break = NULL;
	uint32_t bytes;
	unsigned int kind;

	for (;;) {
		uint32_t codepoint = peek(t, at, &bytes, &kind);

		if (bytes == 0 || kind != FLX_CLASS_SPACE)
			break;
		last = at;
		at += bytes;
		if (codepoint == '\r' || codepoint == '\n')
			after_break = at;
	}
	if (after_break != NULL)
		return after_break;
	return at < t->end && last > t->at ? last : at;
}

/* End of the word that begins at t->at, which is not the end of the text. */
static const uint8_t *word_end(const struct text *t)
{
	uint32_t bytes, next_bytes, length = contraction(t);
	unsigned int kind, next_kind;
	uint32_t codepoint = peek(t, t->at, &bytes, &kind);
	const uint8_t *next = t->at + bytes;

	if (length != 0)
		return t->at + length;
	peek(t, next, &next_bytes, &next_kind);
	if (kind == FLX_CLASS_LETTER)
		return skip_class(t, next, FLX_CLASS_LETTER, UINT32_MAX);
	if (kind == FLX_CLASS_NUMBER)
		return skip_class(t, next, FLX_CLASS_NUMBER, 2);
	if (codepoint != '\r' && codepoint != '\n' && next_kind == FLX_CLASS_LETTER)
		return skip_class(t, next, FLX_CLASS_LETTER, UINT32_MAX);
	if (kind == FLX_CLASS_OTHER)
		return skip_newlines(t, skip_class(t, next, FLX_CLASS_OTHER, UINT32_MAX));
	if (codepoint == ' ' && next_bytes != 0 && next_kind == FLX_CLASS_OTHER)
		return skip_newlines(t, skip_class(t, next, FLX_CLASS_OTHER, UINT32_MAX));
	return white_space_end(t);
}

static void bpe_word(struct work *w, const uint8_t *word, uint64_t bytes)
{
	uint32_t used = 0;
	int32_t whole;

	w->symbols = 0;
	for (uint64_t i = 0; i < bytes; i++) {
		uint32_t length = flx_utf8_put(w->text + used, flx_letter_of_byte(word[i]));

		add_symbol(w, used, length, w->vocab->byte_token[word[i]]);
		used += length;
	}
	whole = flx_vocab_find(w->vocab, w->text, used);
	if (whole >= 0) { /* llama 3 takes a whole word before any merge */
		emit(w, whole);
		return;
	}
	merge_symbols(w);
	emit_symbols(w);
}

static void bpe_piece(struct work *w, const uint8_t *text, uint64_t bytes)
{
	struct text t = { text, text + bytes };

	while (t.at < t.end && w->error == 0) {
		const uint8_t *end = word_end(&t);

		bpe_word(w, t.at, (uint64_t)(end - t.at));
		t.at = end;
	}
}

/* ---- special tokens ---- */

#define INSIDE UINT32_MAX

/*
 * Marks where special tokens stand: mark[i] is the token + 1 where one begins, INSIDE where it goes on, 0 elsewhere. As
 * in llama.cpp the longest special token is looked for first, from the left, then the next in what remains.
 */
static void mark_specials(const struct flx_vocab *v, const uint8_t *text, uint64_t bytes, uint32_t *mark)
{
	memset(mark, 0, bytes * sizeof(*mark));
	for (uint32_t s = 0; s < v->specials; s++) {
		uint32_t length;
		const uint8_t *what = flx_vocab_text(v, v->special[s], &length);

		for (uint64_t at = 0; at + length <= bytes; at++) {
			uint32_t n = 0;

			while (n < length && text[at + n] == what[n] && mark[at + n] == 0)
				n++;
			if (n < length)
				continue;
			for (n = 1; n < length; n++)
				mark[at + n] = INSIDE;
			mark[at] = v->special[s] + 1;
			at += length - 1;
		}
	}
}

/* Plain pieces between special tokens; SPM adds its space at the beginning and behind each special token. */
static void tokenize_marked(struct work *w, const uint8_t *text, uint64_t bytes, const uint32_t *mark)
{
	const struct flx_vocab *v = w->vocab;
	int after_special = 1;

	for (uint64_t at = 0, end; at < bytes && w->error == 0; at = end) {
		end = at + 1;
		if (mark[at] != 0) {
			emit(w, (int32_t)(mark[at] - 1));
			while (end < bytes && mark[end] == INSIDE)
				end++;
			after_special = 1;
			continue;
		}
		while (end < bytes && mark[end] == 0)
			end++;
		if (v->kind == FLX_TOKENIZER_SPM)
			spm_piece(w, text + at, end - at, after_special && v->add_space_prefix);
		else
			bpe_piece(w, text + at, end - at);
		after_special = 0;
	}
}

static int is_utf8(const uint8_t *at, const uint8_t *end)
{
	uint32_t bytes;

	for (; at < end; at += bytes) {
		if (flx_utf8(at, end, &bytes) == 0xffffffff)
			return 0;
	}
	return 1;
}

int64_t flx_tokenize(const struct flx_model *model, const uint8_t *text, uint64_t bytes, void *scratch,
		     uint64_t scratch_bytes, int32_t *ids, uint64_t max)
{
	const struct flx_vocab *v = &model->vocab;
	struct work w = { .vocab = v, .ids = ids, .max = max };
	uint8_t *room = scratch;
	uint32_t *mark;

	if (scratch_bytes < flx_scratch_bytes(model, bytes) || (uintptr_t)scratch % FLX_ARENA_ALIGN != 0)
		return FLX_E_ARENA;
	if (!is_utf8(text, text + bytes))
		return FLX_E_PROMPT;
	w.text = room;
	room += text_room(bytes);
	w.symbol = (struct symbol *)(void *)room;
	room += flx_align((bytes + 1) * sizeof(struct symbol), FLX_ARENA_ALIGN);
	w.heap = (struct pair *)(void *)room;
	room += (bytes + 1) * 2 * sizeof(struct pair);
	mark = (uint32_t *)(void *)room;

	if (v->add_bos && v->bos >= 0)
		emit(&w, v->bos);
	mark_specials(v, text, bytes, mark);
	tokenize_marked(&w, text, bytes, mark);
	if (v->add_eos && v->eos >= 0)
		emit(&w, v->eos);
	return w.error != 0 ? w.error : (int64_t)w.count;
}

/* ---- tokens to text ---- */

static void put_byte(uint8_t *out, uint32_t max, uint32_t *count, uint8_t byte)
{
	if (*count < max)
		out[*count] = byte;
	(*count)++;
}

/* <0xNN> */
static uint8_t hex_byte(const uint8_t *text)
{
	uint8_t high = text[3], low = text[4];

	return (uint8_t)((high <= '9' ? high - '0' : high - 'A' + 10) << 4 | (low <= '9' ? low - '0' : low - 'A' + 10));
}

static uint32_t spm_text(const uint8_t *text, uint32_t bytes, uint8_t *out, uint32_t max)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < bytes; i++) {
		if (bytes - i >= 3 && text[i] == 0xe2 && text[i + 1] == 0x96 && text[i + 2] == 0x81) {
			put_byte(out, max, &count, ' ');
			i += 2;
		} else {
			put_byte(out, max, &count, text[i]);
		}
	}
	return count;
}

/* Letters that stand for no byte are written as they are. */
static uint32_t bpe_text(const uint8_t *text, uint32_t bytes, uint8_t *out, uint32_t max)
{
	uint32_t count = 0, length;

	for (uint32_t at = 0; at < bytes; at += length) {
		uint32_t codepoint = flx_utf8(text + at, text + bytes, &length);
		int byte = flx_byte_of_letter(codepoint);

		if (byte >= 0)
			put_byte(out, max, &count, (uint8_t)byte);
		for (uint32_t i = 0; byte < 0 && i < length; i++)
			put_byte(out, max, &count, text[at + i]);
	}
	return count;
}

uint32_t flx_token_text(const struct flx_model *model, int32_t token, uint8_t *out, uint32_t max)
{
	const struct flx_vocab *v = &model->vocab;
	const uint8_t *text;
	uint32_t bytes, count = 0;

	if (token < 0 || (uint32_t)token >= v->size)
		return 0;
	text = flx_vocab_text(v, (uint32_t)token, &bytes);
	switch (v->type[token]) {
	case FLX_TOKEN_CONTROL:
	case FLX_TOKEN_UNKNOWN:
	case FLX_TOKEN_UNUSED:
		return 0;
	case FLX_TOKEN_USER:
		for (uint32_t i = 0; i < bytes; i++)
			put_byte(out, max, &count, text[i]);
		return count;
	case FLX_TOKEN_BYTE:
		if (bytes == 6 && memcmp(text, "<0x", 3) == 0) {
			put_byte(out, max, &count, hex_byte(text));
			return count;
		}
		break;
	default:
		break;
	}
	return v->kind == FLX_TOKENIZER_SPM ? spm_text(text, bytes, out, max) : bpe_text(text, bytes, out, max);
}

int flx_is_end(const struct flx_model *model, int32_t token)
{
	return token >= 0 && (token == model->vocab.eos || token == model->vocab.eot);
}
