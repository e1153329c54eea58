/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inference engine for llama-family GGUF models: freestanding C, no allocation, no operating system, no libm.
 *
 * Life: flx_model_measure (parse, check, how much memory) -> flx_model_load (into the caller's arena) ->
 * flx_state_bytes -> flx_state_init (a session, in another arena) -> flx_prompt -> flx_forward, flx_greedy, ...
 *
 * Determinism. Tokens and logits are the same to the bit for any number of threads, any order of tiles, any batch,
 * any FLX_CAP_* and on any machine: Q8_0 matrices and attention are summed in integers, exactly; every float sum has
 * one fixed order of its own, and nothing is contracted. The floating-point environment must be IEEE default (FPCR = 0:
 * round to nearest, no flush to zero) on every thread that enters. Only the payload bits of a NaN may differ between
 * machines, and a NaN is never the chosen token.
 *
 * Stack: at most FLX_STACK_BYTES below the caller in any function here, tile functions included.
 * Locks: none. A model is read-only after flx_model_load and may serve several states at once; a state is used by one
 * thread at a time (which shares its work through flx_host.parallel).
 */
#ifndef FLX_ENGINE_H
#define FLX_ENGINE_H

#include <stdint.h>

#define FLX_STACK_BYTES 16384
#define FLX_ARENA_ALIGN 64
#define FLX_LAYERS_MAX 256
#define FLX_REASON_BYTES 160
#define FLX_BATCH_MAX 64 /* prompt tokens computed together */

/* Errors. Errors of flx_host.pin are passed on as they are: keep those outside -300..-200. */
#define FLX_OK 0
#define FLX_E_MODEL (-201)     /* the file is refused; the reason says why */
#define FLX_E_ARENA (-202)     /* the arena is too small or not aligned to FLX_ARENA_ALIGN */
#define FLX_E_PROMPT (-203)    /* the prompt is empty, not UTF-8, or longer than the context */
#define FLX_E_CONTEXT (-204)   /* the context asked for is 0 or above the model's, or is full */
#define FLX_E_CANCELLED (-205) /* flx_host.cancelled said so */

/* What the processor has; 0 is always right. Any choice gives the same bits. */
#define FLX_CAP_ASIMD 1u   /* Advanced SIMD: every AArch64 that we run on */
#define FLX_CAP_DOTPROD 2u /* sdot (FEAT_DotProd); taken before FLX_CAP_ASIMD */

/*
 * What the engine asks of its surroundings. Any member but `ctx` may be NULL: then nothing needs pinning, tiles run
 * one after the other, nobody watches. All are called on the thread that called the engine, never from inside a tile.
 *
 * pin(addr, bytes)   makes [addr, addr + bytes) of the image readable until unpin with the same arguments. Any
 *                    alignment; ranges nest and overlap (counts). May block for as long as it likes. 0 or an error,
 *                    which ends the call under way; nothing is then left pinned.
 * parallel(fn, arg, tiles)  calls fn(arg, i) exactly once for each i < tiles, on any threads, in any order, and
 *                    returns when all have returned; what the tiles wrote is visible to the caller.
 * beat(layer, position)     progress: before each layer of each pass. `layer` == layers stands for the output matrix.
 * cancelled()        asked at each beat; nonzero ends the call with FLX_E_CANCELLED.
 */
struct flx_host {
	void *ctx;
	int (*pin)(void *ctx, const void *addr, uint64_t bytes);
	void (*unpin)(void *ctx, const void *addr, uint64_t bytes);
	void (*parallel)(void *ctx, void (*fn)(void *arg, uint32_t tile), void *arg, uint32_t tiles);
	void (*beat)(void *ctx, uint32_t layer, uint32_t position);
	int (*cancelled)(void *ctx);
	uint32_t caps; /* FLX_CAP_*, as flx_fastest_caps chose */
};

/* Element types of a weight, by GGML's numbers. */
#define FLX_F32 0u
#define FLX_F16 1u
#define FLX_Q8_0 8u

/* A tensor in the image: `rows` rows of `cols` elements, row after row. Absent: data is NULL. */
struct flx_tensor {
	const uint8_t *data;
	uint64_t bytes;
	uint32_t rows, cols;
	uint32_t type;
};

/* From the file; nothing here changes later. */
struct flx_config {
	uint32_t dim;        /* width of the residual stream */
	uint32_t ff;         /* width inside the feed-forward block */
	uint32_t layers;
	uint32_t heads;      /* query heads */
	uint32_t kv_heads;   /* key and value heads; heads is a multiple */
	uint32_t head_dim;
	uint32_t rope_dim;   /* leading elements of a head that are rotated: even, at most head_dim */
	uint32_t vocab;
	uint32_t context;    /* longest context that the file allows */
	float norm_eps;
	double rope_base;
	double rope_scale;   /* positions are multiplied by it (linear scaling); 1 if the file has none */
};

struct flx_layer {
	struct flx_tensor attn_norm;   /* (dim) */
	struct flx_tensor wq;          /* (heads * head_dim, dim) */
	struct flx_tensor wk, wv;      /* (kv_heads * head_dim, dim) */
	struct flx_tensor wo;          /* (dim, heads * head_dim) */
	struct flx_tensor ffn_norm;    /* (dim) */
	struct flx_tensor gate, up;    /* (ff, dim) */
	struct flx_tensor down;        /* (dim, ff) */
};

/* Where the weights lie in the image. Read-only, readable only while pinned. */
struct flx_weights {
	struct flx_tensor embedding;   /* (vocab, dim) */
	struct flx_tensor output_norm; /* (dim) */
	struct flx_tensor output;      /* (vocab, dim); the embedding if tied */
	struct flx_tensor rope_factors;/* (rope_dim / 2) or absent; copied by flx_model_load */
	struct flx_layer *layer;       /* (layers), in the arena */
};

#define FLX_TOKENIZER_SPM 1u /* tokenizer.ggml.model = llama: SentencePiece BPE with scores and byte fallback */
#define FLX_TOKENIZER_BPE 2u /* tokenizer.ggml.model = gpt2, pre = llama-bpe */

/* Vocabulary and merges, all of it copied into the arena: tokenising touches no page of the image. */
struct flx_vocab {
	uint32_t kind;              /* FLX_TOKENIZER_* */
	uint32_t size;
	int32_t bos, eos, eot, unknown; /* -1: none */
	uint32_t add_bos, add_eos, add_space_prefix; /* 0 or 1 */
	uint32_t longest;           /* bytes of the longest token */
	uint32_t merges;
	uint32_t specials;          /* tokens that are found in a prompt as they stand */
	const uint32_t *offset;     /* (size + 1) into text */
	const uint8_t *text;
	const float *score;         /* (size), SPM */
	const uint8_t *type;        /* (size), GGML's token types 1..6 */
	const uint32_t *index;      /* (index_mask + 1): token + 1 by hash of text, 0 is empty */
	uint32_t index_mask;
	uint32_t merge_mask;
	const uint32_t *merge_left, *merge_right, *merge_result; /* (merges), tokens, best rank first */
	const uint32_t *merge_index;/* (merge_mask + 1): rank + 1 by hash of the pair */
	const uint32_t *special;    /* (specials), longest text first */
	int32_t byte_token[256];    /* token of a byte: SPM's <0xNN>, or BPE's letter; -1: none */
};

struct flx_model {
	struct flx_config config;
	struct flx_weights weights;
	struct flx_vocab vocab;
	double *inv_freq;           /* (rope_dim / 2), in the arena: angle of one step */
	const uint8_t *image;
	uint64_t image_bytes;
};

struct flx_reason {
	char text[FLX_REASON_BYTES]; /* printable ASCII, zero-terminated; empty on success */
};

/*
 * Checks the GGUF at [image, image + bytes) and says how much memory flx_model_load needs. Hostile files are expected:
 * every length, count, offset and type is checked before it is used. Pins the header, metadata and tensor list
 * (pieces of 64 KiB, growing from the start), never the weights; all unpinned on return.
 * Returns FLX_OK, FLX_E_MODEL with the reason, or an error of pin.
 */
int flx_model_measure(const struct flx_host *host, const void *image, uint64_t bytes, uint64_t *arena_bytes,
		      struct flx_reason *reason);

/*
 * As flx_model_measure, and fills `model` and the arena, which must live as long as the model and is private memory:
 * always readable, never changed by others. Everything is checked again: the image may have been another then.
 */
int flx_model_load(struct flx_model *model, const struct flx_host *host, const void *image, uint64_t bytes, void *arena,
		   uint64_t arena_bytes, struct flx_reason *reason);

/* Pieces of a session's memory; all pointers lie in the session's arena. */
struct flx_state {
	const struct flx_model *model;
	uint32_t context;       /* tokens that the KV cache holds */
	uint32_t batch;         /* prompt tokens computed together */
	uint32_t position;      /* tokens in the KV cache */
	uint32_t prompt_tokens;
	int32_t *prompt;        /* (context) ids of the last flx_prompt */
	float *logits;          /* (vocab), of the last token computed */
	/* the KV cache: 13-bit elements with a scale for each row (kernels.h), rows padded to a multiple of 8 */
	int16_t *key, *value;             /* (layers, kv_heads, context, padded head_dim) */
	float *key_scale, *value_scale;   /* (layers, kv_heads, context) */
	/* run state */
	float *x;               /* (batch, dim) residual stream */
	float *delta;           /* (batch, dim) what the last matrix adds to it */
	float *xb;              /* (batch, max(dim, heads * head_dim)) */
	float *q;               /* (batch, heads * head_dim) */
	float *k, *v;           /* (batch, kv_heads * head_dim) */
	float *hb, *hb2;        /* (batch, ff) */
	float *rope;            /* (batch, rope_dim / 2, 2) cosine and sine */
	int16_t *act;           /* (batch rounded up to 4, widest) quantised input of a matrix: kernels.h */
	int32_t *act_scale;     /* (batch rounded up to 4, widest / 32) */
	float *act_unit;        /* (batch rounded up to 4) */
	int32_t *att;           /* (heads, batch / 16 rounded up, context) scores */
	void *scratch;          /* for the tokenizer: shares its memory with the run state, dead outside flx_prompt */
	uint64_t scratch_bytes;
};

/*
 * Bytes of arena for a session of `context` tokens (1..config.context) and batches of `batch` (1..FLX_BATCH_MAX)
 * tokens; 0 if these are out of range. All of it is read and written: keep it pinned while a call is under way.
 */
uint64_t flx_state_bytes(const struct flx_model *model, uint32_t context, uint32_t batch);

/* FLX_OK, FLX_E_CONTEXT or FLX_E_ARENA. The arena need not be zeroed. Also starts afresh: position 0. */
int flx_state_init(struct flx_state *state, const struct flx_model *model, void *arena, uint64_t arena_bytes,
		   uint32_t context, uint32_t batch);

/*
 * Tokenises a prompt (UTF-8; special tokens are recognised in it) and makes it the session's: position 0, `prompt` and
 * `prompt_tokens` filled. At most 32768 bytes, at most `context` tokens. FLX_OK or FLX_E_PROMPT.
 */
int flx_prompt(struct flx_state *state, const uint8_t *text, uint64_t bytes);

/*
 * The KV cache of the session's first `position` tokens lies in pieces, by layer. Piece `number`: its bytes, and *at. 0:
 * there are no more. Whoever brings all of them back, and the position, goes on as if nothing had been; a position of 0,
 * or any that the cache has, may be set at any time.
 */
uint64_t flx_kv_piece(const struct flx_state *state, uint32_t number, uint8_t **at);

/*
 * Computes `count` tokens at the session's position, in batches; logits are the last one's.
 * FLX_OK, FLX_E_CONTEXT (also for an id outside the vocabulary), FLX_E_CANCELLED, or an error of pin. After an error
 * the position counts the whole batches that were computed.
 */
int flx_forward(struct flx_state *state, const struct flx_host *host, const int32_t *ids, uint32_t count);

/*
 * The subset of `caps` that is fastest here, by timing a small matrix with each (about a millisecond); `ticks` is any
 * clock. Under an emulator that may be less than what the processor has. The choice changes no result.
 */
uint32_t flx_fastest_caps(uint32_t caps, uint64_t (*ticks)(void));

/* The most likely token by the logits: the lowest id among equals. */
int32_t flx_greedy(const struct flx_state *state);

/* 1 if the token ends an answer (eos or eot of the file). */
int flx_is_end(const struct flx_model *model, int32_t token);

/* Bytes of a token as they follow other tokens: at most `max` of them are written, all of them counted.
 * Control tokens are empty. Pieces of UTF-8 may be split between tokens. */
uint32_t flx_token_text(const struct flx_model *model, int32_t token, uint8_t *out, uint32_t max);

/* Tokenises without a session. Returns the number of ids, or FLX_E_PROMPT (also when there are more than max), or
 * FLX_E_ARENA. `scratch` is aligned to FLX_ARENA_ALIGN and has flx_scratch_bytes(model, bytes). */
uint64_t flx_scratch_bytes(const struct flx_model *model, uint64_t text_bytes);
int64_t flx_tokenize(const struct flx_model *model, const uint8_t *text, uint64_t bytes, void *scratch,
		     uint64_t scratch_bytes, int32_t *ids, uint64_t max);

/*
 * Usual loop:
 *	err = flx_prompt(&s, text, bytes);
 *	err = flx_forward(&s, host, s.prompt, s.prompt_tokens);
 *	for (n = 0; !err && n < wanted; n++) {
 *		id = flx_greedy(&s);
 *		if (!ignore_eos && flx_is_end(model, id))
 *			break;
 *		... flx_token_text(model, id, ...) ...
 *		if (n + 1 == wanted || s.position == s.context)
 *			break;
 *		err = flx_forward(&s, host, &id, 1);
 *	}
 */

#endif /* FLX_ENGINE_H */
