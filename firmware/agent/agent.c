/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * flexagent: what the host talks to on the board.
 *
 *   flexagent --console /dev/console   records and a human's shell over the serial console
 *   flexagent --stdio                  records over standard input and output (SSH)
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
#include <sys/stat.h>
#include <sys/utsname.h>
#include <termios.h>
#include <unistd.h>

#include "clock.h"
#include "device.h"
#include "infer.h"
#include "job.h"
#include "link.h"
#include "memory.h"
#include "shell.h"

#define WIRE_LIMIT (1u << 18)
#define ANSWER_ROOM (8 * FLEX_MESSAGE_MAX) /* below it no new request is looked at */
#define ROOTFS_ID "/etc/flexkit/rootfs.id"

struct agent {
	int in, out, children; /* children: signalfd of SIGCHLD */
	bool human;            /* a console: typing goes to the shell */
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
	return flex_link_send(&agent.link, bytes, count);
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

/* Adds the first line of a small file, if there is one. */
static void build_file(uint8_t tag, const char *path)
{
	char line[256];
	FILE *file = fopen(path, "re");

	if (!file)
		return;
	if (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = 0;
		flex_build_text(&builder, tag, line);
	}
	fclose(file);
}

/*
 * Answers to short requests. Each adds its fields to the RESULT that is under construction and returns 0, or a
 * negative errno: the answer is then an ERROR.
 */
static int answer_identify(const struct flex_message *message)
{
	struct utsname name;
	char text[5 * sizeof(name.release)];

	(void)message;
	uname(&name);
	snprintf(text, sizeof(text), "%s %s %s %s", name.sysname, name.release, name.version, name.machine);
	flex_build_text(&builder, FLEX_TAG_AGENT_ID, FLEX_BUILD_ID_HEX);
	flex_build_text(&builder, FLEX_TAG_UNAME, text);
	build_file(FLEX_TAG_ROOTFS_ID, ROOTFS_ID);
	build_file(FLEX_TAG_BOOT_ID, "/proc/sys/kernel/random/boot_id");
	flex_build_number(&builder, FLEX_TAG_CORES, (uint64_t)sysconf(_SC_NPROCESSORS_ONLN));
	flex_build_number(&builder, FLEX_TAG_COUNTER_HZ, flex_ticks_per_second());
	flex_build_number(&builder, FLEX_TAG_TICKS, flex_ticks());
	return flex_device_identify(&builder);
}

static int answer_ping(const struct flex_message *message)
{
	struct flex_field data = { 0 };

	if (flex_message_find(message, FLEX_TAG_DATA, &data))
		flex_build_bytes(&builder, FLEX_TAG_DATA, data.bytes, data.count);
	flex_build_number(&builder, FLEX_TAG_TICKS, flex_ticks());
	return 0;
}

static int answer_stat(const struct flex_message *message)
{
	char path[1024];
	struct stat status;

	if (!flex_message_text(message, FLEX_TAG_PATH, path, sizeof(path)))
		return -EINVAL;
	if (stat(path, &status))
		return -errno;
	flex_build_number(&builder, FLEX_TAG_SIZE, (uint64_t)status.st_size);
	flex_build_number(&builder, FLEX_TAG_MODE, status.st_mode);
	flex_build_number(&builder, FLEX_TAG_MTIME, (uint64_t)status.st_mtime);
	return 0;
}

static int answer_cancel(const struct flex_message *message)
{
	uint32_t target = (uint32_t)flex_message_number(message, FLEX_TAG_TARGET, 0);

	flex_job_cancel(&agent.jobs, target); /* a job that has ended meanwhile needs no cancelling */
	return 0;
}

static int answer_forget(const struct flex_message *message)
{
	char path[1024];

	if (!flex_message_text(message, FLEX_TAG_MODEL, path, sizeof(path)))
		return -EINVAL;
	return flex_device_forget(path);
}

static int answer_protect(const struct flex_message *message)
{
	return flex_device_protect((uint32_t)flex_message_number(message, FLEX_TAG_ON, 0));
}

static int answer_recall(const struct flex_message *message)
{
	return flex_device_recall(flex_message_number(message, FLEX_TAG_PAGES, 0), &builder);
}

static int answer_stats(const struct flex_message *message)
{
	(void)message;
	return flex_device_stats(&builder);
}

static int answer_drill(const struct flex_message *message)
{
	return flex_device_drill((uint32_t)flex_message_number(message, FLEX_TAG_KIND, 0));
}

static int answer_panic(const struct flex_message *message)
{
	(void)message;
	return flex_device_panic(&builder);
}

/* What each request is: answered at once, or a worker. EXEC and INPUT have their own handling. */
static const struct {
	uint8_t type;
	int (*answer)(const struct flex_message *message);
	flex_worker worker;
} requests[] = {
	{ FLEX_MSG_IDENTIFY, answer_identify, NULL },
	{ FLEX_MSG_PING, answer_ping, NULL },
	{ FLEX_MSG_STAT, answer_stat, NULL },
	{ FLEX_MSG_CANCEL, answer_cancel, NULL },
	{ FLEX_MSG_FORGET, answer_forget, NULL },
	{ FLEX_MSG_PROTECT, answer_protect, NULL },
	{ FLEX_MSG_RECALL, answer_recall, NULL },
	{ FLEX_MSG_STATS, answer_stats, NULL },
	{ FLEX_MSG_DRILL, answer_drill, NULL },
	{ FLEX_MSG_PANIC, answer_panic, NULL },
	{ FLEX_MSG_INFER, NULL, flex_infer_worker },
	{ FLEX_MSG_HOLD, NULL, flex_hold_worker },
	{ FLEX_MSG_FAULT, NULL, flex_fault_worker },
};

static void answer_now(const struct flex_message *message, int (*answer)(const struct flex_message *))
{
	int status;

	flex_build(&builder, FLEX_MSG_RESULT, message->request);
	status = answer(message);
	if (status)
		send_error(message->request, -status);
	else
		send_answer();
}

static void dispatch(const struct flex_message *message)
{
	int status = -ENOSYS;

	if (message->type == FLEX_MSG_EXEC)
		status = flex_job_program(&agent.jobs, message, flex_now_ms());
	else if (message->type == FLEX_MSG_INPUT)
		status = flex_job_input(&agent.jobs, message);
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		if (requests[i].type != message->type)
			continue;
		if (requests[i].answer) {
			answer_now(message, requests[i].answer);
			return;
		}
		status = flex_job_worker(&agent.jobs, message, requests[i].worker);
	}
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
	fprintf(stderr, "usage: flexagent --console TTY | --stdio | --version\n");
	return 2;
}
