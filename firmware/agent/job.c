/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "job.h"
#include "job_table.h"

#define CHUNK 8192                       /* bytes of output in a message */
#define ROOM (4 * FLEX_MESSAGE_MAX)      /* below it programs wait */

void flex_jobs_init(struct flex_jobs *jobs)
{
	memset(jobs, 0, sizeof(*jobs));
}

struct flex_job *flex_job_find(struct flex_jobs *jobs, uint32_t request)
{
	for (size_t i = 0; i < FLEX_JOBS; i++)
		if (jobs->job[i].child && jobs->job[i].request == request)
			return &jobs->job[i];
	return NULL;
}

struct flex_job *flex_job_claim(struct flex_jobs *jobs, uint32_t request)
{
	for (size_t i = 0; i < FLEX_JOBS; i++) {
		struct flex_job *job = &jobs->job[i];

		if (job->child)
			continue;
		memset(job, 0, sizeof(*job));
		job->request = request;
		job->input = job->output[0] = job->output[1] = -1;
		flex_buffer_init(&job->pending, FLEX_JOB_INPUT);
		flex_buffer_init(&job->messages, 2 * FLEX_MESSAGE_MAX);
		return job;
	}
	return NULL;
}

void flex_job_close(int *descriptor)
{
	if (*descriptor >= 0)
		close(*descriptor);
	*descriptor = -1;
}

void flex_job_release(struct flex_job *job)
{
	flex_job_close(&job->input);
	flex_job_close(&job->output[0]);
	flex_job_close(&job->output[1]);
	flex_buffer_free(&job->pending);
	flex_buffer_free(&job->messages);
	job->child = 0;
}

int flex_job_input(struct flex_jobs *jobs, const struct flex_message *message)
{
	struct flex_job *job = flex_job_find(jobs, message->request);
	struct flex_field field;

	if (!job || job->input < 0 || job->input_ends)
		return 0; /* it has ended meanwhile: its own answer says so */
	if (!flex_message_find(message, FLEX_TAG_DATA, &field) || !field.count) {
		job->input_ends = true;
		return 0;
	}
	return flex_buffer_append(&job->pending, field.bytes, field.count) ? 0 : -ENOBUFS;
}

static void kill_job(const struct flex_job *job)
{
	if (!job->exited && kill(-job->child, SIGKILL))
		kill(job->child, SIGKILL); /* it has not reached setsid() yet */
}

bool flex_job_cancel(struct flex_jobs *jobs, uint32_t request)
{
	struct flex_job *job = flex_job_find(jobs, request);

	if (!job)
		return false;
	job->cancelled = true;
	kill_job(job);
	return true;
}

void flex_jobs_kill(struct flex_jobs *jobs)
{
	for (size_t i = 0; i < FLEX_JOBS; i++) {
		struct flex_job *job = &jobs->job[i];

		if (!job->child)
			continue;
		kill_job(job);
		if (!job->exited)
			waitpid(job->child, NULL, 0);
		flex_job_release(job);
	}
}

struct sink {
	flex_emit emit;
	void *ctx;
	size_t room;
};

static bool put(struct sink *sink, struct flex_builder *message)
{
	if (!flex_build_end(message) || message->used > sink->room)
		return false;
	sink->room -= message->used;
	return sink->emit(sink->ctx, message->bytes, message->used);
}

static struct flex_builder builder; /* one message at a time: the agent has one thread */

static void move_input(struct flex_job *job, struct sink *sink)
{
	int moved;

	if (job->input < 0)
		return;
	moved = flex_buffer_drain(&job->pending, job->input);
	if (moved > 0) {
		flex_build(&builder, FLEX_MSG_ACCEPTED, job->request);
		flex_build_number(&builder, FLEX_TAG_SIZE, (uint64_t)moved);
		put(sink, &builder);
	}
	if (moved < 0 || (job->input_ends && !flex_buffer_used(&job->pending)))
		flex_job_close(&job->input);
}

/* One chunk of a program's output. False: nothing there now. */
static bool move_output(struct flex_job *job, int stream, struct sink *sink)
{
	uint8_t chunk[CHUNK];
	ssize_t count;

	if (job->output[stream] < 0 || sink->room < ROOM)
		return false;
	count = read(job->output[stream], chunk, sizeof(chunk));
	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (count <= 0) {
		flex_job_close(&job->output[stream]);
		return false;
	}
	flex_build(&builder, FLEX_MSG_OUTPUT, job->request);
	flex_build_number(&builder, FLEX_TAG_STREAM, (uint64_t)stream + 1);
	flex_build_bytes(&builder, FLEX_TAG_DATA, chunk, (size_t)count);
	return put(sink, &builder);
}

