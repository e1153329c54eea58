/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A batch: requests (protocol.h) from a file, one after the other, without a host. What they answer is kept in memory
 * and written as records at the end, so that nothing outside the board takes part while it measures (the virtual
 * clock needs that, DESIGN.md section 9).
 */
#ifndef FLEXAGENT_BATCH_H
#define FLEXAGENT_BATCH_H

#include "message.h"

struct flex_batch {
	struct flex_buffer requests;
	struct flex_buffer answers;
	struct flex_message current; /* points into `requests` */
	size_t size;                 /* bytes of `current` in `requests` */
	bool settled;                /* it has its answer */
};

/* Reads the file whole. 0 or -errno. */
int flex_batch_open(struct flex_batch *batch, const char *path);

/* Moves on to the next request, which is `current` then; false: there is none. Bytes that are no request end it. */
bool flex_batch_next(struct flex_batch *batch);

/* Keeps a whole message. RESULT, ERROR and HELD of the current request settle it. False: no memory is left. */
bool flex_batch_keep(struct flex_batch *batch, const uint8_t *bytes, size_t count);

/* All answers as data records of session 0, numbered from 0, then the line FLEX_BATCH_DONE. Blocks. 0 or -errno. */
int flex_batch_write(struct flex_batch *batch, int descriptor);

#define FLEX_BATCH_DONE "flexkit: batch done"

#endif /* FLEXAGENT_BATCH_H */
