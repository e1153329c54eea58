/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * GENERATE and WORK. Working memory is pinned for as long as a GENERATE runs; weights only while their layer is
 * computed, so that all others can be recalled meanwhile. What is missing is asked for (NEED) with nothing of that layer
 * pinned.
 */
#include "rt_arch.h"
#include "serving.h"

#define GENERATE_FLAGS ((uint64_t)(FLEX_GENERATE_IGNORE_EOS | FLEX_GENERATE_CONTINUE))
#define HELP_SPIN_TICKS (FLEX_BOARD_COUNTER_HZ / 10000) /* 100 us: about what leaving and coming back costs */

/* flx_host.pin: weights, for as long as they are computed with. */
static int weights_pin(void *ctx, const void *addr, uint64_t bytes)
{
	struct srv_session *session = ctx;

	return (int)srv_weights_pin(session->model, addr, bytes, &session->spent);
}

static void weights_unpin(void *ctx, const void *addr, uint64_t bytes)
{
	const struct srv_session *session = ctx;

	srv_weights_unpin(session->model, addr, bytes);
}

static void run_parallel(void *ctx, void (*fn)(void *arg, uint32_t tile), void *arg, uint32_t tiles)
{
	struct srv_session *session = ctx;

	rt_team_run(&session->team, fn, arg, tiles);
}

static void beat(void *ctx, uint32_t layer, uint32_t position)
{
	struct srv_session *session = ctx;

	srv_beat(srv_comm_session(srv_session_number(session)), ++session->heartbeat, layer, position);
	srv_order_layer(srv_model_number(session->model), layer);
}

static int cancelled(void *ctx)
{
	const struct srv_session *session = ctx;

	return (int)__atomic_load_n(&session->cancelled, __ATOMIC_RELAXED);
}

static struct flx_host host_of(struct srv_session *session)
{
	return (struct flx_host){
		.ctx = session,
		.pin = weights_pin,
		.unpin = weights_unpin,
		.parallel = run_parallel,
		.beat = beat,
		.cancelled = cancelled,
		.caps = __atomic_load_n(&srv_caps, __ATOMIC_RELAXED),
	};
}

/* The engine's errors as the NW knows them; those of pin pass through. */
static int64_t engine_error(int error)
{
	switch (error) {
	case FLX_E_PROMPT:
		return FLEX_E_PROMPT;
	case FLX_E_CONTEXT:
	case FLX_E_ARENA:
		return FLEX_E_INVAL;
	case FLX_E_CANCELLED:
		return FLEX_E_CANCELLED;
	case FLX_E_MODEL:
		return FLEX_E_MODEL;
	default:
		return error;
	}
}

/* Ticks that were not compute. */
static uint64_t spent_beside(const struct srv_session *session)
{
	return session->spent.waited + session->spent.opened;
}

/* Computes tokens, and adds what it took, waiting for pages and opening them apart, to *ticks. */
static int64_t forward(struct srv_session *session, const int32_t *ids, uint32_t count, flex_u64 *ticks)
{
	struct flx_host host = host_of(session);
	uint64_t beside = spent_beside(session), start = rt_ticks();
	int64_t error = engine_error(flx_forward(&session->flx, &host, ids, count));

	*ticks += rt_ticks() - start - (spent_beside(session) - beside);
	return error;
}

/* Copies the prompt once, makes its tokens the session's next ones, and shows them. */
static int64_t take_prompt(struct srv_session *session, uint64_t bytes)
{
	struct flex_session_comm *comm = srv_comm_session(srv_session_number(session));
	uint8_t *text = rt_slot_address(session->slots.first);
	const int32_t *ids = session->history.id + session->history.count;
	uint32_t before = session->history.count, count;
	int error;

	memcpy(text, comm->prompt, bytes);
	error = srv_history_prompt(session, text, bytes);
	if (error)
		return engine_error(error);
	count = session->history.count - before;
	for (uint32_t i = 0; i < count && i < FLEX_PROMPT_IDS; i++)
		comm->prompt_ids[i] = ids[i];
	comm->prompt_tokens = count;
	return srv_kv_restore(session);
}

/* Hands one token to the NW, and waits for its answer. */
static int64_t give_token(struct srv_session *session, int32_t id, uint64_t number)
{
	struct flex_session_comm *comm = srv_comm_session(srv_session_number(session));
	uint8_t text[FLEX_TEXT_BYTES];
	uint32_t bytes = flx_token_text(&session->model->flx, id, text, sizeof(text));

	if (bytes > sizeof(text))
		bytes = sizeof(text);
	memcpy(comm->text, text, bytes);
	return srv_answer(rt_yield(FLEX_YIELD_TOKEN, (uint64_t)id, bytes, number));
}

