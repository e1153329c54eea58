/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Records: how bytes travel over a line that others write to as well (a serial console shared with the kernel).
 *
 * A record is one ASCII line of at most FLEX_RECORD_LINE bytes, its newline included:
 *
 *   @FK1 <kind> <session> <sequence> <length> <crc> <base64>\n
 *
 *   kind      one letter, FLEX_RECORD_*
 *   session   4 hex digits: drawn by the host for each connection, so that a late record of another one is not believed
 *   sequence  8 hex digits; data: its number from 0. ack: the number that is expected next
 *   length    3 hex digits: bytes before base64, at most FLEX_RECORD_DATA
 *   crc       8 hex digits: CRC-32 (IEEE 802.3) of "<kind> <session> <sequence> <length> " and the bytes
 *
 * The marker may stand anywhere in a line: what comes before it belongs to somebody else. Whatever does not decode is
 * noise; the link (link.h) notices what is missing and has it sent again.
 */
#ifndef FLEXAGENT_RECORD_H
#define FLEXAGENT_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLEX_RECORD_MARKER "@FK1 "
#define FLEX_RECORD_LINE 512
#define FLEX_RECORD_DATA 357 /* the most whose base64 fits: 512 - 34 bytes of head - 1 newline = 477, 119 * 3 */

#define FLEX_RECORD_HELLO 'H'   /* host: begin this session; repeated until welcomed */
#define FLEX_RECORD_WELCOME 'W' /* board: begun, also when it had begun already */
#define FLEX_RECORD_DATA_KIND 'D'
#define FLEX_RECORD_ACK 'A'
#define FLEX_RECORD_BYE 'B' /* either: this session is over */

struct flex_record {
	char kind;
	uint16_t session;
	uint32_t sequence;
	uint16_t length; /* of data */
	uint8_t data[FLEX_RECORD_DATA];
};

/* CRC-32 as zlib has it; `crc` is 0 at first, then the value so far. */
uint32_t flex_crc32(uint32_t crc, const void *bytes, size_t count);

/* Writes the line, newline included and no zero after it; returns its length. record->length must be in range. */
size_t flex_record_encode(const struct flex_record *record, char line[FLEX_RECORD_LINE]);

/*
 * Reads the last record in a line (with or without its newline or a carriage return). False: no marker, cut, unknown
 * kind, wrong length or CRC; `record` is then undefined.
 */
bool flex_record_decode(const char *line, size_t count, struct flex_record *record);

#endif /* FLEXAGENT_RECORD_H */
