/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What host and agent say to each other over a link (link.h), defined once: toolkit/flexkit/link/protocol.py mirrors
 * these numbers, and tests/unit/agent/test_protocol.py compares the two files.
 *
 * The stream is a sequence of messages, all numbers little-endian:
 *
 *   u32 size (of what follows) | u8 type | u32 request | fields
 *   field: u8 tag | u32 length | bytes        (a number is 8 bytes, two's complement; a list repeats its tag)
 *
 * The host numbers its requests. Several may be under way; each is ended by exactly one FLEX_MSG_RESULT or
 * FLEX_MSG_ERROR, before which events of the same number may come. All times are ticks of the board's own counter.
 *
 *   request    fields in                                        events                 fields of the result
 *   ---------  -----------------------------------------------  ---------------------  ---------------------------------
 *   IDENTIFY   -                                                -                      AGENT_ID, MONITOR_ID?, PAYLOAD_ID?,
 *                                                                                      DEBUG, UNAME, ROOTFS_ID, BOOT_ID,
 *                                                                                      CORES, COUNTER_HZ, TICKS, PROTECTION
 *   PING       DATA?                                            -                      DATA, TICKS
 *   EXEC       ARG+, DEADLINE_MS?, STDIN (1: INPUT follows)     OUTPUT, ACCEPTED       STATUS or SIGNAL, TICKS (fork to
 *                                                                                      end), TIMED_OUT
 *   INPUT      DATA (none: end of input); its request is the    -                      (none: answered by ACCEPTED)
 *              EXEC's
 *   STAT       PATH                                             -                      SIZE, MODE, MTIME
 *   INFER      MODEL, PROMPT+, TOKENS (for each of them),       TOKEN, TEXT, TURN      see "Result of INFER"
 *              THREADS, MODE, CONTEXT, FLAGS
 *   CANCEL     TARGET (a request)                               -                      -
 *   FORGET     MODEL                                            -                      -
 *   PROTECT    ON                                               -                      -
 *   RECALL     PAGES, MODEL? (of its weights alone)             -                      PAGES, TICKS (the monitor's),
 *                                                                                      SPENT (all of it)
 *   STATS      -                                                -                      COUNTER* (u64 each, in the order of
 *                                                                                      FLEX_COUNTERS), INFO*
 *   HOLD       LEAVE (bytes)                                    HELD: SIZE             ends only by CANCEL
 *   FAULT      SIZE (bytes at the most, CMA's that are free     -                      SIZE, TICKS, PAGES (that KIND
 *              not counted), PAGES (to be given back, from the                         gave meanwhile)
 *              first on; 0: all of SIZE, whence it comes), KIND
 *              (0: by secure memory, 1: by page cache)
 *   DRILL      KIND (FLEX_DRILL_*)                              -                      -
 *   PANIC      -                                                -                      DATA (the record, 256 bytes)
 *   FRAGMENT   LEAVE (bytes)                                    HELD: SIZE             as HOLD; every second page of
 *                                                                                      what it took is free again
 *   MEASURE    KIND (FLEX_MEASURE_* of uapi.h), PAGES, BATCH    -                      SPENT* (ticks: whole, allocate,
 *                                                                                      secure, recall, free, smmu,
 *                                                                                      scrub)
 *   DROP       PATH, SIZE (bytes, read into the page cache      -                      SIZE (given up), TICKS
 *              first, which then is to give them up)
 *   BESIDE     as INFER, of one PROMPT; ARG+, PERIOD_US,        -                      STATUS or SIGNAL, TICKS (of the
 *              PHASE_US?: a program, and answers that come due                         program), SPENT (until the last
 *              PHASE_US after its start and every PERIOD_US                            answer too), TEXT? (the end of its
 *              from then on, or at once when the last one took                         standard error), DATA* (ids of
 *              longer                                                                  each answer: s32, in order)
 */
#ifndef FLEXAGENT_PROTOCOL_H
#define FLEXAGENT_PROTOCOL_H

#define FLEX_MESSAGE_MAX 0x10000 /* bytes of a whole message */

/* Requests, host to board. */
#define FLEX_MSG_IDENTIFY 1
#define FLEX_MSG_PING 2
#define FLEX_MSG_EXEC 3
#define FLEX_MSG_INPUT 4
#define FLEX_MSG_STAT 5
#define FLEX_MSG_INFER 6
#define FLEX_MSG_CANCEL 7
#define FLEX_MSG_FORGET 8
#define FLEX_MSG_PROTECT 9
#define FLEX_MSG_RECALL 10
#define FLEX_MSG_STATS 11
#define FLEX_MSG_HOLD 12
#define FLEX_MSG_FAULT 13
#define FLEX_MSG_DRILL 14
#define FLEX_MSG_PANIC 15
#define FLEX_MSG_MEASURE 32
#define FLEX_MSG_FRAGMENT 33
#define FLEX_MSG_DROP 34
#define FLEX_MSG_BESIDE 35

/* Answers, board to host. */
#define FLEX_MSG_RESULT 64
#define FLEX_MSG_ERROR 65    /* ERRNO, TEXT */
#define FLEX_MSG_OUTPUT 66   /* STREAM (1 or 2), DATA */
#define FLEX_MSG_ACCEPTED 67 /* SIZE: bytes of INPUT that the program has taken since the last one */
#define FLEX_MSG_TOKEN 68    /* ID, INDEX, TICKS, DATA (its text) */
#define FLEX_MSG_HELD 69
#define FLEX_MSG_TEXT 70     /* DATA: more text of the token before */
#define FLEX_MSG_TURN 71     /* of a conversation: what RESULT says, for a prompt that is not the last */

/* Fields. */
#define FLEX_TAG_DATA 1
#define FLEX_TAG_TEXT 2
#define FLEX_TAG_ERRNO 3
#define FLEX_TAG_ARG 4
#define FLEX_TAG_DEADLINE_MS 5
#define FLEX_TAG_STDIN 6
#define FLEX_TAG_STREAM 7
#define FLEX_TAG_STATUS 8
#define FLEX_TAG_SIGNAL 9
#define FLEX_TAG_TIMED_OUT 10
#define FLEX_TAG_TICKS 11
#define FLEX_TAG_PATH 12
#define FLEX_TAG_SIZE 13
#define FLEX_TAG_MODE 14
#define FLEX_TAG_MTIME 15
#define FLEX_TAG_MODEL 16
#define FLEX_TAG_PROMPT 17
#define FLEX_TAG_TOKENS 18
#define FLEX_TAG_THREADS 19
#define FLEX_TAG_CONTEXT 20
#define FLEX_TAG_FLAGS 21
#define FLEX_TAG_TARGET 22
#define FLEX_TAG_ON 23
#define FLEX_TAG_PAGES 24
#define FLEX_TAG_LEAVE 25
#define FLEX_TAG_KIND 26
#define FLEX_TAG_COUNTER 27
#define FLEX_TAG_INFO 28 /* u64: slots, quota pages, secure pages, recallable pages, protection */
#define FLEX_TAG_AGENT_ID 29
#define FLEX_TAG_MONITOR_ID 30
#define FLEX_TAG_PAYLOAD_ID 31
#define FLEX_TAG_DEBUG 32
#define FLEX_TAG_UNAME 33 /* "sysname release version machine" */
#define FLEX_TAG_ROOTFS_ID 34
#define FLEX_TAG_BOOT_ID 35
#define FLEX_TAG_CORES 36
#define FLEX_TAG_COUNTER_HZ 37
#define FLEX_TAG_PROTECTION 38
#define FLEX_TAG_ID 39
#define FLEX_TAG_INDEX 40

/*
 * Result of INFER. EXPOSED and BUSY come once for each part that the mode has: u8 part, u64 ticks (9 bytes). The exposed
 * parts sum to FIRST_TOKEN - SUBMITTED. PROMPT_ID comes once: s32 each, in order. Several prompts are one conversation
 * (mode flexserve): each goes on behind the answer to the one before. KEPT, OPENED, RECOMPUTED: as in uapi.h.
 */
#define FLEX_TAG_SUBMITTED 41
#define FLEX_TAG_FIRST_TOKEN 42
#define FLEX_TAG_FINISHED 43
#define FLEX_TAG_FINISH 44 /* FLEX_FINISH_* of payload.h */
#define FLEX_TAG_EXPOSED 45
#define FLEX_TAG_BUSY 46
#define FLEX_TAG_SWITCHES 47
#define FLEX_TAG_LOADED_PAGES 48
#define FLEX_TAG_PROMPT_IDS 49
#define FLEX_TAG_PREFILL_TICKS 50
#define FLEX_TAG_DECODE_TICKS 51
#define FLEX_TAG_KEPT 52
#define FLEX_TAG_OPENED 53
#define FLEX_TAG_RECOMPUTED 54

#define FLEX_TAG_BATCH 64
#define FLEX_TAG_SPENT 65
#define FLEX_TAG_PERIOD_US 66
#define FLEX_TAG_PHASE_US 67

/* Parts of a time to first token, in the order of struct flex_breakdown. */
#define FLEX_PART_ALLOCATE 0
#define FLEX_PART_READ 1
#define FLEX_PART_DONATE 2
#define FLEX_PART_DECRYPT 3
#define FLEX_PART_PREFILL 4
#define FLEX_PART_SWITCH 5

/* Modes of INFER (DESIGN §2). `stock` runs what `normal` runs; the boot makes the difference. */
#define FLEX_INFER_FLEXSERVE 0
#define FLEX_INFER_STRAWMAN 1
#define FLEX_INFER_NORMAL 2      /* protection forced on */
#define FLEX_INFER_NORMAL_IDLE 3 /* protection off */
#define FLEX_INFER_STOCK 4
#define FLEX_INFER_STRAWMAN_OPT 5

/* Flags of INFER. */
#define FLEX_INFER_IGNORE_EOS 1
#define FLEX_INFER_DROP_PAGE_CACHE 2 /* sync and drop Linux's page cache first, outside the time measured */

#endif /* FLEXAGENT_PROTOCOL_H */
