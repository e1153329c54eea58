/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "record.h"

#define MARKER_LENGTH (sizeof(FLEX_RECORD_MARKER) - 1)
#define HEAD_LENGTH 29 /* "D 1a2b 00000001 165 89abcdef " */
#define SIGNED_LENGTH 20 /* of them before the CRC */

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

uint32_t flex_crc32(uint32_t crc, const void *bytes, size_t count)
{
	const uint8_t *byte = bytes;

	crc = ~crc;
	while (count--) {
		crc ^= *byte++;
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (0xEDB88320u & -(crc & 1));
	}
	return ~crc;
}

static char *base64_encode(char *out, const uint8_t *bytes, size_t count)
{
	for (size_t i = 0; i < count; i += 3) {
		size_t left = count - i;
		uint32_t word = (uint32_t)bytes[i] << 16;

		word |= left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0;
		word |= left > 2 ? (uint32_t)bytes[i + 2] : 0;
		*out++ = base64_digits[word >> 18];
		*out++ = base64_digits[(word >> 12) & 63];
		*out++ = left > 1 ? base64_digits[(word >> 6) & 63] : '=';
		*out++ = left > 2 ? base64_digits[word & 63] : '=';
	}
	return out;
}

static int base64_value(char digit)
{
	if (digit >= 'A' && digit <= 'Z')
		return digit - 'A';
	if (digit >= 'a' && digit <= 'z')
		return digit - 'a' + 26;
	if (digit >= '0' && digit <= '9')
		return digit - '0' + 52;
	return digit == '+' ? 62 : digit == '/' ? 63 : -1;
}

/* Decodes exactly `count` bytes from exactly `length` digits. */
static bool base64_decode(uint8_t *out, size_t count, const char *text, size_t length)
{
	if (length != (count + 2) / 3 * 4)
		return false;
	for (size_t i = 0; i < count; i++) {
		size_t digit = i / 3 * 4 + i % 3; /* byte i of three begins in digit i of four */
		int high = base64_value(text[digit]);
		int low = base64_value(text[digit + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i] = (uint8_t)((high << (2 + i % 3 * 2)) | (low >> (4 - i % 3 * 2)));
	}
	return true;
}

/* Exactly `digits` hexadecimal digits and a space after them. */
static bool hex_field(const char *text, int digits, uint32_t *value)
{
	*value = 0;
	for (int i = 0; i < digits; i++) {
		char c = text[i];
		int nibble = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;

		if (nibble < 0)
			return false;
		*value = *value << 4 | (uint32_t)nibble;
	}
	return text[digits] == ' ';
}

static uint32_t record_crc(const char *head, const struct flex_record *record)
{
	return flex_crc32(flex_crc32(0, head, SIGNED_LENGTH), record->data, record->length);
}

size_t flex_record_encode(const struct flex_record *record, char line[FLEX_RECORD_LINE])
{
	char head[HEAD_LENGTH + 1];
	char *end;

	snprintf(head, sizeof(head), "%c %04x %08x %03x ", record->kind, record->session, (unsigned int)record->sequence,
		 record->length);
	snprintf(head + SIGNED_LENGTH, sizeof(head) - SIGNED_LENGTH, "%08x ", (unsigned int)record_crc(head, record));
	memcpy(line, FLEX_RECORD_MARKER, MARKER_LENGTH);
	memcpy(line + MARKER_LENGTH, head, HEAD_LENGTH);
	end = base64_encode(line + MARKER_LENGTH + HEAD_LENGTH, record->data, record->length);
	*end++ = '\n';
	return (size_t)(end - line);
}

/* The last marker in the line, or NULL. */
static const char *find_marker(const char *line, size_t count)
{
	for (size_t i = count; i >= MARKER_LENGTH; i--)
		if (!memcmp(line + i - MARKER_LENGTH, FLEX_RECORD_MARKER, MARKER_LENGTH))
			return line + i - MARKER_LENGTH;
	return NULL;
}

bool flex_record_decode(const char *line, size_t count, struct flex_record *record)
{
	const char *head = find_marker(line, count);
	const char *end = line + count;
	uint32_t session, length, crc;

	if (!head)
		return false;
	head += MARKER_LENGTH;
	while (end > head && (end[-1] == '\n' || end[-1] == '\r'))
		end--;
	if (end - head < HEAD_LENGTH || !strchr("HWDAB", head[0]) || head[1] != ' ')
		return false;
	if (!hex_field(head + 2, 4, &session) || !hex_field(head + 7, 8, &record->sequence) ||
	    !hex_field(head + 16, 3, &length) || !hex_field(head + SIGNED_LENGTH, 8, &crc))
		return false;
	if (length > FLEX_RECORD_DATA)
		return false;
	record->kind = head[0];
	record->session = (uint16_t)session;
	record->length = (uint16_t)length;
	if (!base64_decode(record->data, length, head + HEAD_LENGTH, (size_t)(end - head) - HEAD_LENGTH))
		return false;
	return record_crc(head, record) == crc;
}
