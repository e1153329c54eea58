/* SPDX-License-Identifier: BSD-3-Clause */
#include "versions.h"

#include <stddef.h>
#include <string.h>

#define BLANK 0xffffffffU
#define RECORD_WORDS 8
#define HEAD "flexkit versions" /* where a record has its model */
#define LEAST 1

/* As it lies in the flash. Of the head: `version` is the block's generation. */
struct record {
	uint8_t model[FLEX_SEALED_MODEL_BYTES];
	uint64_t version;
	uint32_t bare; /* 0 */
	uint32_t check; /* of all before it; written last */
};

_Static_assert(sizeof(struct record) == RECORD_WORDS * sizeof(uint32_t), "no padding");
_Static_assert(sizeof(HEAD) == FLEX_SEALED_MODEL_BYTES + 1, "as long as a model's name");

/* The block that counts, and where its next record goes. */
struct log {
	uint32_t block;
	uint32_t next;
};

enum found { FOUND_RECORD, FOUND_BLANK, FOUND_TORN };

/* CRC-32 (IEEE 802.3, reflected), a bit at a time: a record is 28 bytes. */
static uint32_t checksum(const struct record *record)
{
	const uint8_t *bytes = (const uint8_t *)record;
	uint32_t crc = BLANK;

	for (size_t i = 0; i < offsetof(struct record, check); i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320U : 0);
	}
	return ~crc;
}

static enum found read_record(const struct versions_flash *flash, uint32_t block, uint32_t place, struct record *record)
{
	uint32_t word[RECORD_WORDS], blank = 0;

	for (uint32_t i = 0; i < RECORD_WORDS; i++) {
		word[i] = flash->read(block, place * RECORD_WORDS + i);
		blank += word[i] == BLANK;
	}
	memcpy(record, word, sizeof(*record));
	if (blank == RECORD_WORDS)
		return FOUND_BLANK;
	return record->check == checksum(record) ? FOUND_RECORD : FOUND_TORN;
}

/* Word by word, and read again: what is there afterwards is what counts. */
static bool write_record(const struct versions_flash *flash, uint32_t block, uint32_t place, const uint8_t *model,
			 uint64_t version)
{
	struct record record = { .version = version }, written;
	uint32_t word[RECORD_WORDS];

	memcpy(record.model, model, sizeof(record.model));
	record.check = checksum(&record);
	memcpy(word, &record, sizeof(word));
	for (uint32_t i = 0; i < RECORD_WORDS; i++) {
		if (!flash->program(block, place * RECORD_WORDS + i, word[i]))
			return false;
	}
	return read_record(flash, block, place, &written) == FOUND_RECORD && !memcmp(&written, &record, sizeof(record));
}

static uint32_t places(const struct versions_flash *flash)
{
	return flash->words / RECORD_WORDS;
}

/* 0: the block does not count. */
static uint64_t generation(const struct versions_flash *flash, uint32_t block)
{
	struct record head;

	if (read_record(flash, block, 0, &head) != FOUND_RECORD || memcmp(head.model, HEAD, sizeof(head.model)) != 0)
		return 0;
	return head.version;
}

/*
 * The block's first record was never written: erased, or as new media are. What a first log leaves when power goes
 * before its head is finished looks so too.
 */
static bool never_used(const struct versions_flash *flash, uint32_t block)
{
	uint32_t word = flash->read(block, RECORD_WORDS);

	for (uint32_t i = RECORD_WORDS + 1; i < 2 * RECORD_WORDS; i++) {
		if (flash->read(block, i) != word)
			return false;
	}
	return word == BLANK || word == 0;
}

/* The block that counts. 0: one does (*begun), or nothing has ever been kept; or FLEX_SEALED_E_LOST. */
static int current(const struct versions_flash *flash, uint32_t *block, bool *begun)
{
	uint64_t first = generation(flash, 0), second = generation(flash, 1);

	*block = second > first;
	*begun = first || second;
	return *begun || (never_used(flash, 0) && never_used(flash, 1)) ? 0 : FLEX_SEALED_E_LOST;
}

/* The least version that the log says of a model, and where the log ends. */
static uint64_t look_up(const struct versions_flash *flash, struct log *log, const uint8_t *model)
{
	uint64_t least = LEAST;
	struct record record;
	enum found found;

	for (log->next = 1; log->next < places(flash); log->next++) {
		found = read_record(flash, log->block, log->next, &record);
		if (found == FOUND_BLANK)
			break;
		if (found == FOUND_RECORD && !memcmp(record.model, model, sizeof(record.model)) && record.version > least)
			least = record.version;
	}
	return least;
}

/* Is this the last record of its model in the log? Versions rise, so it has the highest. */
static bool is_last(const struct versions_flash *flash, const struct log *log, uint32_t place, const uint8_t *model)
{
	struct record later;

	for (uint32_t i = place + 1; i < log->next; i++) {
		if (read_record(flash, log->block, i, &later) == FOUND_RECORD &&
		    !memcmp(later.model, model, sizeof(later.model)))
			return false;
	}
	return true;
}

/*
 * The same log, shorter, in the other block; `log` is that one afterwards. The longer one is erased: should the head of
 * the shorter one be damaged one day, no older log stands in for it.
 */
static bool compact(const struct versions_flash *flash, struct log *log)
{
	struct log shorter = { .block = !log->block, .next = 1 };
	uint32_t longer = log->block;
	struct record record;

	if (!flash->erase(shorter.block))
		return false;
	for (uint32_t i = 1; i < log->next; i++) {
		if (read_record(flash, log->block, i, &record) != FOUND_RECORD || !is_last(flash, log, i, record.model))
			continue;
		if (!write_record(flash, shorter.block, shorter.next++, record.model, record.version))
			return false;
	}
	if (!write_record(flash, shorter.block, 0, (const uint8_t *)HEAD, generation(flash, log->block) + 1))
		return false;
	*log = shorter;
	return flash->erase(longer);
}

/* The first log of all. */
static bool begin(const struct versions_flash *flash, struct log *log)
{
	log->block = 0;
	return flash->erase(0) && write_record(flash, 0, 0, (const uint8_t *)HEAD, 1);
}

static bool append(const struct versions_flash *flash, struct log *log, const uint8_t *model, uint64_t version)
{
	if (log->next == places(flash) && !compact(flash, log))
		return false;
	return log->next < places(flash) && write_record(flash, log->block, log->next, model, version);
}

int versions_admit(const struct versions_flash *flash, const struct seal *seal)
{
	struct log log = { .next = 1 };
	bool begun;
	int error = current(flash, &log.block, &begun);
	uint64_t least = begun ? look_up(flash, &log, seal->model) : LEAST;

	if (!error)
		error = seal_check_version(seal, least);
	if (error || seal->version == least)
		return error;
	if (!begun && !begin(flash, &log))
		return FLEX_SEALED_E_STORE;
	return append(flash, &log, seal->model, seal->version) ? 0 : FLEX_SEALED_E_STORE;
}
