/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "job.h"
#include "job_table.h"

static void unblock(int descriptor)
{
	fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
}

/* The child's side before it becomes what it is to be: its own session, default signals, ordinary priority. */
static void become_child(void)
{
	sigset_t none;

	setsid();
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	(void)!nice(-nice(0)); /* the agent may run at a better one, its children must not */
}

size_t flex_job_args(const struct flex_message *message, char *text, size_t size, char *argv[FLEX_JOB_ARGS + 1])
{
	struct flex_field field;
	size_t offset = 0, used = 0, count = 0;

	while (flex_message_next(message, &offset, &field)) {
		if (field.tag != FLEX_TAG_ARG)
			continue;
		if (count == FLEX_JOB_ARGS || used + field.count + 1 > size || memchr(field.bytes, 0, field.count))
			return 0;
		memcpy(text + used, field.bytes, field.count);
		text[used + field.count] = 0;
		argv[count++] = text + used;
		used += field.count + 1;
	}
	argv[count] = NULL;
	return count;
}

void flex_job_exec(char *argv[], int input, int out, int err)
{
	dup2(input, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	execvp(argv[0], argv);
	dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

/* Three pipes; all closed again when one cannot be made. */
static int make_pipes(int pipes[3][2])
{
	for (int i = 0; i < 3; i++) {
		if (!pipe2(pipes[i], O_CLOEXEC))
			continue;
		while (i-- > 0) {
			close(pipes[i][0]);
			close(pipes[i][1]);
		}
		return -errno;
	}
	return 0;
}

int flex_job_program(struct flex_jobs *jobs, const struct flex_message *message, uint64_t now_ms)
{
	static char text[FLEX_MESSAGE_MAX];
	char *argv[FLEX_JOB_ARGS + 1];
	uint64_t patience = flex_message_number(message, FLEX_TAG_DEADLINE_MS, 0);
	bool wants_input = flex_message_number(message, FLEX_TAG_STDIN, 0) != 0;
	struct flex_job *job;
	int pipes[3][2], status;

	if (flex_job_find(jobs, message->request) || !flex_job_args(message, text, sizeof(text), argv))
		return -EINVAL;
	job = flex_job_claim(jobs, message->request);
	if (!job)
		return -EAGAIN;
	status = make_pipes(pipes);
	if (status)
		return status;
	job->started = flex_ticks();
	job->child = fork();
	if (job->child == 0) {
		become_child();
		flex_job_exec(argv, pipes[0][0], pipes[1][1], pipes[2][1]);
	}
	status = job->child < 0 ? -errno : 0;
	close(pipes[0][0]);
	close(pipes[1][1]);
	close(pipes[2][1]);
	job->input = pipes[0][1];
	job->output[0] = pipes[1][0];
	job->output[1] = pipes[2][0];
	if (status) {
		flex_job_release(job);
		return status;
	}
	job->deadline_ms = patience ? now_ms + patience : 0;
	unblock(job->input);
	unblock(job->output[0]);
	unblock(job->output[1]);
	if (!wants_input)
		flex_job_close(&job->input);
	return 0;
}

int flex_job_worker(struct flex_jobs *jobs, const struct flex_message *message, flex_worker worker)
{
	struct flex_job *job;
	int ends[2];

	if (flex_job_find(jobs, message->request))
		return -EINVAL;
	job = flex_job_claim(jobs, message->request);
	if (!job)
		return -EAGAIN;
	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	job->worker = true;
	job->child = fork();
	if (job->child == 0) {
		become_child();
		close(ends[0]);
		_exit(worker(message, ends[1]));
	}
	close(ends[1]);
	if (job->child < 0) {
		int error = errno;

		close(ends[0]);
		job->child = 0;
		return -error;
	}
	job->output[0] = ends[0];
	unblock(job->output[0]);
	return 0;
}
