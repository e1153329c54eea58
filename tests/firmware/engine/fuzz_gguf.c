/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as a GGUF file, for libFuzzer; the valid models are its first guesses. */
#include "model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t room, unsigned int seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t bytes, size_t room);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct flx_reason reason;
	struct guarded g;

	guard(&g, data, bytes);
	exercise(&g, &reason);
	unguard(&g);
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t room, unsigned int seed)
{
	uint64_t metadata;

	if (bytes < 64 && room >= 65536)
		bytes = model_write(data, room, 1 + seed % 2, &metadata);
	return LLVMFuzzerMutate(data, bytes, room);
}
