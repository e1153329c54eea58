/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A byte buffer that grows up to a limit and is consumed from the front. It is how every stream of the agent waits:
 * lines for the wire, bytes from the host, output of a program.
 */
#ifndef FLEXAGENT_BUFFER_H
#define FLEXAGENT_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct flex_buffer {
	uint8_t *data;   /* [size] allocated */
	size_t begin;    /* first byte that is still wanted */
	size_t end;      /* one past the last byte */
	size_t size;
	size_t limit;    /* never holds more than this */
};

/* An empty buffer that will hold at most `limit` bytes. Nothing is allocated yet. */
void flex_buffer_init(struct flex_buffer *buffer, size_t limit);
void flex_buffer_free(struct flex_buffer *buffer);

size_t flex_buffer_used(const struct flex_buffer *buffer);
size_t flex_buffer_room(const struct flex_buffer *buffer);
const uint8_t *flex_buffer_head(const struct flex_buffer *buffer);

/* Appends all `count` bytes, or nothing: false beyond the limit or when memory is out. */
bool flex_buffer_append(struct flex_buffer *buffer, const void *bytes, size_t count);

/* Forgets the first `count` bytes; `count` is at most what is used. */
void flex_buffer_consume(struct flex_buffer *buffer, size_t count);
void flex_buffer_clear(struct flex_buffer *buffer);

/* One read() or write() on a non-blocking descriptor. > 0: bytes moved; 0: would block or nothing to do; -1: ended. */
int flex_buffer_fill(struct flex_buffer *buffer, int descriptor);
int flex_buffer_drain(struct flex_buffer *buffer, int descriptor);

#endif /* FLEXAGENT_BUFFER_H */
