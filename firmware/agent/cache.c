/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "answer.h"
#include "cache.h"
#include "clock.h"

#define PAGE 4096u
#define PIECE 256u /* pages read, or looked at, in one call */

/* Bytes of the file that are in the page cache, or -errno. Nothing is touched, so nothing gets mapped. */
static int64_t cached(uint8_t *mapped, uint64_t bytes)
{
	unsigned char resident[PIECE];
	int64_t count = 0;

	for (uint64_t at = 0; at < bytes; at += PIECE * PAGE) {
		uint64_t pages = (bytes - at + PAGE - 1) / PAGE;

		pages = pages < PIECE ? pages : PIECE;
		if (mincore(mapped + at, pages * PAGE, resident))
			return -errno;
		for (uint64_t i = 0; i < pages; i++)
			count += resident[i] & 1 ? PAGE : 0;
	}
	return count;
}

static int fill(int file, uint64_t bytes)
{
	static uint8_t piece[PIECE * PAGE];
	ssize_t got = 0;

	for (uint64_t at = 0; at < bytes; at += (uint64_t)got) {
		got = pread(file, piece, bytes - at < sizeof(piece) ? bytes - at : sizeof(piece), (off_t)at);
		if (got <= 0)
			return got ? -errno : -ENODATA;
	}
	return 0;
}

/* Adds SIZE and TICKS. 0 or -errno. */
static int drop(int file, uint8_t *mapped, uint64_t bytes, struct flex_builder *builder)
{
	int status = fill(file, bytes);
	int64_t before = status ? status : cached(mapped, bytes), after;
	uint64_t begin, end;

	if (before < 0)
		return (int)before;
	begin = flex_ticks();
	status = posix_fadvise(file, 0, (off_t)bytes, POSIX_FADV_DONTNEED);
	end = flex_ticks();
	after = status ? -status : cached(mapped, bytes);
	if (after < 0)
		return (int)after;
	flex_build_number(builder, FLEX_TAG_SIZE, (uint64_t)(before - after));
	flex_build_number(builder, FLEX_TAG_TICKS, end - begin);
	return 0;
}

int flex_drop_worker(const struct flex_message *message, int pipe)
{
	static struct flex_builder builder;
	uint64_t bytes = flex_message_number(message, FLEX_TAG_SIZE, 0) / PAGE * PAGE;
	char path[1024];
	void *mapped = MAP_FAILED;
	int file = -1, status = -EINVAL;

	if (bytes && flex_message_text(message, FLEX_TAG_PATH, path, sizeof(path))) {
		file = open(path, O_RDONLY | O_CLOEXEC);
		mapped = file < 0 ? MAP_FAILED : mmap(NULL, bytes, PROT_READ, MAP_SHARED, file, 0);
		status = mapped == MAP_FAILED ? -errno : 0;
	}
	flex_build(&builder, FLEX_MSG_RESULT, message->request);
	if (!status)
		status = drop(file, mapped, bytes, &builder);
	if (mapped != MAP_FAILED)
		munmap(mapped, bytes);
	if (file >= 0)
		close(file);
	if (status)
		return flex_answer_error(pipe, message->request, -status, NULL);
	flex_answer_send(&builder, pipe);
	return 0;
}
