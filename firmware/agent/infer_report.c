/* SPDX-License-Identifier: BSD-3-Clause */
#include "answer.h"
#include "infer_report.h"

bool flex_infer_token(const struct flex_infer *infer, uint32_t index, int32_t id, uint64_t ticks, const void *text,
		      size_t bytes)
{
	static struct flex_builder builder;

	flex_build(&builder, FLEX_MSG_TOKEN, infer->request);
	flex_build_number(&builder, FLEX_TAG_ID, (uint64_t)(int64_t)id);
	flex_build_number(&builder, FLEX_TAG_INDEX, index);
	flex_build_number(&builder, FLEX_TAG_TICKS, ticks);
	flex_build_bytes(&builder, FLEX_TAG_DATA, text, bytes);
	return flex_answer_send(&builder, infer->pipe);
}

bool flex_infer_text(const struct flex_infer *infer, const void *text, size_t bytes)
{
	static struct flex_builder builder;

	flex_build(&builder, FLEX_MSG_TEXT, infer->request);
	flex_build_bytes(&builder, FLEX_TAG_DATA, text, bytes);
	return flex_answer_send(&builder, infer->pipe);
}

void flex_infer_part(struct flex_builder *builder, uint8_t tag, uint8_t part, uint64_t ticks)
{
	uint8_t bytes[9] = { part };

	for (int i = 0; i < 8; i++)
		bytes[1 + i] = (uint8_t)(ticks >> (8 * i));
	flex_build_bytes(builder, tag, bytes, sizeof(bytes));
}
