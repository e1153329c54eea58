/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The engine as an ordinary Linux process: weights mapped from the page cache, pthreads. This is how the modes
 * `normal`, `normal-idle` and `stock` compute, and what flxrun is made of.
 */
#ifndef FLX_LINUX_H
#define FLX_LINUX_H

#include <stdint.h>

#define FLX_LINUX_THREADS_MAX 64
#define FLX_LINUX_STOP 1 /* a callback's answer: end here */

struct flx_linux_request {
	const char *model;      /* path of the GGUF */
	const uint8_t *prompt;  /* UTF-8 */
	uint64_t prompt_bytes;
	uint32_t n_predict;     /* at least 1 */
	uint32_t threads;       /* 1..FLX_LINUX_THREADS_MAX */
	uint32_t context;       /* 0: prompt + n_predict, at most the model's */
	int ignore_eos;
	uint32_t caps;          /* FLX_CAP_*; FLX_LINUX_CAPS_DETECT asks the kernel */
	int digest;             /* compute result.digest (it takes time inside the run) */
};
#define FLX_LINUX_CAPS_DETECT 0xffffffffu

/* Ticks: CNTVCT_EL0 on arm64, nanoseconds of CLOCK_MONOTONIC elsewhere. */
uint64_t flx_linux_ticks(void);
uint64_t flx_linux_ticks_per_second(void);

struct flx_linux_token {
	uint32_t number;       /* from 0 */
	int32_t id;
	const uint8_t *text;
	uint32_t text_bytes;
	uint64_t ticks;        /* when it was known */
};

#define FLX_LINUX_FINISH_LENGTH 0 /* as FLEX_FINISH_* */
#define FLX_LINUX_FINISH_EOS 1

struct flx_linux_result {
	int finish;              /* FLX_LINUX_FINISH_* */
	uint32_t tokens;         /* generated and given to the callback */
	uint32_t prompt_tokens;
	const int32_t *prompt_ids; /* valid until flx_linux_free */
	uint64_t submitted;      /* ticks: call entered */
	uint64_t loaded;         /* file mapped, metadata parsed, session made */
	uint64_t prefill_done;   /* logits of the first token are there */
	uint64_t finished;
	uint64_t digest;         /* FNV-1a (64 bits, a word at a time) of the bits of all logits that were chosen from */
	char reason[200];        /* why not, ASCII; empty on success */
};

/*
 * Runs one prompt to its end. `token` (may be NULL) is called on the calling thread for each token; FLX_LINUX_STOP
 * ends the run early, successfully. Returns 0 or a negative number: -errno, or an FLX_E_* of engine.h; `result` is
 * filled in both cases and has to be freed.
 */
int flx_linux_generate(const struct flx_linux_request *request,
		       int (*token)(void *ctx, const struct flx_linux_token *), void *ctx,
		       struct flx_linux_result *result);
void flx_linux_free(struct flx_linux_result *result);

#endif /* FLX_LINUX_H */
