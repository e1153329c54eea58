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

/* Begins with a valid model; three times in four changes only its metadata, at the same length. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t room, unsigned int seed)
{
	uint64_t metadata = 6000;

	if (bytes < metadata && room >= 131072)
		bytes = model_write(data, room, 1 + seed % 2, &metadata);
	if (bytes > metadata && seed % 4 != 0) {
		LLVMFuzzerMutate(data, metadata, metadata);
		return bytes;
	}
	return LLVMFuzzerMutate(data, bytes, room);
}
