/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine as a Linux process: a mapped file, heap for the arenas, a pool of threads. */
#define _GNU_SOURCE
#include <flx/flx_linux.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include "linux.h"

uint64_t flx_linux_ticks(void)
{
#if defined(__aarch64__)
	uint64_t ticks;

	__asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(ticks)::"memory");
	return ticks;
#else
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
#endif
}

uint64_t flx_linux_ticks_per_second(void)
{
#if defined(__aarch64__)
	uint64_t rate;

	__asm__ volatile("mrs %0, cntfrq_el0" : "=r"(rate));
	return rate;
#else
	return 1000000000u;
#endif
}

uint32_t flx_linux_caps(void)
{
#if defined(__aarch64__)
	uint32_t caps = FLX_CAP_ASIMD;

	if (getauxval(AT_HWCAP) & HWCAP_ASIMDDP)
		caps |= FLX_CAP_DOTPROD;
	return flx_fastest_caps(caps, flx_linux_ticks);
#else
	return 0;
#endif
}

static int say(char *reason, const char *what, int error)
{
	snprintf(reason, FLX_LINUX_REASON, "%s: %s", what, strerror(error));
	return -error;
}

static int map_file(struct flx_file *file, const char *path, char *reason)
{
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC), error = 0;

	if (fd < 0)
		return say(reason, path, errno);
	if (fstat(fd, &status) != 0)
		error = errno;
	else if (!S_ISREG(status.st_mode) || status.st_size == 0)
		error = EINVAL;
	if (error == 0) {
		file->bytes = (uint64_t)status.st_size;
		file->image = mmap(NULL, file->bytes, PROT_READ, MAP_SHARED, fd, 0);
		if (file->image == MAP_FAILED) {
			file->image = NULL;
			error = errno;
		}
	}
	close(fd);
	if (error != 0)
		return say(reason, path, error);
	madvise(file->image, file->bytes, MADV_WILLNEED); /* reads ahead while the first layers compute; a hint */
	return 0;
}

static void *arena_of(uint64_t bytes)
{
	return bytes <= SIZE_MAX - FLX_ARENA_ALIGN ? aligned_alloc(FLX_ARENA_ALIGN, (bytes + 63) / 64 * 64) : NULL;
}

int flx_file_open(struct flx_file *file, const char *path, char *reason)
{
	struct flx_reason why;
	uint64_t bytes;
	int error;

	memset(file, 0, sizeof(*file));
	reason[0] = 0;
	error = map_file(file, path, reason);
	if (error != 0)
		return error;
	error = flx_model_measure(NULL, file->image, file->bytes, &bytes, &why);
	if (error == 0) {
		file->arena = arena_of(bytes);
		error = file->arena == NULL ? say(reason, "model", ENOMEM) :
					      flx_model_load(&file->model, NULL, file->image, file->bytes, file->arena,
							     bytes, &why);
	}
	if (error == FLX_E_MODEL)
		snprintf(reason, FLX_LINUX_REASON, "%s", why.text);
	if (error != 0)
		flx_file_close(file);
	return error;
}

void flx_file_close(struct flx_file *file)
{
	if (file->image != NULL)
		munmap(file->image, file->bytes);
	free(file->arena);
	memset(file, 0, sizeof(*file));
}

static void host_parallel(void *ctx, void (*fn)(void *arg, uint32_t tile), void *arg, uint32_t tiles)
{
	flx_pool_parallel(ctx, fn, arg, tiles);
}

int flx_session_open(struct flx_session *session, const struct flx_model *model, uint32_t context, uint32_t batch,
		     uint32_t threads, uint32_t caps)
{
	uint64_t bytes = flx_state_bytes(model, context, batch);
	int error;

	memset(session, 0, sizeof(*session));
	if (bytes == 0 || threads < 1 || threads > FLX_LINUX_THREADS_MAX)
		return FLX_E_CONTEXT;
	session->arena = arena_of(bytes);
	session->pool = flx_pool_start(threads);
	session->host = (struct flx_host){ .ctx = session->pool, .parallel = host_parallel, .caps = caps };
	error = session->arena == NULL || session->pool == NULL ?
			-ENOMEM :
			flx_state_init(&session->state, model, session->arena, bytes, context, batch);
	if (error != 0)
		flx_session_close(session);
	return error;
}

void flx_session_close(struct flx_session *session)
{
	flx_pool_stop(session->pool);
	free(session->arena);
	memset(session, 0, sizeof(*session));
}

/* ---- one prompt ---- */

struct request {
	const struct flx_linux_request *asked;
	int (*token)(void *ctx, const struct flx_linux_token *token);
	void *ctx;
	struct flx_linux_result *result;
	struct flx_file file;
	struct flx_session session;
};

