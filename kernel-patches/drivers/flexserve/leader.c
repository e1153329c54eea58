// SPDX-License-Identifier: GPL-2.0-only
/*
 * A request's leader: it enters GENERATE and does what the payload yields for.
 * Nothing binds it to a core, so Linux moves it, and the secure thread moves
 * along; its helpers (helper.c) likewise.
 */
#include <linux/errno.h>
#include <linux/string.h>
#include "request.h"

/*
 * Within one layer: NEEDs, of which a large one has some dozens, and how often
 * all of the model is read. More than this and pages are taken back faster than
 * they come.
 */
#define FLEX_NEEDS_MAX 1024
#define FLEX_READS_MAX 4

static const struct flex_mode * const flex_modes[FLEX_MODES] = {
	[FLEX_MODE_FLEXSERVE] = &flex_mode_flexserve,
	[FLEX_MODE_STRAWMAN] = &flex_mode_strawman,
	[FLEX_MODE_STRAWMAN_OPT] = &flex_mode_strawman_opt,
};

static const struct flex_mode *flex_leader_mode(const struct flex_request *request)
{
	return flex_modes[request->model->mode];
}

/* What the mode's threads have done since the last time is this request's. */
static void flex_leader_count_work(struct flex_request *request)
{
	struct flex_work now;

	if (!flex_leader_mode(request)->work)
		return;
	flex_leader_mode(request)->work(request, &now);
	flex_clock_work(&request->clock, &request->counted, &now);
	request->counted = now;
}

static s64 flex_leader_token(struct flex_request *request, const struct arm_smccc_1_2_regs *values)
{
	const struct flex_session_comm *comm = flex_session_comm(request->session->id);
	u32 bytes = min_t(u64, values->a4, FLEX_TEXT_BYTES), at = 0;
	u64 now = flex_ticks();
	struct flex_event event = { .type = FLEX_EVENT_TOKEN, .value = values->a3, .ticks = now };

	if (!request->result.tokens)
		flex_leader_count_work(request);
	flex_clock_token(&request->clock, now);
	request->result.tokens++;
	do {
		event.bytes = min_t(u32, bytes - at, sizeof(event.text));
		memcpy(event.text, comm->text + at, event.bytes);
		flex_request_post(request, &event);
		event.type = FLEX_EVENT_TEXT;
		at += event.bytes;
	} while (at < bytes);
	return FLEX_OK;
}

/* Memory is so short that the layer under way never gets all of its pages. */
static bool flex_leader_thrashes(struct flex_request *request)
{
	u64 heartbeat = READ_ONCE(flex_session_comm(request->session->id)->heartbeat);
	struct flex_work work;

	flex_loader_work(&request->model->loader, &work);
	if (heartbeat != request->needs_heartbeat || !request->needs) {
		request->needs = 0;
		request->needs_loaded = work.loaded;
	}
	request->needs_heartbeat = heartbeat;
	return ++request->needs > FLEX_NEEDS_MAX ||
	       work.loaded - request->needs_loaded > FLEX_READS_MAX * (u64)request->model->range.count;
}

/* Working memory needs pages, whatever they hold; a model those of its file. */
static int flex_leader_fill(struct flex_request *request, u64 slot, u64 count)
{
	struct flex_range *memory = &request->session->memory;

	if (slot >= memory->first && slot - memory->first < memory->count) {
		flex_range_missed(memory, slot - memory->first);
		return flex_load_blank(memory, slot - memory->first, min_t(u64, count, memory->count),
				       &request->clock);
	}
	if (!flex_model_has(request->model, slot))
		return -EINVAL;
	return flex_leader_mode(request)->need(request, slot - request->model->range.first);
}

/* Helpers have nothing to help with meanwhile: they sleep until the leader is back. */
static s64 flex_leader_need(struct flex_request *request, const struct arm_smccc_1_2_regs *values)
{
	int ret;

	WRITE_ONCE(request->loading, true);
	ret = flex_leader_fill(request, values->a3, values->a4);
	WRITE_ONCE(request->loading, false);
	wake_up_all(&request->helpers_wait);
	if (!ret && flex_leader_thrashes(request))
		ret = -ENOMEM;
	request->load_error = ret;
	return ret ? FLEX_E_EXHAUSTED : FLEX_OK;
}

/* What was put aside comes back; what does not is computed again. */
static s64 flex_leader_get(struct flex_request *request, u64 index)
{
	enum flex_part before = flex_clock_enter(&request->clock, FLEX_PART_READ);
	int ret = flex_store_get(request->session->store, index,
				 flex_session_comm(request->session->id)->prompt);

	flex_clock_enter(&request->clock, before);
	return ret ? FLEX_E_EXHAUSTED : FLEX_OK;
}

