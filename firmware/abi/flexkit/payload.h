/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Operations of the secure payload (FLEX_TOS_START), the memory it shares with the driver, and what it leaves behind
 * when it panics. The driver believes nothing here for its own safety, and neither does the payload.
 *
 * The communication area follows the mailboxes in the board's "shared" region. The NW can write it at any time: the
 * payload copies, then checks, and never reads back what it wrote.
 */
#ifndef FLEXKIT_PAYLOAD_H
#define FLEXKIT_PAYLOAD_H

#include "mailbox.h"

#define FLEX_COMM_STATUS 0x0     /* struct flex_status, written by the payload */
#define FLEX_COMM_SESSION 0x1000 /* one struct flex_session_comm for each session, FLEX_COMM_SESSION_SIZE apart */
#define FLEX_COMM_SESSION_SIZE 0x10000
#define FLEX_SESSIONS 8

#define FLEX_MODELS 8 /* numbers of models are below this */
#define FLEX_COMM_ORDER (FLEX_COMM_SESSION + FLEX_SESSIONS * FLEX_COMM_SESSION_SIZE) /* a struct flex_order for each */
#define FLEX_COMM_ORDER_SIZE 0x1000
#define FLEX_COMM_SIZE (FLEX_COMM_ORDER + FLEX_MODELS * FLEX_COMM_ORDER_SIZE)
#define FLEX_ORDER_RUNS 510

#define FLEX_PROMPT_BYTES 0x8000
#define FLEX_PUT_BYTES (FLEX_PROMPT_BYTES - 16) /* of a sealed chunk: what is in it; the rest authenticates it */
#define FLEX_TEXT_BYTES 256
#define FLEX_REASON_BYTES 160
#define FLEX_PROMPT_IDS 4096

struct flex_status {
	flex_u64 heartbeat; /* advances with the work: every layer of every forward pass */
	flex_u64 panics;
	flex_u64 pinned_pages;
	flex_u64 sessions;
	flex_u64 identity[2]; /* as FLEX_MON_IDENTITY, big-endian bytes in order */
	flex_u64 debug;       /* 1: debug profile */
};

struct flex_session_comm {
	/* NW to payload */
	unsigned char prompt[FLEX_PROMPT_BYTES]; /* UTF-8, length given in the call; a sealed chunk, both ways: PUT and GET */
	/* payload to NW */
	flex_u64 heartbeat;    /* as above, this session's */
	flex_u64 layer;        /* where it is: layer and position of the pass under way */
	flex_u64 position;
	flex_u64 prefill_ticks; /* board counter: compute from the first layer to the first token's logits */
	flex_u64 decode_ticks;  /* compute of all later tokens */
	flex_u64 prompt_tokens;
	flex_u64 wait_ticks;    /* spent waiting for pages that others bring or open, inside the session */
	/*
	 * Opening chunks inside the session: the sum so far, and since when the thread has been at it; 0: it is not. By the
	 * board counter, so the NW takes off what it took away meanwhile.
	 */
	flex_u64 decrypt_ticks;
	flex_u64 decrypt_since;
	/* Of the positions that the session had computed before this prompt: taken from memory, opened, computed again. */
	flex_u64 kept;
	flex_u64 opened;
	flex_u64 recomputed;
	flex_s32 prompt_ids[FLEX_PROMPT_IDS]; /* the first prompt_tokens of them, for the check of every run (FIELD F11) */
	unsigned char text[FLEX_TEXT_BYTES];     /* bytes of the token just yielded */
	unsigned char reason[FLEX_REASON_BYTES]; /* why a model or a prompt was refused: ASCII, zero-terminated */
};

/*
 * Which of a model's pages are needed when: runs in the order in which a pass uses them, published by MODEL_START. Run 0
 * is what every page is opened with; `at` is the run in use, 0 between prompts. What is needed last is taken back first:
 * run at - 1, then those before it, then from the last run down to `at`, run 0 behind all, each from its end. A page may
 * lie in two runs, or in none; a run may be empty.
 */
struct flex_order {
	flex_u64 count;
	flex_u64 at;
	flex_u64 run[FLEX_ORDER_RUNS]; /* first << 32 | pages, from the start of the model */
};

