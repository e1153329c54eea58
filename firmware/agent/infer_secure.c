/* SPDX-License-Identifier: BSD-3-Clause */
/* Mode flexserve and the strawmen: the driver and the secure world do the work (firmware/abi/flexkit/uapi.h). */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <flexkit/payload.h>
#include <flexkit/uapi.h>

#include "answer.h"
#include "device.h"
#include "infer_modes.h"

#define EVENTS 16 /* taken by one read() at the most */

struct run {
	const struct flex_infer *infer;
	size_t turn;
	int device;
	int model_file;
	struct flex_ioc_model model;
	struct flex_ioc_result result;
	__s32 prompt_ids[FLEX_PROMPT_IDS];
	uint32_t tokens;
	int finish;
};

static int fail(const struct run *run, int error, const char *what, const char *reason)
{
	char text[640];

	snprintf(text, sizeof(text), "%.400s: %.160s", what, reason && reason[0] ? reason : strerror(error));
	return flex_answer_error(run->infer->pipe, run->infer->request, error, text);
}

static const __u32 driver_mode[] = {
	[FLEX_INFER_FLEXSERVE] = FLEX_MODE_FLEXSERVE,
	[FLEX_INFER_STRAWMAN] = FLEX_MODE_STRAWMAN,
	[FLEX_INFER_STRAWMAN_OPT] = FLEX_MODE_STRAWMAN_OPT,
};

static int begin(struct run *run)
{
	const struct flex_infer *infer = run->infer;

	run->device = open(FLEX_DEVICE, O_RDWR | O_CLOEXEC);
	if (run->device < 0)
		return fail(run, errno, FLEX_DEVICE, NULL);
	run->model_file = open(infer->model, O_RDONLY | O_CLOEXEC);
	if (run->model_file < 0)
		return fail(run, errno, infer->model, NULL);
	run->model.fd = run->model_file;
	run->model.mode = driver_mode[infer->mode];
	if (ioctl(run->device, FLEX_IOC_MODEL, &run->model))
		return fail(run, errno, "model refused", run->model.reason);
	return 0;
}

static __u32 flags_of(const struct run *run)
{
	__u32 flags = run->infer->flags & FLEX_INFER_IGNORE_EOS ? FLEX_GENERATE_IGNORE_EOS : 0;

	if (run->turn)
		return flags | FLEX_GENERATE_CONTINUE;
	/* The clock of the request starts where its model is opened. */
	return flags | FLEX_GENERATE_FROM_MODEL | (run->infer->turns > 1 ? FLEX_GENERATE_KEEP : 0);
}

static int submit(struct run *run)
{
	const struct flex_infer *infer = run->infer;
	const struct flex_prompt *prompt = &infer->prompt[run->turn];
	struct flex_ioc_generate generate = {
		.model = run->model.model,
		.threads = infer->threads,
		.context = infer->context,
		.n_predict = infer->tokens,
		.flags = flags_of(run),
		.prompt_bytes = (__u32)prompt->bytes,
		.prompt = (uintptr_t)prompt->text,
	};

	run->tokens = 0;
	if (ioctl(run->device, FLEX_IOC_GENERATE, &generate))
		return fail(run, errno, "prompt refused", NULL);
	return 0;
}

/*
 * A file of the model's file system, without a name, in which the conversation can be put aside. Without one it is
 * computed again where its memory is taken: not worth an error.
 */
