/* SPDX-License-Identifier: BSD-3-Clause */
/* Modes normal, normal-idle and stock: the same engine in this process, weights from the page cache. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <flx/flx_linux.h>

#include "answer.h"
#include "clock.h"
#include "device.h"
#include "infer_modes.h"

struct run {
	const struct flex_infer *infer;
	uint64_t first_token;
};

static int on_token(void *ctx, const struct flx_linux_token *token)
{
	struct run *run = ctx;

	if (token->number == 0)
		run->first_token = token->ticks;
	return flex_infer_token(run->infer, token->number, token->id, token->ticks, token->text, token->text_bytes) ?
	       0 : FLX_LINUX_STOP;
}

/* Brings stage 2 into the state that the mode means. 0, or 1 after an error was answered. */
static int prepare(const struct flex_infer *infer)
{
	uint32_t wanted = infer->mode == FLEX_INFER_NORMAL;
	int error;

	if (infer->mode == FLEX_INFER_STOCK) {
		if (access(FLEX_DEVICE, F_OK))
			return 0;
		return flex_answer_error(infer->pipe, infer->request, EINVAL,
					 "mode stock: this boot has the monitor; boot the stock flavour");
	}
	error = flex_device_protect(wanted);
	if (!error)
		return 0;
	return flex_answer_error(infer->pipe, infer->request, -error,
				 error == -EBUSY ? "protection cannot be switched: something is secure" : NULL);
}

static int answer(const struct run *run, const struct flx_linux_result *result, uint64_t submitted)
{
	static struct flex_builder builder;
	uint64_t first_token = run->first_token ? run->first_token : result->finished;

	flex_build(&builder, FLEX_MSG_RESULT, run->infer->request);
	flex_build_number(&builder, FLEX_TAG_TOKENS, result->tokens);
	flex_build_number(&builder, FLEX_TAG_FINISH, (uint64_t)result->finish);
	flex_build_number(&builder, FLEX_TAG_SUBMITTED, submitted);
	flex_build_number(&builder, FLEX_TAG_FIRST_TOKEN, first_token);
	flex_build_number(&builder, FLEX_TAG_FINISHED, result->finished);
	/* Reading overlaps with computing here (page faults of the mapping): what is known apart is the opening. */
	flex_infer_part(&builder, FLEX_TAG_EXPOSED, FLEX_PART_READ, result->loaded - submitted);
	flex_infer_part(&builder, FLEX_TAG_EXPOSED, FLEX_PART_PREFILL, first_token - result->loaded);
	flex_build_number(&builder, FLEX_TAG_PREFILL_TICKS, result->prefill_done - result->loaded);
	flex_build_number(&builder, FLEX_TAG_DECODE_TICKS, result->finished - result->prefill_done);
	flex_build_bytes(&builder, FLEX_TAG_PROMPT_IDS, result->prompt_ids,
			 result->prompt_tokens * sizeof(result->prompt_ids[0]));
	flex_answer_send(&builder, run->infer->pipe);
	return 0;
}

int flex_infer_linux(const struct flex_infer *infer)
{
	struct run run = { .infer = infer };
	struct flx_linux_request request = {
		.model = infer->model,
		.prompt = infer->prompt[0].text,
		.prompt_bytes = infer->prompt[0].bytes,
		.n_predict = infer->tokens,
		.threads = infer->threads,
		.context = infer->context,
		.ignore_eos = (infer->flags & FLEX_INFER_IGNORE_EOS) != 0,
		.caps = FLX_LINUX_CAPS_DETECT,
	};
	struct flx_linux_result result = { 0 };
	uint64_t submitted;
	int status;

	if (prepare(infer))
		return 1;
	submitted = flex_ticks();
	status = flx_linux_generate(&request, on_token, &run, &result);
	if (status) {
		/* The engine's own errors mean that it refuses the model or the prompt, as the payload would. */
		int error = result.reason[0] ? EKEYREJECTED : -status;

		flex_answer_error(infer->pipe, infer->request, error, result.reason[0] ? result.reason : NULL);
	} else {
		answer(&run, &result, submitted);
	}
	flx_linux_free(&result);
	return status != 0;
}