static s64 flex_leader_yielded(struct flex_call *call, u64 reason,
			       const struct arm_smccc_1_2_regs *values)
{
	struct flex_request *request = call->context;

	if (READ_ONCE(request->cancelled))
		return FLEX_E_CANCELLED;
	switch (reason) {
	case FLEX_YIELD_TOKEN:
		return flex_leader_token(request, values);
	case FLEX_YIELD_NEED:
		return flex_leader_need(request, values);
	case FLEX_YIELD_GET:
		return flex_leader_get(request, values->a3);
	default:
		return FLEX_E_INVAL;
	}
}

static void flex_leader_send_cancel(struct flex_request *request)
{
	if (request->cancel_sent)
		return;
	request->cancel_sent = true;
	flex_payload_call(FLEX_OP_SESSION_CANCEL, request->session->id, 0, 0, NULL);
}

/*
 * Of the last @ticks, all in the secure world: what went into the session's own
 * decryption. It may have begun in an earlier turn or still be going on.
 */
static u64 flex_leader_opened(struct flex_request *request,
			      const struct flex_session_comm *comm, u64 ticks)
{
	struct flex_opened now = { READ_ONCE(comm->decrypt_ticks), READ_ONCE(comm->decrypt_since) };
	const struct flex_opened *last = &request->opened;
	u64 end = flex_ticks(), begin = end - ticks;
	s64 opened = now.ticks - last->ticks;

	if (now.since)
		opened += end - now.since;
	if (last->since)
		opened -= begin - last->since;
	request->opened = now;
	return clamp_t(s64, opened, 0, ticks);
}

/*
 * Between its turns the leader waits for a core. What the mode's threads need it
 * for is decryption: the rest of what they do takes next to none. They are seen
 * at it where the wait begins or where it ends.
 */
static void flex_leader_count_wait(struct flex_request *request, u64 ticks)
{
	const struct flex_mode *mode = flex_leader_mode(request);
	bool decrypts = mode->decrypts && mode->decrypts(request);
	u64 since = flex_ticks() - request->clock.mark;

	if ((decrypts || request->contended) && since > ticks)
		flex_clock_yield(&request->clock, FLEX_PART_DECRYPT, since - ticks);
	request->contended = decrypts;
}

static s64 flex_leader_turn(struct flex_call *call, u64 ticks)
{
	struct flex_request *request = call->context;
	struct flex_session_comm *comm = flex_session_comm(request->session->id);
	u64 opened = flex_leader_opened(request, comm, ticks);

	flex_leader_count_wait(request, ticks);
	flex_clock_shift(&request->clock, FLEX_PART_PREFILL, ticks - opened);
	flex_clock_shift(&request->clock, FLEX_PART_DECRYPT, opened);
	atomic64_add(ticks, &request->watchdog.spent);
	if (READ_ONCE(request->cancelled))
		flex_leader_send_cancel(request);
	if (!flex_watchdog_late(&request->watchdog, READ_ONCE(comm->heartbeat)))
		return FLEX_OK;
	flex_leader_send_cancel(request);
	WRITE_ONCE(request->abandoned, true);
	return FLEX_E_TIMEOUT;
}

static const struct flex_call_ops flex_leader_ops = {
	.turn = flex_leader_turn,
	.yielded = flex_leader_yielded,
};

/* The conversation that the request goes on with. */
static int flex_leader_resume_session(struct flex_request *request)
{
	struct flex_session *session = flex_session_resume(request->client);

	if (!session)
		return -ESTALE;
	request->session = session;
	return session->model == request->model->id ? 0 : -EINVAL;
}

/* A client has one conversation: that before it ends. */
static int flex_leader_new_session(struct flex_request *request)
{
	const struct flex_model *model = request->model;
	bool keep = request->ask.flags & FLEX_GENERATE_KEEP;
	struct flex_session *session;
	s64 error;

	if (request->ask.context > model->max_context) {
		snprintf(request->result.reason, sizeof(request->result.reason),
			 "the model's context is %u tokens at the most, %u were asked for",
			 model->max_context, request->ask.context);
		return -EINVAL;
	}
	if (keep)
		flex_sessions_leave(request->client);
	session = flex_session_get(model->id, request->ask.context, request->ask.threads,
				   request->client->group, &error);
	request->result.flex_error = error;
	if (IS_ERR(session))
		return PTR_ERR(session);
	session->owner = keep ? request->client : NULL;
	request->session = session;
	return 0;
}

static int flex_leader_open_session(struct flex_request *request)
{
	u32 kept = FLEX_GENERATE_KEEP | FLEX_GENERATE_CONTINUE;
	int ret;

	if ((request->ask.flags & kept) && request->model->mode != FLEX_MODE_FLEXSERVE)
		return -EINVAL;
	if (!(request->ask.flags & FLEX_GENERATE_CONTINUE))
		return flex_leader_new_session(request);
	ret = flex_leader_resume_session(request);
	if (ret == -ESTALE)
		strscpy(request->result.reason, "the conversation is gone: the secure world "
			"has restarted, or its place was needed; begin a new one");
	return ret;
}

