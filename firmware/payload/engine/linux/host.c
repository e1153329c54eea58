/* SPDX-License-Identifier: BSD-3-Clause */
/* libflx.so for Python's ctypes: handles and plain numbers only. toolkit/flexkit/engine.py is its user. */
#include <stdlib.h>
#include <string.h>

#include "linux.h"

/* Opens a model; the handle, or NULL with the error in *error and the reason (200 bytes). */
void *flxh_open(const char *path, int *error, char *reason)
{
	struct flx_file *file = calloc(1, sizeof(*file));

	*error = file == NULL ? -12 : flx_file_open(file, path, reason);
	if (*error == 0)
		return file;
	free(file);
	return NULL;
}

void flxh_close(void *file)
{
	flx_file_close(file);
	free(file);
}

/* dim, ff, layers, heads, kv_heads, head_dim, vocab, context */
void flxh_config(const void *file, uint32_t out[8])
{
	const struct flx_config *f = &((const struct flx_file *)file)->model.config;

	memcpy(out, (uint32_t[8]){ f->dim, f->ff, f->layers, f->heads, f->kv_heads, f->head_dim, f->vocab, f->context },
	       8 * sizeof(uint32_t));
}

int64_t flxh_tokenize(const void *file, const uint8_t *text, uint64_t bytes, int32_t *ids, uint64_t max)
{
	const struct flx_model *model = &((const struct flx_file *)file)->model;
	uint64_t room = flx_scratch_bytes(model, bytes);
	void *scratch = aligned_alloc(FLX_ARENA_ALIGN, (room + 63) / 64 * 64);
	int64_t count = scratch == NULL ? -12 : flx_tokenize(model, text, bytes, scratch, room, ids, max);

	free(scratch);
	return count;
}

uint32_t flxh_token_text(const void *file, int32_t token, uint8_t *out, uint32_t max)
{
	return flx_token_text(&((const struct flx_file *)file)->model, token, out, max);
}

int flxh_is_end(const void *file, int32_t token)
{
	return flx_is_end(&((const struct flx_file *)file)->model, token);
}

uint32_t flxh_caps(void)
{
	return flx_linux_caps();
}

void *flxh_session(const void *file, uint32_t context, uint32_t batch, uint32_t threads, uint32_t caps, int *error)
{
	struct flx_session *session = calloc(1, sizeof(*session));

	*error = session == NULL ? -12 :
				   flx_session_open(session, &((const struct flx_file *)file)->model, context, batch,
						    threads, caps);
	if (*error == 0)
		return session;
	free(session);
	return NULL;
}

void flxh_session_close(void *session)
{
	flx_session_close(session);
	free(session);
}

int flxh_forward(void *session, const int32_t *ids, uint32_t count)
{
	struct flx_session *s = session;

	return flx_forward(&s->state, &s->host, ids, count);
}

const float *flxh_logits(const void *session)
{
	return ((const struct flx_session *)session)->state.logits;
}

int32_t flxh_greedy(const void *session)
{
	return flx_greedy(&((const struct flx_session *)session)->state);
}

uint64_t flxh_kv_piece(const void *session, uint32_t number, uint8_t **at)
{
	return flx_kv_piece(&((const struct flx_session *)session)->state, number, at);
}
