/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sessions: a model in use, with working memory of its own in slots: the prompt, then the engine's state.
 */
#include "serving.h"

/* What may follow what; anything else is FLEX_E_STATE, or FLEX_E_BUSY where waiting helps. */
enum session_event { SESSION_EV_OPEN, SESSION_EV_BEGIN, SESSION_EV_END, SESSION_EV_CLOSE, SESSION_EV_FREE,
		     SESSION_EVENTS };
#define NEVER SESSION_STATES
static const uint8_t next_state[SESSION_STATES][SESSION_EVENTS] = {
	/*                        OPEN          BEGIN               END           CLOSE            FREE */
	[SESSION_FREE] =        { SESSION_IDLE, NEVER,              NEVER,        NEVER,           NEVER },
	[SESSION_IDLE] =        { NEVER,        SESSION_GENERATING, NEVER,        SESSION_CLOSING, NEVER },
	[SESSION_GENERATING] =  { NEVER,        NEVER,              SESSION_IDLE, NEVER,           NEVER },
	[SESSION_CLOSING] =     { NEVER,        NEVER,              NEVER,        NEVER,           SESSION_FREE },
};

static struct srv_session sessions[FLEX_SESSIONS];

/* srv_tables is held. */
static bool session_move(struct srv_session *session, enum session_event event)
{
	uint8_t state = next_state[session->state][event];

	if (state == NEVER)
		return false;
	__atomic_store_n(&session->state, state, __ATOMIC_RELEASE);
	return true;
}

uint64_t srv_session_number(const struct srv_session *session)
{
	return (uint64_t)(session - sessions);
}

uint64_t srv_sessions_open(void)
{
	uint64_t open = 0;

	for (unsigned int i = 0; i < FLEX_SESSIONS; i++)
		open += __atomic_load_n(&sessions[i].state, __ATOMIC_RELAXED) != SESSION_FREE;
	return open;
}

struct srv_session *srv_session_get(uint64_t number, uint32_t states, int64_t *error)
{
	struct srv_session *session;
	uint64_t mask;

	*error = FLEX_E_INVAL;
	if (number >= FLEX_SESSIONS)
		return NULL;
	session = &sessions[number];
	mask = rt_lock(&srv_tables);
	if (!(states & SRV_IN(session->state))) {
		*error = FLEX_E_STATE;
		session = NULL;
	} else {
		*error = FLEX_OK;
		session->users++;
	}
	rt_unlock(&srv_tables, mask);
	return session;
}

void srv_session_put(struct srv_session *session)
{
	uint64_t mask = rt_lock(&srv_tables);

	session->users--;
	rt_unlock(&srv_tables, mask);
}

struct srv_session *srv_session_of_slots(uint64_t first, uint64_t count)
{
	for (unsigned int i = 0; i < FLEX_SESSIONS; i++) {
		if (sessions[i].state != SESSION_FREE && sessions[i].state != SESSION_CLOSING &&
		    srv_range_has(&sessions[i].slots, first, count))
			return &sessions[i];
	}
	return NULL;
}

bool srv_session_begin(struct srv_session *session)
{
	uint64_t mask = rt_lock(&srv_tables);
	bool begun = session_move(session, SESSION_EV_BEGIN);

	if (begun)
		__atomic_store_n(&session->cancelled, 0, __ATOMIC_RELAXED);
	rt_unlock(&srv_tables, mask);
	return begun;
}

void srv_session_end(struct srv_session *session)
{
	uint64_t mask = rt_lock(&srv_tables);

	session_move(session, SESSION_EV_END);
	rt_unlock(&srv_tables, mask);
}

/* Tokens of a prompt that are computed together. */
static uint32_t batch_of(uint32_t context)
{
	return context < FLX_BATCH_MAX ? context : FLX_BATCH_MAX;
}

