/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages (protocol.h): building them, taking them apart. Every length is checked before anything is read. */
#ifndef FLEXAGENT_MESSAGE_H
#define FLEXAGENT_MESSAGE_H

#include "buffer.h"
#include "protocol.h"

/* A message under construction. After the first field that found no room it stays `failed`. */
struct flex_builder {
	uint8_t bytes[FLEX_MESSAGE_MAX];
	size_t used;
	bool failed;
};

void flex_build(struct flex_builder *builder, uint8_t type, uint32_t request);
void flex_build_bytes(struct flex_builder *builder, uint8_t tag, const void *bytes, size_t count);
void flex_build_text(struct flex_builder *builder, uint8_t tag, const char *text);
void flex_build_number(struct flex_builder *builder, uint8_t tag, uint64_t number);

/* Writes the size into the head. False when a field had found no room. */
bool flex_build_end(struct flex_builder *builder);

/* A message in somebody else's bytes. */
struct flex_message {
	uint8_t type;
	uint32_t request;
	const uint8_t *fields;
	size_t count; /* bytes of fields */
};

struct flex_field {
	uint8_t tag;
	const uint8_t *bytes;
	size_t count;
};

/*
 * The first message in `bytes`: > 0: its whole size, `message` set; 0: not all there yet; -1: no message (its size is
 * impossible, or a field overruns it): the stream cannot be followed any more.
 */
int flex_message_parse(const uint8_t *bytes, size_t count, struct flex_message *message);

/* The field at *offset, which moves on; false at the end. Start with *offset = 0. */
bool flex_message_next(const struct flex_message *message, size_t *offset, struct flex_field *field);

/* The first field with this tag; false when there is none. */
bool flex_message_find(const struct flex_message *message, uint8_t tag, struct flex_field *field);

/* Its number, or `otherwise` when it is absent or not 8 bytes long. */
uint64_t flex_message_number(const struct flex_message *message, uint8_t tag, uint64_t otherwise);

/* Copies a text field, zero-terminated; false when absent, too long for `size`, or with a zero inside. */
bool flex_message_text(const struct flex_message *message, uint8_t tag, char *text, size_t size);

#endif /* FLEXAGENT_MESSAGE_H */
