/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Calls by SMC (Arm SMCCC 1.2, DEN0028). Monitor calls are fast SMC64 calls in the vendor-specific EL3 range; payload
 * calls are yielding SMC64 Trusted-OS calls, dispatched to S-EL1 (payload.h has their operations).
 *
 * Every monitor call returns x0 = FLEX_OK or a negative FLEX_E_*. A batched call also returns x1 = the index of the
 * next entry: entries before it are done, entries from it on are untouched. FLEX_E_INTERRUPTED means "call again with
 * first = x1": an interrupt was pending, or the call had done enough. A call that returns FLEX_E_INVAL has changed
 * nothing at all: arguments (alignment, range, overflow, count) are checked for all entries that this call is to treat
 * before the first is committed.
 */
#ifndef FLEXKIT_SMC_H
#define FLEXKIT_SMC_H

#define FLEX_ABI_MAJOR 1
#define FLEX_ABI_MINOR 2

/* Errors, the same numbers in monitor, payload, driver and agent. */
#define FLEX_OK 0
#define FLEX_E_UNKNOWN (-1)      /* SMCCC: no such call */
#define FLEX_E_INVAL (-2)        /* argument malformed: alignment, range, overflow, count, mailbox */
#define FLEX_E_STATE (-3)        /* the page, slot or region is not in the state that the call needs */
#define FLEX_E_PINNED (-4)       /* recall of a pinned page */
#define FLEX_E_INTERRUPTED (-5)  /* an NW interrupt is pending: go on from x1 */
#define FLEX_E_BUSY (-6)         /* another core is changing the same thing */
#define FLEX_E_EXHAUSTED (-7)    /* no slot, thread, session or generation left */
#define FLEX_E_DENIED (-8)       /* not for this caller (world or exception level) */
#define FLEX_E_QUOTA (-9)        /* would pin more than the quota */
#define FLEX_E_MODEL (-10)       /* the payload refuses the model; the reason is in the communication area */
#define FLEX_E_PROMPT (-11)      /* prompt empty, longer than the context, or not UTF-8 */
#define FLEX_E_CANCELLED (-12)   /* the session was cancelled */
#define FLEX_E_PANIC (-13)       /* the secure world panicked; the record can be fetched; the session is gone */
#define FLEX_E_NOSYS (-14)       /* this build does not have it */
#define FLEX_E_TIMEOUT (-15)     /* cores did not meet in time */

/* Who carries an identity: 16 bytes, the start of the SHA-256 of the part's inputs. */
#define FLEX_PART_MONITOR 0
#define FLEX_PART_PAYLOAD 1

