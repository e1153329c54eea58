/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shell.h"

#define MARKER_LENGTH (sizeof(FLEX_RECORD_MARKER) - 1)
#define TYPED_LIMIT 4096
#define WIRE_ROOM 4096 /* the shell prints only while the wire has this much room */

void flex_shell_init(struct flex_shell *shell)
{
	shell->child = 0;
	shell->terminal = -1;
	flex_buffer_init(&shell->typed, TYPED_LIMIT);
}

static void start(struct flex_shell *shell)
{
	shell->child = forkpty(&shell->terminal, NULL, NULL, NULL);
	if (shell->child == 0) {
		sigset_t none;

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		setenv("TERM", "vt100", 0);
		setenv("HOME", "/root", 0);
		setenv("PS1", "\\w \\$ ", 1);
		execl("/bin/sh", "-sh", (char *)NULL);
		_exit(127);
	}
	if (shell->child < 0) {
		shell->child = 0;
		return;
	}
	fcntl(shell->terminal, F_SETFL, O_NONBLOCK);
	fcntl(shell->terminal, F_SETFD, FD_CLOEXEC);
}

static void end(struct flex_shell *shell)
{
	close(shell->terminal);
	kill(shell->child, SIGHUP);
	waitpid(shell->child, NULL, 0);
	shell->child = 0;
	shell->terminal = -1;
	flex_buffer_clear(&shell->typed);
}

void flex_shell_type(struct flex_shell *shell, char byte)
{
	if (shell->child)
		flex_buffer_append(&shell->typed, &byte, 1);
	else if (byte == '\r')
		start(shell);
}

void flex_shell_run(struct flex_shell *shell, struct flex_buffer *wire)
{
	char chunk[1024];
	ssize_t count;

	if (!shell->child)
		return;
	flex_buffer_drain(&shell->typed, shell->terminal);
	while (flex_buffer_room(wire) >= WIRE_ROOM) {
		count = read(shell->terminal, chunk, sizeof(chunk));
		if (count < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (count <= 0) {
			end(shell); /* EIO: nobody has the terminal open any more */
			return;
		}
		flex_buffer_append(wire, chunk, (size_t)count);
	}
}

void flex_intake_clear(struct flex_intake *intake)
{
	intake->used = 0;
}

enum flex_intake_kind flex_intake_take(struct flex_intake *intake, char byte, struct flex_record *record)
{
	bool in_record = intake->used >= MARKER_LENGTH;

	if (in_record && byte == '\n') {
		if (flex_record_decode(intake->line, intake->used, record))
			return FLEX_INTAKE_RECORD;
		flex_intake_clear(intake);
		return FLEX_INTAKE_MORE;
	}
	/* '@' is in no record but at its beginning, so a record whose end was lost does not take the next one along. */
	if (in_record && (byte == FLEX_RECORD_MARKER[0] || intake->used == sizeof(intake->line)))
		flex_intake_clear(intake);
	intake->line[intake->used++] = byte;
	if (in_record || byte == FLEX_RECORD_MARKER[intake->used - 1])
		return FLEX_INTAKE_MORE;
	return FLEX_INTAKE_TYPED;
}
