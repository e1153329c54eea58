/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Jobs: what takes time runs in a child process of its own, in a session of its own, and is ended by killing that
 * process group. Two kinds:
 *
 *   program  EXEC: any argv; its output becomes OUTPUT messages, INPUT messages its standard input
 *   worker   INFER, HOLD, FAULT and others: a function of the agent that writes whole messages into a pipe and ends with RESULT or
 *            ERROR itself. When it dies without, the agent answers for it.
 */
#ifndef FLEXAGENT_JOB_H
#define FLEXAGENT_JOB_H

#include <sys/types.h>

#include "message.h"

#define FLEX_JOBS 16
#define FLEX_JOB_ARGS 256 /* words of a program */
#define FLEX_JOB_INPUT (1u << 17) /* bytes that wait for a program */

struct flex_job {
	pid_t child; /* 0: free */
	uint32_t request;
	bool worker;
	bool exited;
	bool cancelled;
	bool timed_out;
	bool answered;  /* the worker has sent its RESULT or ERROR */
	int status;     /* of waitpid() */
	int input;      /* -1: closed */
	bool input_ends; /* close when what waits is written */
	int output[2];  /* standard output and error, or the worker's messages; -1: ended */
	uint64_t started; /* ticks */
	uint64_t ended;
	uint64_t deadline_ms; /* 0: none */
	struct flex_buffer pending;   /* for its input */
	struct flex_buffer messages;  /* from a worker, not yet whole */
};

struct flex_jobs {
	struct flex_job job[FLEX_JOBS];
};

/* What a worker runs in the child: writes messages to `pipe`, returns the exit status. */
typedef int (*flex_worker)(const struct flex_message *message, int pipe);

/* Where messages for the host go. False: no room now. */
typedef bool (*flex_emit)(void *ctx, const uint8_t *bytes, size_t count);

void flex_jobs_init(struct flex_jobs *jobs);

/* Starts one for this message. 0 or -errno; the answer is the caller's to give then. */
int flex_job_program(struct flex_jobs *jobs, const struct flex_message *message, uint64_t now_ms);
int flex_job_worker(struct flex_jobs *jobs, const struct flex_message *message, flex_worker worker);

/*
 * The words (ARG) of a message as argv: pointers into `text`, which must outlive it. Returns the count, 0 when there is
 * none or too many.
 */
size_t flex_job_args(const struct flex_message *message, char *text, size_t size, char *argv[FLEX_JOB_ARGS + 1]);

/* Becomes that program, with these standard descriptors; exits with 126 or 127 when it cannot. */
void flex_job_exec(char *argv[], int input, int out, int err);

/* INPUT for the program of that request. 0 or -errno. */
int flex_job_input(struct flex_jobs *jobs, const struct flex_message *message);

/* Kills the job; it ends with ERROR ECANCELED. False: no such job. */
bool flex_job_cancel(struct flex_jobs *jobs, uint32_t request);

/* Kills all, waits for them, answers nobody. */
void flex_jobs_kill(struct flex_jobs *jobs);

/*
 * Moves what can be moved: input to programs, output to messages, ends to answers. `room`: bytes that `emit` can take;
 * programs wait when it is short. Returns milliseconds until a deadline, -1 for none.
 */
int flex_jobs_run(struct flex_jobs *jobs, uint64_t now_ms, size_t room, flex_emit emit, void *ctx);

/* Descriptors to poll, at most 3 for each job; returns how many. `hungry`: output is wanted too. */
struct pollfd;
size_t flex_jobs_poll(const struct flex_jobs *jobs, struct pollfd *polls, bool hungry);

#endif /* FLEXAGENT_JOB_H */