/*
 * FLEX_MON_VERSION()                        -> x1 = major << 16 | minor
 * FLEX_MON_IDENTITY(part)                   -> x1, x2 = identity, first 8 bytes and last 8, big-endian; x3 = 1 for a
 *                                              debug profile, else 0
 * FLEX_MON_INFO()                           -> x1 = base of the shared region, x2 = mailboxes << 32 | slots,
 *                                              x3 = pin quota in pages << 8 | protection state (FLEX_PROTECT_*)
 * FLEX_MON_DONATE(mailbox, first, count)    -> x1. Entries [first, count) of the mailbox: NORMAL => DONATED.
 *                                              One TLB invalidation for each part returned. FLEX_E_STATE at x1: that
 *                                              page is not NORMAL, or hidden, or in a region, or protection is off.
 *                                              FLEX_E_TIMEOUT: the SMMU is silent, nothing of this part changed.
 * FLEX_MON_RECALL(mailbox, first, count)    -> x1, x2 = pages now NORMAL in this call. A page that is pinned, busy or
 *                                              not secure does not end the batch: its result[] says why. A bounded
 *                                              number of entries a call.
 * FLEX_MON_MOVE(mailbox, first, count)      -> x1, x2 = pages moved in this call. Pair i: page[i] is the old page,
 *                                              page[FLEX_MOVE_ENTRIES + i] the new one, result[i] what came of it. A
 *                                              pair does not end the batch: FLEX_E_PINNED, _STATE (old not CLAIMED, new
 *                                              not NORMAL), _BUSY, _EXHAUSTED leave both pages as they were.
 *                                              FLEX_E_TIMEOUT: the SMMU is silent, nothing of this part changed.
 * FLEX_MON_REGION_SECURE(base, size, from)  -> whole 2M blocks, all of their pages NORMAL; one TLB invalidation. from is
 *                                              0 at first. FLEX_E_INTERRUPTED: call again, from = x1 (how far it has
 *                                              come); until that is done the region is not secure, and not released.
 *                                              FLEX_E_TIMEOUT: the SMMU is silent, the NW has all of it again.
 * FLEX_MON_REGION_RELEASE(base, size, from) -> the same base and size as secured, from and x1 as there. FLEX_E_PINNED
 *                                              while the payload uses it.
 * FLEX_MON_PROTECT(on)                      -> every online core calls it at once (stop_machine); FLEX_E_TIMEOUT when
 *                                              not all came; FLEX_E_STATE for "off" while anything is secure.
 *                                              On: tables are built from scratch; FLEX_E_BUSY when a bus master
 *                                              wrote into them meanwhile, FLEX_E_TIMEOUT also when the SMMU is silent,
 *                                              FLEX_E_NOSYS while LPIs are on: the GIC would write memory itself.
 * FLEX_MON_STAT(index)                      -> x1 = FLEX_STAT_* counter
 * FLEX_MON_AUDIT(first_slot)                -> x1 = next slot (0: done), x2 = slots with a pin among those looked at,
 *                                              x3 = slots held among them
 * FLEX_MON_RECORD(offset)                   -> x1..x3 = 24 bytes of the last panic record at offset (0: none),
 *                                              little-endian; struct flex_panic in payload.h
 */
#define FLEX_MON_BASE 0xC7000100
#define FLEX_MON_VERSION (FLEX_MON_BASE + 0x00)
#define FLEX_MON_IDENTITY (FLEX_MON_BASE + 0x01)
#define FLEX_MON_INFO (FLEX_MON_BASE + 0x02)
#define FLEX_MON_DONATE (FLEX_MON_BASE + 0x03)
#define FLEX_MON_RECALL (FLEX_MON_BASE + 0x04)
#define FLEX_MON_REGION_SECURE (FLEX_MON_BASE + 0x05)
#define FLEX_MON_REGION_RELEASE (FLEX_MON_BASE + 0x06)
#define FLEX_MON_PROTECT (FLEX_MON_BASE + 0x07)
#define FLEX_MON_STAT (FLEX_MON_BASE + 0x08)
#define FLEX_MON_AUDIT (FLEX_MON_BASE + 0x09)
#define FLEX_MON_RECORD (FLEX_MON_BASE + 0x0A)
#define FLEX_MON_MOVE (FLEX_MON_BASE + 0x0B)

/* From S-EL1 only: FLEX_E_DENIED to anybody else. Lists lie in the payload's own memory, by physical address. */
/*
 * FLEX_MON_CLAIM(list, count, slot)  -> x1. list: `count` page addresses (8 bytes each, at most FLEX_MAILBOX_ENTRIES),
 *                                      page i is claimed for slot + i. FLEX_E_INTERRUPTED: go on with the rest.
 * FLEX_MON_DROP(slot, count)         -> x1. HELD, unpinned slots give up their pages (they become DONATED).
 *                                      Empty slots are passed over. FLEX_E_INTERRUPTED: go on from slot + x1.
 * FLEX_MON_REGION_USE(base, size, on)-> x1. The payload begins (1) or ends (0) to use a secured region.
 * FLEX_MON_PANIC(record, size)       -> leaves a panic record (struct flex_panic) with the monitor.
 */
#define FLEX_MON_CLAIM (FLEX_MON_BASE + 0x40)
#define FLEX_MON_DROP (FLEX_MON_BASE + 0x41)
#define FLEX_MON_REGION_USE (FLEX_MON_BASE + 0x42)
#define FLEX_MON_PANIC (FLEX_MON_BASE + 0x43)

