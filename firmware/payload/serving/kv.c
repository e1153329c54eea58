/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a session has computed: its KV cache, of the first flx.position tokens, in working memory that the NW may take at
 * any time between two prompts. What it took is lost, whatever it brings instead: only a claim puts other contents into a
 * slot, so a claim into the cache marks it. Lost KV is opened from a stash if there is one, and computed again if not.
 *
 * The mark: a claim is counted in before it is made, and out after its mark is set; GENERATE looks at count and mark when
 * it has pinned every slot, after which no claim can succeed.
 */
#include "rt_arch.h"
#include "serving.h"

static uint64_t stashes; /* since the boot */

void srv_kv_claim_begin(struct srv_session *session)
{
	__atomic_add_fetch(&session->kv.claims, 1, __ATOMIC_SEQ_CST);
}

/* Does a part of the cache lie in the slots? */
static bool in_use(const struct srv_session *session, uint64_t first, uint64_t count)
{
	const uint8_t *begin = rt_slot_address(first), *end = begin + count * FLEX_PAGE_SIZE;
	uint64_t bytes;
	uint8_t *at;

	for (uint32_t i = 0; (bytes = flx_kv_piece(&session->flx, i, &at)) != 0; i++) {
		if (at < end && at + bytes > begin)
			return true;
	}
	return false;
}

void srv_kv_claim_end(struct srv_session *session, uint64_t first, uint64_t claimed)
{
	if (claimed && in_use(session, first, claimed))
		__atomic_store_n(&session->kv.lost, true, __ATOMIC_RELEASE);
	__atomic_sub_fetch(&session->kv.claims, 1, __ATOMIC_SEQ_CST);
}

/* What is pinned of the cache is what was computed. */
static bool is_intact(const struct srv_session *session)
{
	return __atomic_load_n(&session->kv.claims, __ATOMIC_SEQ_CST) == 0 &&
	       !__atomic_load_n(&session->kv.lost, __ATOMIC_ACQUIRE);
}

void srv_kv_begin(struct srv_session *session)
{
	session->flx.position = 0;
	session->kv.known = 0;
	seal_wipe(&session->kv.stash, sizeof(session->kv.stash));
}

/* ---- the cache as a stream of chunks ---- */

struct stream {
	struct srv_session *session;
	uint32_t piece;
	uint64_t at; /* in it */
};

/* The slots of [addr, addr + bytes), which is in the session's. */
static struct srv_range slots_of(const struct srv_session *session, const uint8_t *addr, uint64_t bytes)
{
	uint64_t offset = (uint64_t)(addr - (const uint8_t *)rt_slot_address(session->slots.first));
	uint64_t first = offset / FLEX_PAGE_SIZE, last = (offset + bytes - 1) / FLEX_PAGE_SIZE;

	return (struct srv_range){ session->slots.first + first, last - first + 1 };
}

/* Copies with the cache's pages pinned. FLEX_E_STATE: one is not there. */
static int64_t copy(const struct srv_session *session, uint8_t *cache, uint8_t *data, uint64_t bytes, bool in)
{
	struct srv_range slots = slots_of(session, cache, bytes);
	uint64_t hole;
	int64_t error = srv_pin(slots.first, slots.count, &hole);

	if (error)
		return error;
	memcpy(in ? cache : data, in ? data : cache, bytes);
	srv_unpin(slots.first, slots.count);
	return FLEX_OK;
}

/* The stream's next STASH_DATA bytes, or as many as there are, to or from `data`; *moved: how many. */
static int64_t stream_move(struct stream *stream, uint8_t *data, bool in, uint64_t *moved)
{
	int64_t error = FLEX_OK;
	uint64_t bytes, n;
	uint8_t *cache;

	*moved = 0;
	while (!error && *moved < STASH_DATA &&
	       (bytes = flx_kv_piece(&stream->session->flx, stream->piece, &cache)) != 0) {
		n = bytes - stream->at < STASH_DATA - *moved ? bytes - stream->at : STASH_DATA - *moved;
		error = copy(stream->session, cache + stream->at, data + *moved, n, in);
		*moved += n;
		stream->at += n;
		if (stream->at == bytes) {
			stream->piece++;
			stream->at = 0;
		}
	}
	return error;
}

/* ---- putting it aside ---- */

/* A stash of what is there now, with a key that no other has had. */
static struct stash draw_stash(const struct srv_session *session)
{
	struct stash stash = { .number = __atomic_add_fetch(&stashes, 1, __ATOMIC_RELAXED),
			       .positions = session->flx.position };
	struct stash_draw draw = { .ticks = rt_ticks(), .session = srv_session_number(session) };

	_Static_assert(sizeof(draw) == 32 + 2 * 8 + FLEX_SEALED_KEY_BYTES, "no padding");
	for (unsigned int i = 0; i < sizeof(draw.random) / sizeof(draw.random[0]); i++)
		draw.random[i] = rt_random();
	memcpy(draw.model, session->model->seal.key, sizeof(draw.model));
	stash_draw_key(&stash, &seal_test_board, &draw, session->history.id);
	seal_wipe(&draw, sizeof(draw));
	return stash;
}

/* One more step of a long work, for whoever watches; false: it has been cancelled. */
static bool go_on(struct srv_session *session, uint64_t index)
{
	srv_beat(srv_comm_session(srv_session_number(session)), ++session->heartbeat, 0, index);
	return !__atomic_load_n(&session->cancelled, __ATOMIC_RELAXED);
}