/* Computes what the history has beyond the KV cache. */
static int64_t prefill(struct srv_session *session, struct flex_session_comm *comm)
{
	uint32_t from = session->flx.position;
	uint64_t ticks = 0;
	int64_t error = forward(session, session->history.id + from, session->history.count - from, &ticks);

	comm->prefill_ticks = ticks;
	comm->wait_ticks = session->spent.waited;
	return error;
}

/* The loop of tokens; everything is pinned. */
static int64_t generate(struct srv_session *session, struct rt_call *call)
{
	struct flex_session_comm *comm = srv_comm_session(srv_session_number(session));
	uint64_t wanted = call->arg[2], decode = 0, n;
	bool ignore_eos = (call->arg[3] & FLEX_GENERATE_IGNORE_EOS) != 0;
	int64_t error = take_prompt(session, call->arg[1]);

	call->value[1] = FLEX_FINISH_LENGTH;
	if (!error)
		error = prefill(session, comm);
	for (n = 0; !error && n < wanted; n++) {
		int32_t id = flx_greedy(&session->flx);

		if (!ignore_eos && flx_is_end(&session->model->flx, id)) {
			call->value[1] = FLEX_FINISH_EOS;
			break;
		}
		error = give_token(session, id, n);
		if (!error)
			srv_history_token(session, id);
		if (error || n + 1 == wanted || session->flx.position == session->flx.context)
			wanted = n + 1;
		else
			error = forward(session, &id, 1, &decode);
		comm->decode_ticks = decode;
		comm->wait_ticks = session->spent.waited;
	}
	call->value[0] = n;
	return error;
}

/* A whole turn, or none: after an error the session stands where it stood. */
static int64_t take_turn(struct srv_session *session, struct rt_call *call)
{
	uint32_t before;
	int64_t error;

	if (!(call->arg[3] & FLEX_GENERATE_CONTINUE)) {
		session->history.count = 0;
		srv_kv_begin(session);
	}
	before = session->history.count;
	error = generate(session, call);
	if (error)
		session->history.count = before;
	srv_kv_end(session);
	return error;
}

/* With working memory pinned. */
static int64_t generate_pinned(struct srv_session *session, struct rt_call *call)
{
	const struct srv_range *slots = &session->slots;
	int64_t error;

	session->spent = (struct srv_spent){ .comm = srv_comm_session(srv_session_number(session)) };
	error = srv_pin_wait(slots->first, slots->count, slots->first + slots->count, &session->spent.waited);
	if (error)
		return error;
	error = take_turn(session, call);
	if (error == FLEX_E_MODEL)
		srv_comm_reason(srv_session_number(session), srv_weights_refusal(session->model));
	srv_unpin(slots->first, slots->count);
	return error;
}

/* GENERATE(session, prompt bytes, tokens, flags) -> tokens, finish */
void srv_generate(struct rt_call *call)
{
	uint64_t bytes = call->arg[1], wanted = call->arg[2], flags = call->arg[3];
	struct srv_session *session =
		srv_session_get(call->arg[0], SRV_IN(SESSION_IDLE) | SRV_IN(SESSION_GENERATING), &call->status);

	if (!session)
		return;
	if (bytes == 0 || bytes > FLEX_PROMPT_BYTES)
		call->status = FLEX_E_PROMPT;
	else if (wanted == 0 || wanted > session->context || (flags & ~GENERATE_FLAGS) != 0)
		call->status = FLEX_E_INVAL;
	else if (!srv_session_begin(session))
		call->status = FLEX_E_BUSY;
	else {
		call->status = generate_pinned(session, call);
		srv_order_idle(srv_model_number(session->model));
		srv_session_end(session);
	}
	srv_session_put(session);
	srv_comm_status(srv_sessions_open());
}

/* True while there may be tiles: a GENERATE is under way, or has not been seen to begin. */
static bool may_help(const struct srv_session *session, bool *begun)
{
	bool generating = __atomic_load_n(&session->state, __ATOMIC_ACQUIRE) == SESSION_GENERATING;

	*begun |= generating;
	return generating || !*begun;
}

/* Looks for a tile for a while. */
static bool help_once(struct srv_session *session, bool *begun)
{
	uint64_t start = rt_ticks();

	while (may_help(session, begun) && rt_ticks() - start < HELP_SPIN_TICKS) {
		if (rt_team_help(&session->team))
			return true;
		rt_relax();
	}
	return false;
}

/* WORK(session) */
void srv_work(struct rt_call *call)
{
	struct srv_session *session =
		srv_session_get(call->arg[0], SRV_IN(SESSION_IDLE) | SRV_IN(SESSION_GENERATING), &call->status);

	bool begun = false;

	if (!session)
		return;
	while (may_help(session, &begun)) {
		if (help_once(session, &begun) || !may_help(session, &begun))
			continue;
		call->status = srv_answer(rt_yield(FLEX_YIELD_IDLE, 0, 0, 0));
		if (call->status)
			break;
	}
	srv_session_put(session);
}
