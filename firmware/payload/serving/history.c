/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a session has seen: the tokens of its prompts and those it gave, in memory of the payload's own that the NW cannot
 * take. From these everything else of a session can be computed again.
 */
#include "serving.h"

bool srv_history_open(struct srv_session *session, uint32_t context)
{
	/* One more than the context: the last token needs no room in the KV cache. */
	uint64_t bytes = ((uint64_t)context + 1) * sizeof(session->history.id[0]);

	if (!srv_space_take(&srv_heap, (bytes + FLEX_PAGE_SIZE - 1) / FLEX_PAGE_SIZE, &session->history.heap))
		return false;
	session->history.id = (void *)((uint8_t *)rt_heap() + session->history.heap.first * FLEX_PAGE_SIZE);
	session->history.count = 0;
	return true;
}

void srv_history_wipe(struct srv_session *session)
{
	seal_wipe(session->history.id, session->history.heap.count * FLEX_PAGE_SIZE);
	session->history.count = 0;
}

/* A text begins once: without what the tokenizer puts in front of each. */
static uint32_t beginning(const struct srv_session *session)
{
	const struct flx_vocab *vocab = &session->model->flx.vocab;

	return session->history.count && vocab->add_bos && session->flx.prompt[0] == vocab->bos;
}

int srv_history_prompt(struct srv_session *session, const uint8_t *text, uint64_t bytes)
{
	uint32_t position = session->flx.position, skip, count;
	int error = flx_prompt(&session->flx, text, bytes);

	session->flx.position = position; /* of the KV cache, which it leaves alone */
	if (error)
		return error;
	skip = beginning(session);
	count = session->flx.prompt_tokens - skip;
	if (count == 0 || session->history.count > session->context || count > session->context - session->history.count)
		return FLX_E_PROMPT;
	memcpy(session->history.id + session->history.count, session->flx.prompt + skip, count * sizeof(int32_t));
	session->history.count += count;
	return FLX_OK;
}

void srv_history_token(struct srv_session *session, int32_t id)
{
	session->history.id[session->history.count++] = id;
}
