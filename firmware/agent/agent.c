/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * flexagent: what the host talks to on the board.
 *
 *   flexagent --console /dev/console   records and a human's shell over the serial console
 *   flexagent --stdio                  records over standard input and output (SSH)
 *   flexagent --batch FILE             requests from a file, answers to standard output at the end (batch.h)
 *   flexagent --version                its build identity
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "batch.h"
#include "beside.h"
#include "cache.h"
#include "clock.h"
#include "fragment.h"
#include "infer.h"
#include "job.h"
#include "link.h"
#include "measure.h"
#include "memory.h"
#include "shell.h"
#include "short.h"

#define WIRE_LIMIT (1u << 18)
#define ANSWER_ROOM (8 * FLEX_MESSAGE_MAX) /* below it no new request is looked at */

struct agent {
	int in, out, children; /* children: signalfd of SIGCHLD */
	bool human;            /* a console: typing goes to the shell */
	struct flex_batch *batch; /* NULL: there is a host */
	struct flex_buffer wire;
	struct flex_link link;
	struct flex_jobs jobs;
	struct flex_shell shell;
	struct flex_intake intake;
};

static struct agent agent;
static struct flex_builder builder;

static bool emit(void *ctx, const uint8_t *bytes, size_t count)
{
	(void)ctx;
	return agent.batch ? flex_batch_keep(agent.batch, bytes, count) : flex_link_send(&agent.link, bytes, count);
}

static void send_answer(void)
{
	if (flex_build_end(&builder))
		emit(NULL, builder.bytes, builder.used);
}

static void send_error(uint32_t request, int error)
{
	flex_build(&builder, FLEX_MSG_ERROR, request);
	flex_build_number(&builder, FLEX_TAG_ERRNO, (uint64_t)error);
	flex_build_text(&builder, FLEX_TAG_TEXT, strerror(error));
	send_answer();
}

static int answer_cancel(const struct flex_message *message, struct flex_builder *answer)
{
	uint32_t target = (uint32_t)flex_message_number(message, FLEX_TAG_TARGET, 0);

	(void)answer;
	flex_job_cancel(&agent.jobs, target); /* a job that has ended meanwhile needs no cancelling */
	return 0;
}

/* What takes time. EXEC and INPUT have their own handling. */
static const struct {
	uint8_t type;
	flex_worker worker;
} workers[] = {
	{ FLEX_MSG_INFER, flex_infer_worker },
	{ FLEX_MSG_HOLD, flex_hold_worker },
	{ FLEX_MSG_FAULT, flex_fault_worker },
	{ FLEX_MSG_FRAGMENT, flex_fragment_worker },
	{ FLEX_MSG_MEASURE, flex_measure_worker },
	{ FLEX_MSG_DROP, flex_drop_worker },
	{ FLEX_MSG_BESIDE, flex_beside_worker },
};

static void answer_now(const struct flex_message *message, flex_short answer)
{
	int status;

	flex_build(&builder, FLEX_MSG_RESULT, message->request);
	status = answer(message, &builder);
	if (status)
		send_error(message->request, -status);
	else
		send_answer();
}

static int start_job(const struct flex_message *message)
{
	if (message->type == FLEX_MSG_EXEC)
		return flex_job_program(&agent.jobs, message, flex_now_ms());
	if (message->type == FLEX_MSG_INPUT)
		return flex_job_input(&agent.jobs, message);
	for (size_t i = 0; i < sizeof(workers) / sizeof(workers[0]); i++)
		if (workers[i].type == message->type)
			return flex_job_worker(&agent.jobs, message, workers[i].worker);
	return -ENOSYS;
}

static void dispatch(const struct flex_message *message)
{
	flex_short answer = message->type == FLEX_MSG_CANCEL ? answer_cancel : flex_short_find(message->type);
	int status;

	if (answer) {
		answer_now(message, answer);
		return;
	}
	status = start_job(message);
	if (status)
		send_error(message->request, -status);
}

/* Requests that have come whole, as long as there is room to answer them. */
static void take_requests(void)
{
	struct flex_buffer *received = &agent.link.received;
	struct flex_message message;

	while (agent.link.open && flex_buffer_room(&agent.link.queue) >= ANSWER_ROOM) {
		int size = flex_message_parse(flex_buffer_head(received), flex_buffer_used(received), &message);

		if (size < 0)
			agent.link.open = false; /* the host will say hello again */
		if (size <= 0)
			return;
		dispatch(&message);
		flex_buffer_consume(received, (size_t)size);
	}
}

static void on_link(enum flex_link_event event)
{
	if (event != FLEX_LINK_NOTHING)
		flex_jobs_kill(&agent.jobs); /* they belonged to the session before */
}

static void take_byte(char byte)
{
	struct flex_record record;

	switch (flex_intake_take(&agent.intake, byte, &record)) {
	case FLEX_INTAKE_RECORD:
		on_link(flex_link_take(&agent.link, &record, flex_now_ms()));
		break;
	case FLEX_INTAKE_TYPED:
		for (size_t i = 0; agent.human && i < agent.intake.used; i++)
			flex_shell_type(&agent.shell, agent.intake.line[i]);
		break;
	case FLEX_INTAKE_MORE:
		return;
	}
	flex_intake_clear(&agent.intake);
}