/*
 * Slots: the payload hands out ranges of the monitor's slots. A model's range starts at `slot` and is brought the sealed
 * file (sealed.h), byte for byte: byte b of it in byte b % 4096 of slot + b / 4096. The payload decrypts in place.
 *
 * op (a1..a5) -> DONE, x2..
 *
 * MODEL_OPEN(bytes)                     -> x2 = model, x3 = first slot. A model is a small number, not a pointer.
 * CLAIM(mailbox, count, slot)           -> x2 = pages claimed, x3 = ticks that decrypting them took. Donated pages of
 *                                          the mailbox become slot, slot + 1, ... The range must lie in one open model
 *                                          or session of this payload. What is refused, GENERATE says.
 * MODEL_REGION(model, base, size)       -> the model's bytes lie in this secured region instead of in slots. Called again,
 *                                          also while it computes: they go on in this one, which begins where the last
 *                                          ended; what has not come yet is asked for (NEED) by the slots it would have.
 * MODEL_UNSEAL(model)                   -> decrypts what has come of a region and no other thread has in hand; on as many
 *                                          threads as one likes. Before MODEL_START it has no key, and does nothing.
 *                                          What is refused, GENERATE says.
 * MODEL_START(model)                    -> opens the sealed file, parses and checks the GGUF;
 *                                          FLEX_E_MODEL with the reason in session 0's comm area; may yield NEED.
 *                                          x2 = longest context in tokens, x3 = ticks of opening chunks. A model that was
 *                                          refused for its seal, now or later, stays so until it is closed.
 * MODEL_CLOSE(model)                    -> every slot dropped (pages DONATED: the driver recalls them) or the region
 *                                          given up. FLEX_E_BUSY while a session is open on it.
 * SESSION_OPEN(model, context, threads) -> x2 = session, x3 = first slot, x4 = pages of working memory (KV cache,
 *                                          activations) that the NW has to donate and CLAIM before GENERATE
 * GENERATE(session, prompt bytes, tokens to generate, flags)
 *                                       -> yields TOKEN for each token, NEED when pages are missing, GET for chunks that
 *                                          SESSION_SEAL put aside. DONE: x2 = tokens, x3 = FLEX_FINISH_*. A session
 *                                          generates once at a time. With FLEX_GENERATE_CONTINUE the prompt goes on where
 *                                          the session stopped: behind all prompts and tokens since it began, which the
 *                                          payload remembers. Their KV cache is taken from memory, or opened, or computed
 *                                          again; the tokens are the same. A GENERATE that fails has not been: the session
 *                                          stands where it stood. Without the flag it begins afresh.
 * WORK(session)                         -> a helper thread for the session's parallel parts, before or during a
 *                                          GENERATE; DONE when that has ended; yields IDLE when there is nothing to
 *                                          do, also while it has not begun
 * SESSION_CANCEL(session)               -> the running GENERATE ends with FLEX_E_CANCELLED at its next layer
 * SESSION_SEAL(session)                 -> encrypts what an idle session has in its KV cache, for the NW to keep: yields
 *                                          PUT for each chunk. x2 = chunks. What was put aside before is of no use any
 *                                          more, also after an error: FLEX_E_STATE when a part of the cache is gone.
 * SESSION_CLOSE(session)                -> working memory and what is remembered wiped and dropped; FLEX_E_BUSY while
 *                                          threads are in it
 * DRILL(kind)                           -> rehearses a failure (FLEX_DRILL_*): the NW can do worse by not calling
 */
#define FLEX_OP_MODEL_OPEN 1
#define FLEX_OP_CLAIM 2
#define FLEX_OP_MODEL_REGION 3
#define FLEX_OP_MODEL_START 4
#define FLEX_OP_MODEL_CLOSE 5
#define FLEX_OP_SESSION_OPEN 6
#define FLEX_OP_GENERATE 7
#define FLEX_OP_WORK 8
#define FLEX_OP_SESSION_CANCEL 9
#define FLEX_OP_SESSION_CLOSE 10
#define FLEX_OP_DRILL 11
#define FLEX_OP_MODEL_UNSEAL 12
#define FLEX_OP_SESSION_SEAL 13

/* Yields: x2 = reason, x3.. = values. The NW answers in RESUME's a1: FLEX_OK, or an error that ends the operation. */
#define FLEX_YIELD_TOKEN 1 /* x3 = token id, x4 = bytes of text in the session's comm area, x5 = number of the token from 0 */
#define FLEX_YIELD_NEED 2  /* x3 = first slot, x4 = count: read, donate and CLAIM these, then resume */
#define FLEX_YIELD_IDLE 3  /* nothing to do now: sleep a little, then resume; x3 = what for, FLEX_IDLE_* or 0 */
#define FLEX_YIELD_PUT 4   /* x3 = number of a sealed chunk: FLEX_PROMPT_BYTES in `prompt`, to be kept */
#define FLEX_YIELD_GET 5   /* x3 = number of a chunk: to be brought back there. Any error but CANCELLED: it is lost */

#define FLEX_IDLE_OPENING 1 /* another thread opens (decrypts) what this one needs */

#define FLEX_FINISH_LENGTH 0 /* as many tokens as asked for, or the context is full */
#define FLEX_FINISH_EOS 1    /* end-of-sequence token (it is not yielded) */

#define FLEX_GENERATE_IGNORE_EOS 1 /* for benchmarks: go on to the count */
#define FLEX_GENERATE_CONTINUE 2

#define FLEX_DRILL_PANIC 1 /* a data abort in S-EL1, in a thread that holds a lock and pins */
#define FLEX_DRILL_HANG 2  /* a thread that computes for ever without a heartbeat, preemptible */
#define FLEX_DRILL_SIMD 3  /* fills V0-V31, FPCR, FPSR and x0-x30 with a pattern, then computes until preempted, twice */
#define FLEX_DRILL_SIMD_PATTERN 0x5ec12e75ec12e7a5

/* Panic record: what FLEX_MON_RECORD hands out, 24 bytes at a time. No plaintext of the session: registers of the
 * exception only. */
struct flex_panic {
	flex_u64 magic; /* FLEX_PANIC_MAGIC */
	flex_u64 sequence;
	flex_u64 esr, far, elr;
	flex_u64 thread, operation, core;
	flex_u64 heartbeat;
	unsigned char message[88]; /* ASCII, zero-terminated */
};
#define FLEX_PANIC_MAGIC 0x50414e4943464c58

/* What the payload tells the dispatcher in FLEX_SPD_BOOT_DONE: entry points, by virtual address, 8 bytes each. */
struct flex_vectors {
	flex_u64 yielding; /* FLEX_TOS_START and FLEX_TOS_RESUME: x0 = function id, x1..x6 = arguments */
	flex_u64 cpu_on;   /* a core came up: no argument, ends with FLEX_SPD_CPU_DONE */
	flex_u64 cpu_off;
	flex_u64 cpu_suspend;
	flex_u64 cpu_resume;
	flex_u64 system_off;
};

#endif /* FLEXKIT_PAYLOAD_H */
