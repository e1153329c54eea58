/* SPDX-License-Identifier: BSD-3-Clause */
/* INFER (protocol.h): a worker for each request. */
#ifndef FLEXAGENT_INFER_H
#define FLEXAGENT_INFER_H

#include "message.h"

#define FLEX_DEVICE "/dev/flexserve"

struct flex_infer {
	uint32_t request;
	int pipe;           /* where messages go */
	char model[1024];   /* path */
	const uint8_t *prompt;
	size_t prompt_bytes;
	uint32_t tokens, threads, context, mode, flags;
};

/* Runs one INFER message to its end, writing its events and its answer to `pipe`. Returns 0, or 1 after an error. */
int flex_infer_worker(const struct flex_message *message, int pipe);

/* The two ways to run it: on /dev/flexserve (flexserve, strawman), or in this process by the engine's Linux library. */
int flex_infer_secure(const struct flex_infer *infer);
int flex_infer_linux(const struct flex_infer *infer);

/* FLEX_MSG_TOKEN. False when the agent is gone. */
bool flex_infer_token(const struct flex_infer *infer, uint32_t index, int32_t id, uint64_t ticks, const void *text,
		      size_t bytes);

/* FLEX_MSG_TEXT: more of the last token. False when the agent is gone. */
bool flex_infer_text(const struct flex_infer *infer, const void *text, size_t bytes);

/* EXPOSED or BUSY of one part. */
void flex_infer_part(struct flex_builder *builder, uint8_t tag, uint8_t part, uint64_t ticks);

#endif /* FLEXAGENT_INFER_H */