/* Whole messages of a worker go on as they are. False: nothing there now. */
static bool move_messages(struct flex_job *job, struct sink *sink)
{
	struct flex_message message;
	int size;

	if (job->output[0] < 0 || sink->room < ROOM)
		return false;
	if (flex_buffer_fill(&job->messages, job->output[0]) < 0)
		flex_job_close(&job->output[0]);
	for (;;) {
		size = flex_message_parse(flex_buffer_head(&job->messages), flex_buffer_used(&job->messages), &message);
		if (size <= 0 || (size_t)size > sink->room)
			break;
		if (message.type == FLEX_MSG_RESULT || message.type == FLEX_MSG_ERROR)
			job->answered = true;
		sink->room -= (size_t)size;
		sink->emit(sink->ctx, flex_buffer_head(&job->messages), (size_t)size);
		flex_buffer_consume(&job->messages, (size_t)size);
	}
	return false;
}

static void answer_error(struct flex_job *job, int number, const char *text, struct sink *sink)
{
	flex_build(&builder, FLEX_MSG_ERROR, job->request);
	flex_build_number(&builder, FLEX_TAG_ERRNO, (uint64_t)number);
	flex_build_text(&builder, FLEX_TAG_TEXT, text);
	put(sink, &builder);
}

static void answer_program(struct flex_job *job, struct sink *sink)
{
	flex_build(&builder, FLEX_MSG_RESULT, job->request);
	if (WIFSIGNALED(job->status))
		flex_build_number(&builder, FLEX_TAG_SIGNAL, (uint64_t)WTERMSIG(job->status));
	else
		flex_build_number(&builder, FLEX_TAG_STATUS, (uint64_t)WEXITSTATUS(job->status));
	flex_build_number(&builder, FLEX_TAG_TICKS, job->ended - job->started);
	flex_build_number(&builder, FLEX_TAG_TIMED_OUT, job->timed_out);
	put(sink, &builder);
}

static void finish(struct flex_job *job, struct sink *sink)
{
	if (job->cancelled && !job->answered)
		answer_error(job, ECANCELED, "cancelled", sink);
	else if (!job->worker)
		answer_program(job, sink);
	else if (!job->answered)
		answer_error(job, EIO, "the agent's worker died", sink);
	flex_job_release(job);
}

static void watch(struct flex_job *job, uint64_t now_ms)
{
	if (!job->exited && waitpid(job->child, &job->status, WNOHANG) == job->child) {
		job->exited = true;
		job->ended = flex_ticks();
	}
	if (!job->exited && !job->timed_out && job->deadline_ms && now_ms >= job->deadline_ms) {
		job->timed_out = true;
		kill_job(job);
	}
}

static void run_job(struct flex_job *job, uint64_t now_ms, struct sink *sink)
{
	bool exited;

	watch(job, now_ms);
	exited = job->exited; /* seen before the output is drained: nothing comes after it but from strays */
	if (job->worker) {
		move_messages(job, sink);
		if (exited && job->output[0] < 0)
			finish(job, sink);
		return;
	}
	move_input(job, sink);
	for (int stream = 0; stream < 2; stream++)
		while (move_output(job, stream, sink))
			;
	if (exited && sink->room >= ROOM)
		finish(job, sink);
}

int flex_jobs_run(struct flex_jobs *jobs, uint64_t now_ms, size_t room, flex_emit emit, void *ctx)
{
	struct sink sink = { .emit = emit, .ctx = ctx, .room = room };
	int patience = -1;

	for (size_t i = 0; i < FLEX_JOBS; i++) {
		struct flex_job *job = &jobs->job[i];

		if (job->child)
			run_job(job, now_ms, &sink);
		if (job->child && job->deadline_ms && !job->timed_out) {
			int left = job->deadline_ms > now_ms ? (int)(job->deadline_ms - now_ms) : 0;

			patience = patience < 0 || left < patience ? left : patience;
		}
	}
	return patience;
}

size_t flex_jobs_poll(const struct flex_jobs *jobs, struct pollfd *polls, bool hungry)
{
	size_t count = 0;

	for (size_t i = 0; i < FLEX_JOBS; i++) {
		const struct flex_job *job = &jobs->job[i];

		if (!job->child)
			continue;
		if (job->input >= 0 && flex_buffer_used(&job->pending))
			polls[count++] = (struct pollfd){ .fd = job->input, .events = POLLOUT };
		for (int stream = 0; stream < 2 && hungry; stream++)
			if (job->output[stream] >= 0)
				polls[count++] = (struct pollfd){ .fd = job->output[stream], .events = POLLIN };
	}
	return count;
}
