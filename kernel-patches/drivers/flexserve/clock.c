// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the time to the first token goes. The leader of a request is in one
 * part at a time, so that exposed times sum to the whole; only it writes.
 */
#include "flexserve.h"

/**
 * flex_clock_start() - the request begins
 * @clock: zeroed
 * @submitted: ticks when it was submitted; until now that was switching
 */
void flex_clock_start(struct flex_clock *clock, u64 submitted)
{
	clock->submitted = submitted;
	clock->mark = submitted;
	WRITE_ONCE(clock->part, FLEX_PART_SWITCH);
}

static void flex_clock_charge(struct flex_clock *clock, u64 now)
{
	if (!clock->first_token) {
		clock->exposed[clock->part] += now - clock->mark;
		if (!clock->follows)
			clock->busy[clock->part] += now - clock->mark;
	}
	clock->mark = now;
}

/**
 * flex_clock_enter() - another part begins
 * @clock: or NULL, when nobody measures
 * @part: which
 *
 * Return: the part that ended.
 */
enum flex_part flex_clock_enter(struct flex_clock *clock, enum flex_part part)
{
	enum flex_part before;

	if (!clock)
		return part;
	before = clock->part;
	flex_clock_charge(clock, flex_ticks());
	WRITE_ONCE(clock->part, part);
	if (clock->watched)
		wake_up_all(clock->watched);
	return before;
}

/**
 * flex_clock_lean() - what others do takes the time from here on
 * @clock: or NULL, when nobody measures
 * @part: that they are in; it is busy on their own clocks alone
 *
 * Return: the part that ended, for flex_clock_stand().
 */
enum flex_part flex_clock_lean(struct flex_clock *clock, enum flex_part part)
{
	enum flex_part before = flex_clock_enter(clock, part);

	if (clock)
		clock->follows = true;
	return before;
}

/** flex_clock_stand() - undo flex_clock_lean() */
void flex_clock_stand(struct flex_clock *clock, enum flex_part before)
{
	flex_clock_enter(clock, before);
	if (clock)
		clock->follows = false;
}

/**
 * flex_clock_follow() - wait for what others do
 * @clock: or NULL, when nobody measures
 * @wait: woken at each of their steps
 * @over: true when the wait is over; otherwise tells which part they are in
 * @context: for it
 *
 * The time is exposed in the part that the others are in, and busy on their
 * own clocks alone. May sleep.
 */
void flex_clock_follow(struct flex_clock *clock, wait_queue_head_t *wait,
		       bool (*over)(void *context, enum flex_part *part), void *context)
{
	enum flex_part before = flex_clock_lean(clock, FLEX_PART_SWITCH), part;

	while (!over(context, &part)) {
		enum flex_part shown = part;

		flex_clock_enter(clock, shown);
		wait_event(*wait, over(context, &part) || part != shown);
	}
	flex_clock_stand(clock, before);
}

/**
 * flex_clock_work() - others have worked for the request
 * @clock: of the request; without a first token yet, their busy times count
 * @before: what they had done when it began
 * @now: what they have done since then too
 */
void flex_clock_work(struct flex_clock *clock, const struct flex_work *before,
		     const struct flex_work *now)
{
	u32 part;

	clock->loaded += now->loaded - before->loaded;
	for (part = 0; part < FLEX_PARTS && !clock->first_token; part++)
		clock->busy[part] += now->busy[part] - before->busy[part];
}

/**
 * flex_clock_yield() - for some of the time up to now others had the core
 * @clock: of the request
 * @part: that they were in; it is busy on their own clocks alone
 * @ticks: how much of it, since the part under way began
 */
void flex_clock_yield(struct flex_clock *clock, enum flex_part part, u64 ticks)
{
	flex_clock_charge(clock, flex_ticks());
	if (clock->first_token)
		return;
	clock->exposed[clock->part] -= ticks;
	clock->busy[clock->part] -= ticks;
	clock->exposed[part] += ticks;
}

/**
 * flex_clock_shift() - some of the time up to now belonged to another part
 * @clock: of the request, or NULL
 * @part: that part
 * @ticks: how much of it, since the part under way began
 */
void flex_clock_shift(struct flex_clock *clock, enum flex_part part, u64 ticks)
{
	if (!clock)
		return;
	flex_clock_yield(clock, part, ticks);
	if (!clock->first_token)
		clock->busy[part] += ticks;
}

/**
 * flex_clock_token() - a token came
 * @clock: of the request
 * @now: ticks; the first one ends the exposed times
 */
void flex_clock_token(struct flex_clock *clock, u64 now)
{
	flex_clock_charge(clock, now);
	if (!clock->first_token)
		clock->first_token = now;
	clock->finished = now;
}

/**
 * flex_clock_report() - as uapi.h has it
 * @clock: of a request that has ended
 * @out: its times are filled in
 */
void flex_clock_report(const struct flex_clock *clock, struct flex_breakdown *out)
{
	out->submitted = clock->submitted;
	out->first_token = clock->first_token;
	out->finished = clock->finished;
	out->loaded_pages = clock->loaded;
	out->allocate = clock->exposed[FLEX_PART_ALLOCATE];
	out->read = clock->exposed[FLEX_PART_READ];
	out->donate = clock->exposed[FLEX_PART_DONATE];
	out->decrypt = clock->exposed[FLEX_PART_DECRYPT];
	out->prefill = clock->exposed[FLEX_PART_PREFILL];
	out->switch_ = clock->exposed[FLEX_PART_SWITCH];
	out->allocate_busy = clock->busy[FLEX_PART_ALLOCATE];
	out->read_busy = clock->busy[FLEX_PART_READ];
	out->donate_busy = clock->busy[FLEX_PART_DONATE];
	out->decrypt_busy = clock->busy[FLEX_PART_DECRYPT];
	out->prefill_busy = clock->busy[FLEX_PART_PREFILL];
	out->switch_busy = clock->busy[FLEX_PART_SWITCH];
}
