/* SPDX-License-Identifier: BSD-3-Clause */
/* Prompts as they were asked for, and what every mode tells the host of them. */
#ifndef FLEXAGENT_INFER_REPORT_H
#define FLEXAGENT_INFER_REPORT_H

#include "message.h"

#define FLEX_INFER_TURNS 32

struct flex_prompt {
	const uint8_t *text;
	size_t bytes;
};

struct flex_infer {
	uint32_t request;
	int pipe;           /* where messages go */
	char model[1024];   /* path */
	struct flex_prompt prompt[FLEX_INFER_TURNS];
	size_t turns;       /* more than one: a conversation */
	uint32_t tokens, threads, context, mode, flags;
};

/* FLEX_MSG_TOKEN. False when the agent is gone. */
bool flex_infer_token(const struct flex_infer *infer, uint32_t index, int32_t id, uint64_t ticks, const void *text,
		      size_t bytes);

/* FLEX_MSG_TEXT: more of the last token. False when the agent is gone. */
bool flex_infer_text(const struct flex_infer *infer, const void *text, size_t bytes);

/* EXPOSED or BUSY of one part. */
void flex_infer_part(struct flex_builder *builder, uint8_t tag, uint8_t part, uint64_t ticks);

#endif /* FLEXAGENT_INFER_REPORT_H */