/* The context asked for; without one, as little as the prompt and the answer need. */
static int tokenize_first(struct request *r, uint32_t *context)
{
	uint64_t bytes = flx_scratch_bytes(&r->file.model, r->asked->prompt_bytes);
	uint64_t most = r->file.model.config.context, wanted;
	void *scratch = arena_of(bytes);
	int32_t *ids = malloc(most * sizeof(*ids));
	int64_t count = -ENOMEM;

	if (scratch != NULL && ids != NULL)
		count = flx_tokenize(&r->file.model, r->asked->prompt, r->asked->prompt_bytes, scratch, bytes, ids, most);
	free(scratch);
	free(ids);
	if (count < 0)
		return (int)count;
	wanted = (uint64_t)count + r->asked->n_predict;
	*context = (uint32_t)(wanted < most ? wanted : most);
	return 0;
}

static int give(struct request *r, int32_t id)
{
	uint8_t text[65536];
	struct flx_linux_token token = { .number = r->result->tokens, .id = id, .text = text,
					 .ticks = flx_linux_ticks() };

	token.text_bytes = flx_token_text(&r->file.model, id, text, sizeof(text));
	r->result->tokens++;
	return r->token != NULL ? r->token(r->ctx, &token) : 0;
}

static void add_digest(struct request *r)
{
	const struct flx_state *s = &r->session.state;
	uint64_t digest = r->result->digest;
	uint32_t bits;

	for (uint32_t i = 0; r->asked->digest && i < s->model->config.vocab; i++) {
		memcpy(&bits, &s->logits[i], sizeof(bits));
		digest = (digest ^ bits) * 1099511628211u;
	}
	r->result->digest = digest;
}

static int generate(struct request *r)
{
	struct flx_state *s = &r->session.state;
	struct flx_linux_result *result = r->result;
	int error = flx_forward(s, &r->session.host, s->prompt, s->prompt_tokens);

	result->prefill_done = flx_linux_ticks();
	result->finish = FLX_LINUX_FINISH_LENGTH;
	result->digest = 14695981039346656037u;
	while (error == 0) {
		int32_t id = flx_greedy(s);

		add_digest(r);
		if (!r->asked->ignore_eos && flx_is_end(&r->file.model, id)) {
			result->finish = FLX_LINUX_FINISH_EOS;
			break;
		}
		if (give(r, id) == FLX_LINUX_STOP || result->tokens == r->asked->n_predict || s->position == s->context)
			break;
		error = flx_forward(s, &r->session.host, &id, 1);
	}
	return error;
}

static int keep_prompt(struct request *r)
{
	const struct flx_state *s = &r->session.state;
	int32_t *ids = malloc(s->prompt_tokens * sizeof(*ids));

	if (ids == NULL)
		return -ENOMEM;
	memcpy(ids, s->prompt, s->prompt_tokens * sizeof(*ids));
	r->result->prompt_ids = ids;
	r->result->prompt_tokens = s->prompt_tokens;
	return 0;
}

static int run_request(struct request *r)
{
	const struct flx_linux_request *asked = r->asked;
	uint32_t context = asked->context;
	int error = flx_file_open(&r->file, asked->model, r->result->reason);

	if (error == 0 && context == 0)
		error = tokenize_first(r, &context);
	if (error == 0)
		error = flx_session_open(&r->session, &r->file.model, context, FLX_BATCH_MAX, asked->threads,
					 asked->caps == FLX_LINUX_CAPS_DETECT ? flx_linux_caps() : asked->caps);
	if (error == 0)
		error = flx_prompt(&r->session.state, asked->prompt, asked->prompt_bytes);
	if (error == 0)
		error = keep_prompt(r);
	r->result->loaded = flx_linux_ticks();
	return error != 0 ? error : generate(r);
}

const char *flx_linux_error(int error)
{
	switch (error) {
	case FLX_E_MODEL:
		return "the model is refused";
	case FLX_E_PROMPT:
		return "the prompt is empty, not UTF-8, or longer than the context";
	case FLX_E_CONTEXT:
		return "context or threads out of range";
	default:
		return error > -200 ? strerror(-error) : "internal error";
	}
}

int flx_linux_generate(const struct flx_linux_request *request,
		       int (*token)(void *ctx, const struct flx_linux_token *), void *ctx,
		       struct flx_linux_result *result)
{
	struct request r = { .asked = request, .token = token, .ctx = ctx, .result = result };
	int error;

	memset(result, 0, sizeof(*result));
	result->submitted = flx_linux_ticks();
	error = request->n_predict == 0 ? -EINVAL : run_request(&r);
	result->finished = flx_linux_ticks();
	if (error != 0 && result->reason[0] == 0)
		snprintf(result->reason, sizeof(result->reason), "%s", flx_linux_error(error));
	flx_session_close(&r.session);
	flx_file_close(&r.file);
	return error;
}

void flx_linux_free(struct flx_linux_result *result)
{
	free((void *)(uintptr_t)result->prompt_ids);
	result->prompt_ids = NULL;
}