/* From the EL2 vector only (SPSR_EL3.M is EL2): a stage-2 fault or trap to be injected into EL1. */
#define FLEX_MON_EL2_FAULT (FLEX_MON_BASE + 0x50)

#define FLEX_REGIONS 64 /* secured at once, at the most */

#define FLEX_PROTECT_OFF 0
#define FLEX_PROTECT_ON 1

/* Counters since boot, all in the board counter's ticks or in events. */
#define FLEX_STAT_DONATED 0         /* pages donated */
#define FLEX_STAT_RECALLED 1        /* pages recalled */
#define FLEX_STAT_SECURE_PAGES 2    /* pages secure now, regions included */
#define FLEX_STAT_TLBI 3            /* TLB invalidations */
#define FLEX_STAT_EL3_MAX_TICKS 4   /* longest stay in EL3 on behalf of one call, protection switch apart */
#define FLEX_STAT_EL3_MAX_CALL 5    /* the call that took it: function number, low 8 bits */
#define FLEX_STAT_FAULTS 6          /* stage-2 faults injected */
#define FLEX_STAT_SWITCHES 7        /* entries into the payload */
#define FLEX_STAT_PANICS 8          /* secure panics */
#define FLEX_STAT_PROTECT_ON_TICKS 9   /* duration of the last switch to on */
#define FLEX_STAT_PROTECT_OFF_TICKS 10 /* and of the last to off */
#define FLEX_STAT_RESET_SCRUBBED 11 /* pages scrubbed at this boot because the last one ended dirty */
#define FLEX_STAT_SMMU_INVALIDATIONS 12
#define FLEX_STAT_MOVED 13          /* pages moved */
#define FLEX_STAT_DMA_BLOCKED 14    /* transfers that the SMMU refused and told of; what its queue loses is not counted */
#define FLEX_STAT_SCRUB_TICKS 15     /* in scrubbing pages and cleaning them to the point of coherency */
#define FLEX_STAT_SMMU_TICKS 16      /* in waiting for the SMMU to forget */
#define FLEX_STAT_COUNT 17

/*
 * Payload calls, yielding, from the NW.
 *
 * FLEX_TOS_START(op, a1..a5)  begins operation `op` (payload.h) on a secure thread
 * FLEX_TOS_RESUME(thread, a1) goes on with a thread that returned PREEMPTED or YIELDED; a1: answer to a yield
 *
 * Return: x0 = FLEX_TOS_DONE, _PREEMPTED, _YIELDED or a negative FLEX_E_*; x1 = thread (its number and a sequence that
 * changes with every return, so that a second resume of one id is refused with FLEX_E_STATE); x2.. = values.
 * Callable on any core: a thread resumes wherever it is resumed. x6..x17 come back zero, SIMD registers as they were.
 */
#define FLEX_TOS_BASE 0x72000000
#define FLEX_TOS_START (FLEX_TOS_BASE + 0x01)
#define FLEX_TOS_RESUME (FLEX_TOS_BASE + 0x02)

#define FLEX_TOS_DONE 0
#define FLEX_TOS_PREEMPTED 1
#define FLEX_TOS_YIELDED 2

/* Payload to dispatcher (fast Trusted-OS SMC64 from S-EL1). */
#define FLEX_SPD_BASE 0xF2000000
#define FLEX_SPD_RETURN (FLEX_SPD_BASE + 0x10)    /* x1..x6 become the NW's x0..x5 */
#define FLEX_SPD_BOOT_DONE (FLEX_SPD_BASE + 0x11) /* (physical address of struct flex_vectors or 0: failed; identity as
						     FLEX_MON_IDENTITY returns it: two halves, debug) */
#define FLEX_SPD_CPU_DONE (FLEX_SPD_BASE + 0x12)  /* end of cpu_on, cpu_off, suspend, resume */

#endif /* FLEXKIT_SMC_H */
