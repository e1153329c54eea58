/* SPDX-License-Identifier: BSD-3-Clause */
/* Answers of a worker: whole messages written into its pipe, which blocks when the host is slow. */
#ifndef FLEXAGENT_ANSWER_H
#define FLEXAGENT_ANSWER_H

#include "message.h"

/* Ends and writes a message. False when the agent is gone. */
bool flex_answer_send(struct flex_builder *builder, int pipe);

/* FLEX_MSG_ERROR with a positive errno and a text (NULL: the errno's own). Returns 1, a worker's exit status. */
int flex_answer_error(int pipe, uint32_t request, int number, const char *text);

#endif /* FLEXAGENT_ANSWER_H */