/* Encrypted where the NW cannot see it, then shown. */
static int64_t put_chunk(struct srv_session *session, const struct stash *stash, uint64_t index, uint8_t *chunk)
{
	if (!go_on(session, index))
		return FLEX_E_CANCELLED;
	stash_close(stash, index, chunk);
	memcpy(srv_comm_session(srv_session_number(session))->prompt, chunk, STASH_CHUNK);
	return srv_answer(rt_yield(FLEX_YIELD_PUT, index, 0, 0));
}

/* `chunk` is pinned. */
static int64_t put_all(struct srv_session *session, const struct stash *stash, uint8_t *chunk, uint64_t *chunks)
{
	struct stream stream = { .session = session };
	uint64_t moved;
	int64_t error;

	for (*chunks = 0;; ++*chunks) {
		error = stream_move(&stream, chunk, false, &moved);
		if (error || moved == 0)
			return error;
		memset(chunk + moved, 0, STASH_DATA - moved);
		error = put_chunk(session, stash, *chunks, chunk);
		if (error)
			return error;
	}
}

/* No page is asked for: a cache with a hole is of no use, and memory may be short. */
static int64_t put_aside(struct srv_session *session, uint64_t *chunks)
{
	struct stash stash;
	uint64_t hole;
	int64_t error;

	_Static_assert(STASH_CHUNK == SRV_PROMPT_PAGES * FLEX_PAGE_SIZE, "a chunk lies where a prompt does");
	_Static_assert(STASH_CHUNK == FLEX_PROMPT_BYTES && STASH_DATA == FLEX_PUT_BYTES, "and is shown there");
	seal_wipe(&session->kv.stash, sizeof(session->kv.stash));
	if (session->flx.position == 0 || !is_intact(session))
		return FLEX_E_STATE;
	error = srv_pin(session->slots.first, SRV_PROMPT_PAGES, &hole);
	if (error)
		return error;
	stash = draw_stash(session);
	error = put_all(session, &stash, rt_slot_address(session->slots.first), chunks);
	srv_unpin(session->slots.first, SRV_PROMPT_PAGES);
	/* Whatever was claimed meanwhile has been encrypted for nobody. */
	if (!error && !is_intact(session))
		error = FLEX_E_STATE;
	if (!error)
		session->kv.stash = stash;
	seal_wipe(&stash, sizeof(stash));
	return error;
}

/* SESSION_SEAL(session) -> chunks */
void srv_session_seal(struct rt_call *call)
{
	struct srv_session *session =
		srv_session_get(call->arg[0], SRV_IN(SESSION_IDLE) | SRV_IN(SESSION_GENERATING), &call->status);

	if (!session)
		return;
	call->status = FLEX_E_BUSY;
	if (srv_session_begin(session)) {
		call->status = put_aside(session, &call->value[0]);
		srv_session_end(session);
	}
	srv_session_put(session);
}

/* ---- having it back ---- */

/* A chunk from the NW: copied, then checked. FLEX_E_MODEL: it is not ours, or has not come. */
static int64_t get_chunk(struct srv_session *session, uint64_t index, uint8_t *chunk)
{
	uint64_t start = rt_ticks(), begun;
	int64_t error = srv_answer(rt_yield(FLEX_YIELD_GET, index, 0, 0));
	bool right;

	session->spent.waited += rt_ticks() - start;
	if (error == FLEX_E_CANCELLED || !go_on(session, index))
		return FLEX_E_CANCELLED;
	if (error)
		return FLEX_E_MODEL;
	begun = srv_opening_begin(&session->spent);
	memcpy(chunk, srv_comm_session(srv_session_number(session))->prompt, STASH_CHUNK);
	right = stash_open(&session->kv.stash, index, chunk);
	srv_opening_end(&session->spent, begun);
	return right ? FLEX_OK : FLEX_E_MODEL;
}

/* All slots are pinned, and hold nothing yet. */
static int64_t get_back(struct srv_session *session, uint8_t *chunk)
{
	struct stream stream = { .session = session };
	int64_t error = FLEX_OK;
	uint64_t moved, bytes;
	uint8_t *at;

	session->flx.position = session->kv.stash.positions;
	for (uint64_t index = 0; !error && (bytes = flx_kv_piece(&session->flx, stream.piece, &at)) != 0; index++) {
		error = get_chunk(session, index, chunk);
		if (!error)
			error = stream_move(&stream, chunk, true, &moved);
	}
	if (!error)
		return FLEX_OK;
	session->flx.position = 0;
	if (error != FLEX_E_CANCELLED)
		seal_wipe(&session->kv.stash, sizeof(session->kv.stash));
	return error;
}

int64_t srv_kv_restore(struct srv_session *session)
{
	struct flex_session_comm *comm = srv_comm_session(srv_session_number(session));
	int64_t error = FLEX_OK;
	uint32_t kept;

	if (!is_intact(session))
		session->flx.position = 0;
	__atomic_store_n(&session->kv.lost, false, __ATOMIC_RELAXED);
	kept = session->flx.position;
	if (kept == 0 && session->kv.stash.number)
		error = get_back(session, rt_slot_address(session->slots.first));
	comm->kept = kept;
	comm->opened = session->flx.position - kept;
	comm->recomputed = session->kv.known - session->flx.position;
	return error == FLEX_E_CANCELLED ? error : FLEX_OK;
}

void srv_kv_end(struct srv_session *session)
{
	uint32_t count = session->history.count;

	if (session->kv.known < session->flx.position)
		session->kv.known = session->flx.position;
	if (session->kv.known > count)
		session->kv.known = count;
	if (session->flx.position > count)
		session->flx.position = count;
}
