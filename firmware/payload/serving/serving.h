/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Serving: models, sessions and the memory that the normal world lends them. Nothing that the NW says is believed:
 * arguments are values, checked here; shared memory is copied once, then checked; page contents are trusted for nothing
 * but their being ours to read.
 *
 * Locks, in this order: srv_tables (models, sessions, slot and heap ranges), then the window's lock in memory.c. Both
 * are held for a few hundred instructions at most, never over a yield or a pin.
 */
#ifndef SERVING_H
#define SERVING_H

#include <flexkit/page.h>
#include <flexkit/payload.h>
#include <flexkit/smc.h>
#include <flx/engine.h>

#include "flex_board.h"
#include "rt/rt.h"
#include "sealing.h"
#include "stash.h"

#define SRV_MODELS FLEX_MODELS
#define SRV_NEED_PAGES 2048 /* of one NEED at the most: 8 MiB */
#define SRV_PROMPT_PAGES (FLEX_PROMPT_BYTES / FLEX_PAGE_SIZE)
#define SRV_RANGES (SRV_MODELS + FLEX_SESSIONS) /* in the slots, and in the heap */

/* ---- ranges.c: who has which part of a line of pages ---- */

struct srv_range {
	uint64_t first, count;
};

struct srv_space {
	uint64_t size;
	unsigned int used;
	struct srv_range range[SRV_RANGES]; /* by `first` */
};

/* Takes `count` > 0 neighbours, the lowest that are free. False if there are none. srv_tables is held. */
bool srv_space_take(struct srv_space *space, uint64_t count, struct srv_range *range);
void srv_space_give(struct srv_space *space, const struct srv_range *range);

/* Are all of [first, first + count) in the range? Any numbers. */
bool srv_range_has(const struct srv_range *range, uint64_t first, uint64_t count);

/* ---- models and sessions ---- */

enum model_state { MODEL_FREE, MODEL_OPEN, MODEL_STARTING, MODEL_READY, MODEL_CLOSING, MODEL_STATES };

struct srv_model {
	uint8_t state;          /* models.c has the table */
	uint32_t users;         /* operations that are using it: it is not closed meanwhile */
	uint32_t sessions;
	uint64_t bytes;
	struct srv_range slots;
	struct srv_range region; /* physical; count (bytes, only ever more of them) 0: the model lies in its slots */
	uint64_t segment[FLEX_REGIONS]; /* bytes of each that the region came in */
	uint32_t segments;
	bool growing;           /* another one is being added */
	uint64_t region_given;  /* chunks that somebody has been given to open, from the first on */
	struct srv_range heap;   /* count 0: none */
	uint8_t *file;           /* its first page, in the window or the region */
	bool opened;             /* `seal` and `image` are there; they stay until the model is closed */
	int refused;             /* FLEX_SEALED_E_*: nothing of it is computed with any more */
	struct {
		uint8_t model[FLEX_SEALED_MODEL_BYTES];
		uint64_t version; /* 0: not admitted yet, or not on this board */
	} admitted;              /* by the check for rollbacks; under srv_tables */
	struct seal seal;
	const uint8_t *image;    /* the GGUF in the file */
	struct flx_model flx;
};

/* Ticks of a thread beside computing. */
struct srv_spent {
	uint64_t waited; /* for pages that others bring or open */
	uint64_t opened; /* opening chunks itself */
	struct flex_session_comm *comm; /* where the latter is shown as it happens, or NULL */
};

/* The tokens of a session, in the payload's own memory. */
struct srv_history {
	struct srv_range heap;
	int32_t *id;            /* (context + 1) */
	uint32_t count;
};

/* What becomes of a session's KV cache while others may have its memory: kv.c. */
struct srv_kv {
	uint32_t claims;        /* under way, into its slots */
	bool lost;              /* one of them has put other contents into it */
	uint32_t known;         /* positions that have been computed at some time */
	struct stash stash;     /* what the NW keeps of it */
};

enum session_state { SESSION_FREE, SESSION_IDLE, SESSION_GENERATING, SESSION_CLOSING, SESSION_STATES };

struct srv_session {
	uint8_t state;          /* sessions.c has the table */
	uint32_t users;         /* as in a model: helpers, claims, the GENERATE under way */
	uint32_t cancelled;
	uint32_t context;
	uint64_t heartbeat;
	struct srv_spent spent;
	struct srv_model *model;
	struct srv_range slots;
	struct srv_history history;
	struct srv_kv kv;
	struct rt_team team;
	struct flx_state flx;   /* its position: tokens of the history that are in the KV cache */
};

extern struct rt_lock srv_tables;
extern struct srv_space srv_slots, srv_heap;
extern uint32_t srv_caps; /* FLX_CAP_* that are fastest here; set when the first model starts */

