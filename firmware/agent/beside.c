/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "answer.h"
#include "beside.h"
#include "clock.h"
#include "infer.h"
#include "job.h"

#define IDS_MAX 4096 /* of one answer */
#define SAID_MAX 512 /* of what the program says last */

struct beside {
	struct flex_infer infer;
	int pipe;         /* to the host */
	pid_t program;
	int watch;        /* readable when the program has ended; -1: seen */
	int errors;       /* what the program writes to standard error: a file in memory */
	int status;       /* of waitpid() */
	uint64_t period, phase; /* ticks */
	uint64_t began, ended;
	uint64_t answers;
};

/* One answer: a process of its own, as INFER's is, with a pipe of its own. */
struct answer {
	pid_t child;
	int pipe;
	struct flex_buffer messages;
	int32_t ids[IDS_MAX];
	size_t count;
	bool done;
};

static struct flex_builder result;

static int start_program(struct beside *beside, const struct flex_message *message)
{
	static char text[FLEX_MESSAGE_MAX];
	char *argv[FLEX_JOB_ARGS + 1];
	int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (!flex_job_args(message, text, sizeof(text), argv))
		return EINVAL;
	beside->errors = memfd_create("stderr", MFD_CLOEXEC);
	if (nowhere < 0 || beside->errors < 0)
		return errno;
	beside->began = flex_ticks();
	beside->program = fork();
	if (beside->program == 0)
		flex_job_exec(argv, nowhere, nowhere, beside->errors);
	close(nowhere);
	if (beside->program < 0)
		return errno;
	beside->watch = pidfd_open(beside->program, 0);
	return beside->watch < 0 ? errno : 0;
}

static void reap(struct beside *beside)
{
	waitpid(beside->program, &beside->status, 0);
	beside->ended = flex_ticks();
	close(beside->watch);
	beside->watch = -1;
}

static void kill_program(struct beside *beside)
{
	if (beside->watch < 0)
		return;
	kill(beside->program, SIGKILL);
	reap(beside);
}

static struct timespec until(uint64_t due)
{
	uint64_t now = flex_ticks(), hz = flex_ticks_per_second(), left = due > now ? due - now : 0;

	return (struct timespec){ .tv_sec = (time_t)(left / hz), .tv_nsec = (long)(left % hz * 1000000000u / hz) };
}

/* Waits for an answer to come due. False: the program ended before. */
static bool comes_due(struct beside *beside)
{
	uint64_t due = beside->began + beside->phase + beside->answers * beside->period;
	struct pollfd watch = { .fd = beside->watch, .events = POLLIN };

	while (beside->watch >= 0) {
		struct timespec left = until(due);

		if (ppoll(&watch, 1, &left, NULL) > 0)
			reap(beside);
		else if (flex_ticks() >= due)
			return true;
	}
	return false;
}

static int start_answer(struct beside *beside, struct answer *answer)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
		return errno;
	answer->child = fork();
	if (answer->child == 0) {
		fcntl(ends[1], F_SETFL, 0);
		beside->infer.pipe = ends[1];
		_exit(flex_infer_run(&beside->infer));
	}
	close(ends[1]);
	answer->pipe = ends[0];
	flex_buffer_init(&answer->messages, 2 * FLEX_MESSAGE_MAX);
	if (answer->child > 0)
		return 0;
	close(ends[0]);
	return EAGAIN;
}

/* Returns 1 when the message is an error, which the host has got then. */
static int take_message(const struct beside *beside, struct answer *answer, const struct flex_message *message,
			size_t size)
{
	if (message->type == FLEX_MSG_ERROR) {
		(void)!write(beside->pipe, flex_buffer_head(&answer->messages), size);
		return 1;
	}
	if (message->type == FLEX_MSG_TOKEN && answer->count < IDS_MAX)
		answer->ids[answer->count++] = (int32_t)flex_message_number(message, FLEX_TAG_ID, 0);
	answer->done |= message->type == FLEX_MSG_RESULT;
	return 0;
}

