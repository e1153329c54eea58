/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The payload's way through a sealed file: unseal FILE MINIMUM OUT. Prints the number of the refusal (0: none), and why;
 * OUT gets the GGUF as far as it was authenticated. Exit status 2: not even tried.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sealing.h"

/* The file, and nothing behind it: a sanitizer sees what reads beyond. */
static uint8_t *slurp(const char *path, size_t *bytes)
{
	FILE *in = fopen(path, "rb");
	uint8_t *data;

	if (!in || fseek(in, 0, SEEK_END) != 0)
		exit(2);
	*bytes = (size_t)ftell(in);
	rewind(in);
	data = malloc(*bytes ? *bytes : 1);
	if (!data || fread(data, 1, *bytes, in) != *bytes)
		exit(2);
	fclose(in);
	return data;
}

static int open_chunks(const struct seal *seal, uint8_t *file, FILE *out)
{
	struct seal_cipher cipher;
	int error = 0;

	seal_begin(&cipher, seal);
	for (uint64_t index = 0; index < seal->chunks && !error; index++) {
		const struct flex_sealed_entry *table =
			(const struct flex_sealed_entry *)(file + seal_entry_page(index) * FLEX_SEALED_CHUNK);
		uint8_t *chunk = file + (seal->first_page + index) * FLEX_SEALED_CHUNK;
		uint64_t left = seal->bytes - index * FLEX_SEALED_CHUNK;

		error = seal_chunk(&cipher, index, &table[seal_entry_place(index)], chunk);
		if (!error)
			fwrite(chunk, 1, left < FLEX_SEALED_CHUNK ? left : FLEX_SEALED_CHUNK, out);
	}
	seal_end(&cipher);
	return error;
}

/* As in the payload: a file is whole pages, the last one filled up with zeroes. */
static uint8_t *pages_of(const uint8_t *data, size_t bytes, uint64_t *pages)
{
	uint8_t *file;

	*pages = (bytes + FLEX_SEALED_CHUNK - 1) / FLEX_SEALED_CHUNK;
	file = calloc(*pages ? *pages : 1, FLEX_SEALED_CHUNK);
	if (!file)
		exit(2);
	memcpy(file, data, bytes);
	return file;
}

int main(int argc, char **argv)
{
	struct seal seal;
	uint64_t pages;
	size_t bytes;
	uint8_t *data, *file;
	FILE *out;
	int error;

	if (argc != 4 || !(out = fopen(argv[3], "wb")))
		return 2;
	data = slurp(argv[1], &bytes);
	file = pages_of(data, bytes, &pages);
	error = seal_open(&seal, (const struct flex_sealed_header *)file, bytes, &seal_test_board);
	if (!error)
		error = seal_check_version(&seal, strtoull(argv[2], NULL, 0));
	if (!error)
		error = open_chunks(&seal, file, out);
	printf("%d %s\n", error, seal_reason(error));
	free(data);
	free(file);
	return fclose(out) != 0;
}