/*
 * The model or session of that number in one of the states of `states` (bits), with one more user; NULL and *error if
 * there is none. srv_model_put(), srv_session_put() end the use.
 */
#define SRV_IN(state) (1u << (state))
struct srv_model *srv_model_get(uint64_t number, uint32_t states, int64_t *error);
void srv_model_put(struct srv_model *model);
uint64_t srv_model_number(const struct srv_model *model);

/* Keeps everybody else out of an open model without a region, until it is handed back. False: not to be had. */
bool srv_model_take_over(struct srv_model *model);
void srv_model_hand_back(struct srv_model *model);

/* The board takes this version of a model: what is open of older ones is refused from here on. */
void srv_model_admit(struct srv_model *model);

struct srv_session *srv_session_get(uint64_t number, uint32_t states, int64_t *error);
void srv_session_put(struct srv_session *session);
uint64_t srv_session_number(const struct srv_session *session);
uint64_t srv_sessions_open(void);

/* The model, the session that has all of the slots [first, first + count), or NULL. srv_tables is held. */
struct srv_model *srv_model_of_slots(uint64_t first, uint64_t count);
struct srv_session *srv_session_of_slots(uint64_t first, uint64_t count);

/* ---- memory.c: pins, mapping, holes ---- */

/*
 * Pins the slots [first, first + count) and sees to it that each is mapped to the page that it holds now. FLEX_OK;
 * FLEX_E_STATE: one of them holds no page, its number is in *hole; FLEX_E_QUOTA. After an error nothing is pinned.
 */
int64_t srv_pin(uint64_t first, uint64_t count, uint64_t *hole);
void srv_unpin(uint64_t first, uint64_t count);

/* As srv_pin(), asking the NW for what is missing (NEED) up to `end`, for as long as it takes; adds to *waited. */
int64_t srv_pin_wait(uint64_t first, uint64_t count, uint64_t end, uint64_t *waited);

/* The pages behind a range go back to DONATED; nothing may pin them. With `wipe` zeroed before. */
void srv_drop(const struct srv_range *slots, bool wipe);

uint64_t srv_pinned_pages(void);

/* Reduces what the NW answered to a yield to FLEX_OK or one of FLEX_E_*. */
int64_t srv_answer(int64_t answer);

/* Asks the NW for pages of that slot and the next ones: FLEX_OK or what it answered. Adds to *waited. */
int64_t srv_ask(uint64_t first, uint64_t count, uint64_t *waited);

/* ---- regions.c: models in a secured region ---- */

/* Makes the segment, which is valid, the last one: FLEX_OK, or the monitor's error. Nobody else adds one meanwhile. */
int64_t srv_region_add(struct srv_model *model, uint64_t base, uint64_t size);

/* Waits until the region has its first `end` bytes. Gives all of it back, if there is one. */
int64_t srv_region_wait(struct srv_model *model, uint64_t end, uint64_t *waited);
void srv_region_give(struct srv_model *model);

/* ---- opening.c: which contents of models are authenticated ---- */

/*
 * Around a claim into a model's slots: between the two nobody takes what these slots hold for opened. False if somebody
 * just opens one of them, or another claim is under way. settle: the first `claimed` have new contents.
 */
bool srv_contents_seize(uint64_t first, uint64_t count);
void srv_contents_settle(uint64_t first, uint64_t count, uint64_t claimed);

/* The slot that chunk 0 has. The model's header is open. */
uint64_t srv_data_slot(const struct srv_model *model);

/* From here on every use of the model is refused, until it is closed: FLEX_E_MODEL. `why`: FLEX_SEALED_E_*. */
int64_t srv_model_refuse(struct srv_model *model, int why);
bool srv_model_refused(const struct srv_model *model);

/*
 * Opens what is closed of the chunks [first, first + count), which stay where they are meanwhile: pinned, or in a region.
 * FLEX_E_BUSY: somebody else has one in hand, all others are open. FLEX_E_STATE: a part of the table, slot *hole, is not
 * there. FLEX_E_MODEL: refused. Adds to *spent.
 */
int64_t srv_chunks_open(struct srv_model *model, uint64_t first, uint64_t count, struct srv_spent *spent, uint64_t *hole);

/* ---- history.c, kv.c: what a session has seen, and what it made of it. Only its GENERATE or SEAL, unless said ---- */

/* Takes memory for the tokens of a session out of the heap; false if there is none. srv_tables is held. */
bool srv_history_open(struct srv_session *session, uint32_t context);
void srv_history_wipe(struct srv_session *session);

/*
 * Appends the tokens of a prompt, without a second beginning: FLX_OK, or FLX_E_PROMPT also when they do not fit the
 * context. Every slot is pinned. Appends a token that was given, for which there is room.
 */