static int take_messages(const struct beside *beside, struct answer *answer)
{
	struct flex_message message;
	int size, failed = 0;

	while (!failed && (size = flex_message_parse(flex_buffer_head(&answer->messages),
						     flex_buffer_used(&answer->messages), &message)) > 0) {
		failed = take_message(beside, answer, &message, (size_t)size);
		flex_buffer_consume(&answer->messages, (size_t)size);
	}
	return failed;
}

/* Follows an answer to its end, with an eye on the program. Returns 1 after an error that the host has got. */
static int follow(struct beside *beside, struct answer *answer)
{
	int failed = 0;

	while (!failed) {
		struct pollfd polls[] = { { .fd = answer->pipe, .events = POLLIN },
					  { .fd = beside->watch, .events = POLLIN } };

		if (poll(polls, 2, -1) < 0)
			continue;
		if (polls[1].revents)
			reap(beside);
		if (polls[0].revents && flex_buffer_fill(&answer->messages, answer->pipe) < 0)
			break;
		failed = take_messages(beside, answer);
	}
	if (!failed && !answer->done)
		failed = flex_answer_error(beside->pipe, beside->infer.request, EIO, "an answer died without a result");
	return failed;
}

/* One answer, and its tokens into the result. 0, or 1 after an error. */
static int answer_once(struct beside *beside)
{
	static struct answer answer;
	int error, failed;

	memset(&answer, 0, sizeof(answer));
	error = start_answer(beside, &answer);
	if (error)
		return flex_answer_error(beside->pipe, beside->infer.request, error, "an answer could not be started");
	failed = follow(beside, &answer);
	if (failed)
		kill(answer.child, SIGKILL);
	waitpid(answer.child, NULL, 0);
	close(answer.pipe);
	flex_buffer_free(&answer.messages);
	flex_build_bytes(&result, FLEX_TAG_DATA, answer.ids, answer.count * sizeof(answer.ids[0]));
	beside->answers++;
	return failed;
}

/* The end of what the program wrote to standard error. */
static void put_said(const struct beside *beside)
{
	char said[SAID_MAX];
	off_t size = lseek(beside->errors, 0, SEEK_END), from = size > SAID_MAX ? size - SAID_MAX : 0;
	ssize_t count = pread(beside->errors, said, sizeof(said), from);

	if (count > 0)
		flex_build_bytes(&result, FLEX_TAG_TEXT, said, (size_t)count);
}

static int finish(const struct beside *beside)
{
	uint64_t last = flex_ticks();

	if (WIFSIGNALED(beside->status))
		flex_build_number(&result, FLEX_TAG_SIGNAL, (uint64_t)WTERMSIG(beside->status));
	else
		flex_build_number(&result, FLEX_TAG_STATUS, (uint64_t)WEXITSTATUS(beside->status));
	flex_build_number(&result, FLEX_TAG_TICKS, beside->ended - beside->began);
	flex_build_number(&result, FLEX_TAG_SPENT, last - beside->began);
	put_said(beside);
	if (flex_answer_send(&result, beside->pipe))
		return 0;
	return flex_answer_error(beside->pipe, beside->infer.request, E2BIG, "more answers than a message holds");
}

static uint64_t ticks_of(const struct flex_message *message, uint8_t tag)
{
	return flex_message_number(message, tag, 0) * flex_ticks_per_second() / 1000000u;
}

int flex_beside_worker(const struct flex_message *message, int pipe)
{
	static struct beside beside;
	int error, failed = 0;

	beside.pipe = pipe;
	beside.period = ticks_of(message, FLEX_TAG_PERIOD_US);
	beside.phase = ticks_of(message, FLEX_TAG_PHASE_US);
	if (!flex_infer_take(message, &beside.infer) || beside.infer.turns != 1 || !beside.period ||
	    beside.infer.tokens > IDS_MAX)
		return flex_answer_error(pipe, message->request, EINVAL, "BESIDE: a field is missing or out of range");
	flex_build(&result, FLEX_MSG_RESULT, message->request);
	error = start_program(&beside, message);
	if (error)
		return flex_answer_error(pipe, message->request, error, "BESIDE: the program could not be started");
	while (!failed && comes_due(&beside))
		failed = answer_once(&beside);
	if (failed)
		kill_program(&beside);
	return failed ? failed : finish(&beside);
}