static void give_store(struct run *run)
{
	char folder[sizeof(run->infer->model)];
	struct flex_ioc_store store = { .fd = -1 };

	memcpy(folder, run->infer->model, sizeof(folder));
	store.fd = open(dirname(folder), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (store.fd < 0)
		return;
	/* Too small, it is told how large it has to be. */
	if (ioctl(run->device, FLEX_IOC_STORE, &store) && errno == ENOSPC &&
	    !posix_fallocate(store.fd, 0, (off_t)store.bytes))
		ioctl(run->device, FLEX_IOC_STORE, &store);
	close(store.fd);
}

/* The driver's own words for what went wrong. */
static int fail_event(struct run *run, int error)
{
	memset(&run->result, 0, sizeof(run->result));
	ioctl(run->device, FLEX_IOC_RESULT, &run->result);
	run->result.reason[sizeof(run->result.reason) - 1] = 0;
	return fail(run, error, "request failed", run->result.reason);
}

/* One event: 1 at the end of the stream, 0 to go on, -1 after an error was answered. */
static int take_event(struct run *run, const struct flex_event *event)
{
	__u32 bytes = event->bytes < sizeof(event->text) ? event->bytes : sizeof(event->text);

	switch (event->type) {
	case FLEX_EVENT_TOKEN:
		flex_infer_token(run->infer, run->tokens++, event->value, event->ticks, event->text, bytes);
		return 0;
	case FLEX_EVENT_TEXT:
		flex_infer_text(run->infer, event->text, bytes);
		return 0;
	case FLEX_EVENT_DONE:
		run->finish = event->value;
		return 1;
	case FLEX_EVENT_ERROR:
		fail_event(run, -event->value);
		return -1;
	default:
		fail(run, EPROTO, "unknown event of the driver", NULL);
		return -1;
	}
}

static int follow(struct run *run)
{
	struct flex_event events[EVENTS];

	for (;;) {
		ssize_t count = read(run->device, events, sizeof(events));

		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0 || (size_t)count % sizeof(events[0]))
			return fail(run, count < 0 ? errno : EPROTO, "reading events", NULL);
		for (size_t i = 0; i < (size_t)count / sizeof(events[0]); i++) {
			int end = take_event(run, &events[i]);

			if (end)
				return end < 0;
		}
	}
}

static void put_breakdown(struct flex_builder *builder, const struct run *run)
{
	const struct flex_breakdown *times = &run->result.breakdown;
	const uint64_t exposed[] = { times->allocate, times->read,    times->donate,
				     times->decrypt,  times->prefill, times->switch_ };
	const uint64_t busy[] = { times->allocate_busy, times->read_busy,    times->donate_busy,
				  times->decrypt_busy,  times->prefill_busy, times->switch_busy };

	for (uint8_t part = 0; part <= FLEX_PART_SWITCH; part++) {
		flex_infer_part(builder, FLEX_TAG_EXPOSED, part, exposed[part]);
		flex_infer_part(builder, FLEX_TAG_BUSY, part, busy[part]);
	}
	flex_build_number(builder, FLEX_TAG_SUBMITTED, times->submitted);
	flex_build_number(builder, FLEX_TAG_FIRST_TOKEN, times->first_token);
	flex_build_number(builder, FLEX_TAG_FINISHED, times->finished);
	flex_build_number(builder, FLEX_TAG_SWITCHES, times->switches);
	flex_build_number(builder, FLEX_TAG_LOADED_PAGES, times->loaded_pages);
}

static int answer(struct run *run)
{
	static struct flex_builder builder;
	size_t ids;

	run->result.prompt_ids = (uintptr_t)run->prompt_ids;
	run->result.prompt_ids_max = FLEX_PROMPT_IDS;
	if (ioctl(run->device, FLEX_IOC_RESULT, &run->result))
		return fail(run, errno, "no result", NULL);
	if (run->result.error)
		return fail(run, -run->result.error, "request failed", run->result.reason);
	ids = run->result.prompt_tokens < FLEX_PROMPT_IDS ? run->result.prompt_tokens : FLEX_PROMPT_IDS;
	flex_build(&builder, run->turn + 1 < run->infer->turns ? FLEX_MSG_TURN : FLEX_MSG_RESULT, run->infer->request);
	flex_build_number(&builder, FLEX_TAG_TOKENS, run->tokens);
	flex_build_number(&builder, FLEX_TAG_FINISH, (uint64_t)run->finish);
	flex_build_number(&builder, FLEX_TAG_PREFILL_TICKS, run->result.prefill_ticks);
	flex_build_number(&builder, FLEX_TAG_DECODE_TICKS, run->result.decode_ticks);
	flex_build_number(&builder, FLEX_TAG_KEPT, run->result.kept);
	flex_build_number(&builder, FLEX_TAG_OPENED, run->result.opened);
	flex_build_number(&builder, FLEX_TAG_RECOMPUTED, run->result.recomputed);
	put_breakdown(&builder, run);
	flex_build_bytes(&builder, FLEX_TAG_PROMPT_IDS, run->prompt_ids, ids * sizeof(run->prompt_ids[0]));
	flex_answer_send(&builder, run->infer->pipe);
	return 0;
}

int flex_infer_secure(const struct flex_infer *infer)
{
	static struct run run;

	run.infer = infer;
	/* The worker's end closes device and file, on every path. */
	if (begin(&run))
		return 1;
	for (run.turn = 0; run.turn < infer->turns; run.turn++) {
		if (submit(&run) || follow(&run) || answer(&run))
			return 1;
		if (run.turn == 0 && infer->turns > 1)
			give_store(&run);
	}
	return 0;
}
