/* SPDX-License-Identifier: BSD-3-Clause */
/* libFuzzer: any line decodes or not without harm, and what decodes encodes to a line that decodes to the same. */
#include <stdlib.h>
#include <string.h>

#include "record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char line[FLEX_RECORD_LINE];
	struct flex_record record, back;
	size_t count;

	if (!flex_record_decode((const char *)data, size, &record))
		return 0;
	count = flex_record_encode(&record, line);
	if (!flex_record_decode(line, count, &back) || back.length != record.length ||
	    memcmp(back.data, record.data, record.length))
		abort();
	return 0;
}
