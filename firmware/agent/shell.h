/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The console's two users. Bytes that come in are either records or a human's typing; this takes them apart, and gives
 * the human a shell on a terminal of its own (a pty), so that line editing, job control and Ctrl-C work.
 *
 * The shell starts when somebody presses Enter on an otherwise empty line (carriage return: records end with a
 * newline), and is gone after `exit`. Until then noise on the line reaches nobody.
 */
#ifndef FLEXAGENT_SHELL_H
#define FLEXAGENT_SHELL_H

#include <sys/types.h>

#include "buffer.h"
#include "record.h"

struct flex_shell {
	pid_t child;  /* 0: none */
	int terminal; /* the pty's master, -1: none */
	struct flex_buffer typed; /* for the shell */
};

void flex_shell_init(struct flex_shell *shell);

/* A byte that a human typed. Enter starts the shell when there is none. */
void flex_shell_type(struct flex_shell *shell, char byte);

/* Moves what can be moved; what the shell prints is appended to `wire`. Ends the shell when its terminal is closed. */
void flex_shell_run(struct flex_shell *shell, struct flex_buffer *wire);

/* Bytes on their way to being a record. */
struct flex_intake {
	char line[FLEX_RECORD_LINE];
	size_t used;
};

enum flex_intake_kind {
	FLEX_INTAKE_MORE,   /* held back: may become a record */
	FLEX_INTAKE_RECORD, /* `record` is one */
	FLEX_INTAKE_TYPED,  /* not part of a record: line[0..used) is somebody's typing */
};

/* Takes one byte. After RECORD and TYPED the caller clears with flex_intake_clear(). */
enum flex_intake_kind flex_intake_take(struct flex_intake *intake, char byte, struct flex_record *record);
void flex_intake_clear(struct flex_intake *intake);

#endif /* FLEXAGENT_SHELL_H */