static void flex_leader_copy_result(struct flex_request *request, s64 error)
{
	const struct flex_session_comm *comm = flex_session_comm(request->session->id);
	u32 tokens = min_t(u64, comm->prompt_tokens, FLEX_PROMPT_IDS);

	request->result.prefill_ticks = comm->prefill_ticks;
	request->result.decode_ticks = comm->decode_ticks;
	request->result.prompt_tokens = tokens;
	request->result.kept = comm->kept;
	request->result.opened = comm->opened;
	request->result.recomputed = comm->recomputed;
	memcpy(request->prompt_ids, comm->prompt_ids, tokens * sizeof(s32));
	if (error == FLEX_E_PROMPT || error == FLEX_E_MODEL)
		strscpy(request->result.reason, comm->reason, FLEX_REASON_BYTES);
	if (error == FLEX_E_PROMPT && !comm->reason[0])
		strscpy(request->result.reason,
			"the prompt is empty, longer than the context, or not UTF-8");
	if (request->load_error == -ENOMEM)
		strscpy(request->result.reason,
			"what is needed at once does not fit: free memory, or memory.max of the group, is too small");
}

static void flex_leader_hand_over(struct flex_request *request, struct flex_session_comm *comm)
{
	/* What an earlier prompt left there is not this one's. */
	comm->prompt_tokens = 0;
	comm->prefill_ticks = 0;
	comm->decode_ticks = 0;
	comm->decrypt_ticks = 0;
	comm->decrypt_since = 0;
	comm->kept = 0;
	comm->opened = 0;
	comm->recomputed = 0;
	comm->reason[0] = 0;
	memcpy(comm->prompt, request->prompt, min_t(u32, request->ask.prompt_bytes, FLEX_PROMPT_BYTES));
	request->watchdog.heartbeat = READ_ONCE(comm->heartbeat);
}

/* Return: 0 with *finish, or a negative errno. */
static int flex_leader_generate(struct flex_request *request, s32 *finish)
{
	struct flex_call call = {
		.op = FLEX_OP_GENERATE, .ops = &flex_leader_ops, .context = request,
		.clock = &request->clock,
		.arg = { request->session->id, request->ask.prompt_bytes, request->ask.n_predict,
			 request->ask.flags & ~FLEX_GENERATE_DRIVER },
	};
	s64 error;

	flex_leader_hand_over(request, flex_session_comm(request->session->id));
	if (!flex_busy_wait(request))
		return -ECANCELED;
	flex_helpers_start(request);
	error = flex_payload_run(&call);
	flex_busy_leave();
	flex_helpers_stop(request);
	atomic64_add(call.entries, &request->entries);
	if (request->abandoned)
		flex_payload_restart();
	else if (error != FLEX_OK && request->session->epoch != flex_payload_epoch())
		error = FLEX_E_PANIC;

	if (error == FLEX_E_MODEL)
		flex_model_refused(request->model);
	flex_leader_copy_result(request, error);
	*finish = call.result.a3;
	request->result.flex_error = error;
	return request->load_error ? request->load_error : flex_errno(error);
}

static int flex_leader_work(struct flex_request *request, s32 *finish)
{
	int ret;

	ret = flex_leader_mode(request)->open(request);
	if (!ret)
		ret = flex_leader_open_session(request);
	if (!ret && READ_ONCE(request->cancelled))
		ret = -ECANCELED;
	if (!ret)
		ret = flex_leader_generate(request, finish);
	return ret;
}

static void flex_leader(void *data)
{
	struct flex_request *request = data;
	s32 finish = 0;
	int ret;

	ret = flex_leader_work(request, &finish);
	flex_leader_count_work(request);
	flex_request_end(request, ret, finish);
	if (request->session)
		flex_session_put(request->session);
	flex_leader_mode(request)->close(request);
	complete_all(&request->done);
	wake_up_all(&request->client->wait);
	flex_request_put(request);
}

/**
 * flex_leader_start() - begin a request
 * @client: locked, without a request under way; gets a reference to the new one
 * @model: a use of it becomes the request's, whatever happens
 * @ask: as the client put it
 * @submitted: ticks when it did
 *
 * May sleep. Return: 0 or a negative errno.
 */
int flex_leader_start(struct flex_client *client, struct flex_model *model,
		      const struct flex_ioc_generate *ask, u64 submitted)
{
	struct flex_request *request = flex_request_new(client, model, ask, submitted);
	int ret;

	if (IS_ERR(request))
		return PTR_ERR(request);
	kref_get(&request->refs);
	ret = flex_worker_start(flex_leader, request);
	if (!ret) {
		client->request = request;
		return 0;
	}
	flex_request_put(request);
	flex_request_put(request);
	return ret;
}