/* Memory of a session that nobody has seen yet: slots, and the history. srv_tables is held. */
static bool session_lay_out(struct srv_session *session, struct srv_model *model, uint32_t context, uint64_t bytes)
{
	uint64_t pages = SRV_PROMPT_PAGES + (bytes + FLEX_PAGE_SIZE - 1) / FLEX_PAGE_SIZE;
	uint8_t *arena;

	if (!srv_space_take(&srv_slots, pages, &session->slots))
		return false;
	arena = (uint8_t *)rt_slot_address(session->slots.first) + SRV_PROMPT_PAGES * FLEX_PAGE_SIZE;
	/* Only lays out: no page is there yet. */
	if (!flx_state_init(&session->flx, &model->flx, arena, bytes, context, batch_of(context)) &&
	    srv_history_open(session, context))
		return true;
	srv_space_give(&srv_slots, &session->slots);
	return false;
}

/* Takes a free session, with `bytes` of engine state. The model has a user meanwhile. */
static struct srv_session *session_take(struct srv_model *model, uint32_t context, uint64_t bytes)
{
	uint64_t mask = rt_lock(&srv_tables);
	struct srv_session *session = NULL;

	for (unsigned int i = 0; i < FLEX_SESSIONS && !session; i++) {
		if (sessions[i].state == SESSION_FREE)
			session = &sessions[i];
	}
	if (session && session_lay_out(session, model, context, bytes)) {
		session_move(session, SESSION_EV_OPEN);
		session->context = context;
		session->model = model;
		session->heartbeat = 0;
		model->sessions++;
	} else {
		session = NULL;
	}
	rt_unlock(&srv_tables, mask);
	return session;
}

/* SESSION_OPEN(model, context, threads) -> session, first slot, pages */
void srv_session_open(struct rt_call *call)
{
	uint64_t context = call->arg[1], threads = call->arg[2], bytes;
	struct srv_model *model = srv_model_get(call->arg[0], SRV_IN(MODEL_READY), &call->status);
	struct srv_session *session = NULL;

	if (!model)
		return;
	call->status = FLEX_E_INVAL;
	if (context != 0 && context <= model->flx.config.context && threads != 0 &&
	    threads <= FLEX_BOARD_PAYLOAD_THREADS) {
		bytes = flx_state_bytes(&model->flx, (uint32_t)context, batch_of((uint32_t)context));
		call->status = FLEX_E_EXHAUSTED;
		if (bytes != 0 && bytes <= (uint64_t)FLEX_BOARD_PIN_QUOTA * FLEX_PAGE_SIZE)
			session = session_take(model, (uint32_t)context, bytes);
	}
	if (session) {
		call->value[0] = srv_session_number(session);
		call->value[1] = session->slots.first;
		call->value[2] = session->slots.count;
		call->status = FLEX_TOS_DONE;
	}
	srv_model_put(model);
	srv_comm_status(srv_sessions_open());
}

/* SESSION_CANCEL(session) */
void srv_session_cancel(struct rt_call *call)
{
	struct srv_session *session = srv_session_get(call->arg[0], SRV_IN(SESSION_GENERATING), &call->status);

	if (!session)
		return;
	__atomic_store_n(&session->cancelled, 1, __ATOMIC_RELAXED);
	srv_session_put(session);
}

/* Takes the session out of everybody's reach. */
static int64_t session_begin_close(struct srv_session *session)
{
	uint64_t mask = rt_lock(&srv_tables);
	int64_t error = FLEX_E_BUSY;

	/* One user is this operation. */
	if (session->users == 1 && session_move(session, SESSION_EV_CLOSE))
		error = FLEX_OK;
	rt_unlock(&srv_tables, mask);
	return error;
}

/* SESSION_CLOSE(session) */
void srv_session_close(struct rt_call *call)
{
	uint32_t any = SRV_IN(SESSION_IDLE) | SRV_IN(SESSION_GENERATING);
	struct srv_session *session = srv_session_get(call->arg[0], any, &call->status);
	uint64_t mask;

	if (!session)
		return;
	call->status = session_begin_close(session);
	if (call->status != FLEX_OK) {
		srv_session_put(session);
		return;
	}
	srv_drop(&session->slots, true);
	srv_kv_begin(session);
	srv_history_wipe(session);
	mask = rt_lock(&srv_tables);
	srv_space_give(&srv_slots, &session->slots);
	srv_space_give(&srv_heap, &session->history.heap);
	session->model->sessions--;
	session_move(session, SESSION_EV_FREE);
	session->users--;
	rt_unlock(&srv_tables, mask);
	srv_comm_status(srv_sessions_open());
}
