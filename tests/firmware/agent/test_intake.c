/* SPDX-License-Identifier: BSD-3-Clause */
/* Records and a human's typing on one line are taken apart. */
#include <string.h>

#include "check.h"
#include "shell.h"

static struct flex_record sample = { .kind = 'D', .session = 1, .sequence = 2, .length = 5, .data = "hello" };

/* Feeds text; counts records, gathers what was typed. */
static int feed(struct flex_intake *intake, const char *text, size_t count, char *typed)
{
	struct flex_record record;
	size_t used = strlen(typed);
	int records = 0;

	for (size_t i = 0; i < count; i++) {
		enum flex_intake_kind kind = flex_intake_take(intake, text[i], &record);

		if (kind == FLEX_INTAKE_MORE)
			continue;
		if (kind == FLEX_INTAKE_RECORD) {
			CHECK(record.length == 5 && !memcmp(record.data, "hello", 5));
			records++;
		} else {
			memcpy(typed + used, intake->line, intake->used);
			used += intake->used;
			typed[used] = 0;
		}
		flex_intake_clear(intake);
	}
	return records;
}

static void both_on_one_line(void)
{
	struct flex_intake intake = { 0 };
	char line[FLEX_RECORD_LINE], typed[64] = "";
	size_t count = flex_record_encode(&sample, line);

	CHECK(feed(&intake, "ls @", 4, typed) == 0);
	CHECK(!strcmp(typed, "ls ")); /* the '@' may begin a record */
	CHECK(feed(&intake, "home\r", 5, typed) == 0);
	CHECK(!strcmp(typed, "ls @home\r"));
	CHECK(feed(&intake, line, count, typed) == 1);
	CHECK(!strcmp(typed, "ls @home\r"));
}

static void a_cut_record_does_not_take_the_next_along(void)
{
	struct flex_intake intake = { 0 };
	char line[FLEX_RECORD_LINE], typed[64] = "";
	size_t count = flex_record_encode(&sample, line);

	CHECK(feed(&intake, line, count - 9, typed) == 0);
	CHECK(feed(&intake, line, count, typed) == 1);
	CHECK(!typed[0]);
}

static void an_endless_record_is_dropped(void)
{
	struct flex_intake intake = { 0 };
	char line[FLEX_RECORD_LINE], typed[8192] = "";
	size_t count = flex_record_encode(&sample, line);

	CHECK(feed(&intake, FLEX_RECORD_MARKER, 5, typed) == 0);
	for (int i = 0; i < 4000; i++)
		CHECK(feed(&intake, "A", 1, typed) == 0);
	CHECK(feed(&intake, "\n", 1, typed) == 0);
	CHECK(feed(&intake, line, count, typed) == 1);
}

int main(void)
{
	both_on_one_line();
	a_cut_record_does_not_take_the_next_along();
	an_endless_record_is_dropped();
	return 0;
}