int srv_history_prompt(struct srv_session *session, const uint8_t *text, uint64_t bytes);
void srv_history_token(struct srv_session *session, int32_t id);

/* Around a claim into the session's slots [first, ...), by anybody: what comes is not taken for what was there. */
void srv_kv_claim_begin(struct srv_session *session);
void srv_kv_claim_end(struct srv_session *session, uint64_t first, uint64_t claimed);

/* A session begins afresh: nothing is computed, nothing is put aside. */
void srv_kv_begin(struct srv_session *session);

/*
 * Sets flx.position to how many tokens of the history need no computing, by what memory holds or a stash gives back, and
 * shows it. Every slot is pinned. Yields GET. FLEX_OK, or FLEX_E_CANCELLED.
 */
int64_t srv_kv_restore(struct srv_session *session);

/* Of the KV cache counts what was computed of the history as it is now. */
void srv_kv_end(struct srv_session *session);

/* ---- rollback.c ---- */

void srv_rollback_init(void);

/*
 * The model's header is open: is its version one that the board still takes? From now on it takes nothing older, and
 * what is open of older ones is refused. May yield IDLE. FLEX_OK, FLEX_E_MODEL with a refusal, or what the NW answered.
 */
int64_t srv_rollback_check(struct srv_model *model);

/* ---- weights.c: contents of models, for whoever computes ---- */

/*
 * Opens the model's header. Yields NEED. FLEX_OK (also when it was open already),
 * FLEX_E_MODEL with a refusal, or what the NW answered. *ticks: what opening chunks took. Nobody else starts the model
 * meanwhile.
 */
int64_t srv_weights_open(struct srv_model *model, uint64_t *ticks);
void srv_weights_close(struct srv_model *model);

/* Opens slots that were just claimed, as far as that can be done now. Ticks that it took. */
uint64_t srv_weights_claimed(struct srv_model *model, uint64_t first, uint64_t count);

/* Opens what has come of a region, beside others that do the same, as far as that can be done now. */
void srv_weights_unseal(struct srv_model *model);

/*
 * Pins [addr, addr + bytes) of an open model's image, wherever it lies, every page of it authenticated. Yields NEED.
 * FLEX_E_MODEL with a refusal, or what the NW answered: nothing is pinned then. Adds to *spent.
 */
int64_t srv_weights_pin(struct srv_model *model, const void *addr, uint64_t bytes, struct srv_spent *spent);
void srv_weights_unpin(const struct srv_model *model, const void *addr, uint64_t bytes);

/* Why the model is refused; empty if it is not. */
const char *srv_weights_refusal(const struct srv_model *model);

/* ---- comm.c: what is shown to the NW ---- */

void srv_comm_init(void);
void srv_comm_status(uint64_t sessions); /* counters of the status block; how many sessions are open */
struct flex_session_comm *srv_comm_session(uint64_t number);
struct flex_order *srv_comm_order(uint64_t model);
void srv_comm_reason(uint64_t session, const char *reason);
/* One more heartbeat of the service, the number `beats` of the session. */
void srv_beat(struct flex_session_comm *comm, uint64_t beats, uint64_t layer, uint64_t position);

/* Around the opening of chunks; the first returns what the second needs. */
uint64_t srv_opening_begin(const struct srv_spent *spent);
void srv_opening_end(struct srv_spent *spent, uint64_t begun);

/* ---- order.c ---- */

/* Shows the NW in which order to take a model back (struct flex_order). It is STARTING, and has been loaded. */
void srv_order_publish(uint64_t number, const struct srv_model *model);

/* A pass has come to a layer (the output counts as one more), or is over: what is needed last changes. */
void srv_order_layer(uint64_t number, uint64_t layer);
void srv_order_idle(uint64_t number);

/* ---- for the runtime (struct rt_service) ---- */

void srv_release_regions(void);
uint64_t srv_heartbeat(void);

/* ---- operations: each fills call->status and values ---- */

void srv_model_open(struct rt_call *call);
void srv_model_region(struct rt_call *call);
void srv_model_unseal(struct rt_call *call);
void srv_model_start(struct rt_call *call);
void srv_model_close(struct rt_call *call);
void srv_session_open(struct rt_call *call);
void srv_session_cancel(struct rt_call *call);
void srv_session_seal(struct rt_call *call);
void srv_session_close(struct rt_call *call);
void srv_claim(struct rt_call *call);
void srv_generate(struct rt_call *call);
void srv_work(struct rt_call *call);
void srv_drill(struct rt_call *call);

/* GENERATE's and SEAL's own steps in a session's life; false if the session is not where it should be. */
bool srv_session_begin(struct srv_session *session);
void srv_session_end(struct srv_session *session);

#endif /* SERVING_H */