/* False: the other end is gone. */
static bool take_input(void)
{
	char chunk[4096];
	ssize_t count = read(agent.in, chunk, sizeof(chunk));

	if (count < 0)
		return errno == EAGAIN || errno == EINTR;
	for (ssize_t i = 0; i < count; i++)
		take_byte(chunk[i]);
	return count > 0;
}

static int shorter(int a, int b)
{
	if (a < 0 || b < 0)
		return a < 0 ? b : a;
	return a < b ? a : b;
}

/* Does all that can be done without waiting; returns how long to wait at the most, in milliseconds. */
static int work(void)
{
	uint64_t now = flex_now_ms();
	int patience;

	take_requests();
	flex_shell_run(&agent.shell, &agent.wire);
	patience = flex_jobs_run(&agent.jobs, now, flex_buffer_room(&agent.link.queue), emit, NULL);
	on_link(flex_link_run(&agent.link, now));
	return shorter(patience, flex_link_patience(&agent.link, now));
}

static void wait_for_more(int patience)
{
	struct pollfd polls[4 + 3 * FLEX_JOBS] = {
		{ .fd = agent.in, .events = POLLIN },
		{ .fd = agent.children, .events = POLLIN },
		{ .fd = agent.shell.terminal,
		  .events = (short)(POLLIN | (flex_buffer_used(&agent.shell.typed) ? POLLOUT : 0)) },
		{ .fd = flex_buffer_used(&agent.wire) ? agent.out : -1, .events = POLLOUT },
	};
	bool hungry = flex_buffer_room(&agent.link.queue) >= ANSWER_ROOM / 2;
	struct signalfd_siginfo child;

	poll(polls, 4 + flex_jobs_poll(&agent.jobs, polls + 4, hungry), patience);
	while (read(agent.children, &child, sizeof(child)) == sizeof(child))
		;
}

static int serve(void)
{
	for (;;) {
		wait_for_more(work());
		if (!take_input() || flex_buffer_drain(&agent.wire, agent.out) < 0)
			break;
	}
	flex_jobs_kill(&agent.jobs);
	return 0;
}

static void prepare(void)
{
	sigset_t children;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&children);
	sigaddset(&children, SIGCHLD);
	sigprocmask(SIG_BLOCK, &children, NULL);
	agent.children = signalfd(-1, &children, SFD_NONBLOCK | SFD_CLOEXEC);
	flex_buffer_init(&agent.wire, WIRE_LIMIT);
	flex_link_init(&agent.link, &agent.wire);
	flex_jobs_init(&agent.jobs);
	flex_shell_init(&agent.shell);
	/* A board that computes on every core still answers. */
	(void)!nice(-10);
}

static int serve_stdio(void)
{
	prepare();
	agent.in = STDIN_FILENO;
	agent.out = STDOUT_FILENO;
	fcntl(agent.in, F_SETFL, fcntl(agent.in, F_GETFL) | O_NONBLOCK);
	fcntl(agent.out, F_SETFL, fcntl(agent.out, F_GETFL) | O_NONBLOCK);
	return serve();
}

static int serve_console(const char *path)
{
	static const char ready[] = "\nflexkit: agent ready\n";
	struct termios raw;
	int console = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	if (console < 0 || tcgetattr(console, &raw)) {
		fprintf(stderr, "flexagent: %s: %s\n", path, strerror(errno));
		return 1;
	}
	cfmakeraw(&raw);
	tcsetattr(console, TCSANOW, &raw);
	prepare();
	agent.in = agent.out = console;
	agent.human = true;
	flex_buffer_append(&agent.wire, ready, sizeof(ready) - 1);
	return serve();
}

/* To its answer; a HOLD goes on behind it. */
static void run_request(struct flex_batch *batch)
{
	struct pollfd polls[1 + 3 * FLEX_JOBS] = { { .fd = agent.children, .events = POLLIN } };
	struct signalfd_siginfo child;

	dispatch(&batch->current);
	for (;;) {
		int patience = flex_jobs_run(&agent.jobs, flex_now_ms(), flex_buffer_room(&batch->answers), emit, NULL);

		if (batch->settled)
			return;
		poll(polls, 1 + flex_jobs_poll(&agent.jobs, polls + 1, true), patience);
		while (read(agent.children, &child, sizeof(child)) == sizeof(child))
			;
	}
}

static int serve_batch(const char *path)
{
	static struct flex_batch batch;
	int status = flex_batch_open(&batch, path);

	if (status) {
		fprintf(stderr, "flexagent: %s: %s\n", path, strerror(-status));
		return 1;
	}
	prepare();
	agent.batch = &batch;
	while (flex_batch_next(&batch))
		run_request(&batch);
	flex_jobs_kill(&agent.jobs);
	return flex_batch_write(&batch, STDOUT_FILENO) ? 1 : 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--version")) {
		puts("flexagent " FLEX_BUILD_ID_HEX);
		return 0;
	}
	if (argc == 2 && !strcmp(argv[1], "--stdio"))
		return serve_stdio();
	if (argc == 3 && !strcmp(argv[1], "--console"))
		return serve_console(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "--batch"))
		return serve_batch(argv[2]);
	fprintf(stderr, "usage: flexagent --console TTY | --stdio | --batch FILE | --version\n");
	return 2;
}
