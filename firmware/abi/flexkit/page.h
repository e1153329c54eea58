/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pages and slots: who owns a page of DRAM, and where the payload sees it. This header is the specification; the
 * monitor's core (firmware/monitor/core) implements it, the payload's memory manager relies on it.
 *
 * Page entry: 32 bits for each 4K page of DRAM, in secure memory, written by the monitor alone.
 *
 *   state      who may access it                what `slot` means
 *   ---------  -------------------------------  -------------------------------------------
 *   NORMAL     normal world (and EL3)           0
 *   BUSY       nobody but the core that set it  the slot it had or is to have, else NONE
 *   DONATED    secure world                     NONE: its bytes are as the NW left them
 *   CLAIMED    secure world                     the one slot that names it
 *   HIDDEN     EL3 only, for ever               0 (tables, SMMU structures, EL2 vector)
 *
 * A page inside a secured region (FLEX_MON_REGION_SECURE) keeps the entry NORMAL; its 2M block word says REGION, and
 * every transition below is refused there.
 *
 *   verb      initiator  page                          slot
 *   --------  ---------  ----------------------------  ------------------------------------------------
 *   donate    NW         NORMAL  => BUSY => DONATED    -
 *   claim     payload    DONATED => BUSY => CLAIMED    EMPTY => HELD, generation + 1, pins 0
 *   drop      payload    CLAIMED => BUSY => DONATED    HELD, pins 0 => BUSY => EMPTY
 *   recall    NW         CLAIMED => BUSY => NORMAL     HELD, pins 0 => BUSY => EMPTY; pinned: refused
 *   recall    NW         DONATED => BUSY => NORMAL     -
 *   move      NW         old: CLAIMED => BUSY => NORMAL  HELD, pins 0 => BUSY => HELD, generation + 1, the new page;
 *                        new: NORMAL => BUSY => CLAIMED  pinned: refused
 *
 * Order of taking a page away from the NW: BUSY, unmap, TLBI + DSB, SMMU invalidate and sync, DONATED. Of giving it
 * back: page and slot BUSY (no pin holds it, none can), scrub and clean, slot EMPTY, map, NORMAL. Of moving: the new
 * page is taken away, then the old page and the slot are BUSY, copy, slot HELD with the new page, the old is given back.
 *
 * Slot: one 64-bit word, changed only by compare-and-swap, shared by monitor and payload in secure memory.
 *
 *   63..62 state   61..40 generation   39..28 pins   27..0 page index from the start of DRAM
 *
 * Pinning (payload, no call): HELD and pins < FLEX_SLOT_PINS_MAX => pins + 1. The generation never goes back; after
 * 2^22 claims of one slot the claim is refused (FLEX_E_EXHAUSTED) until the board restarts.
 */
#ifndef FLEXKIT_PAGE_H
#define FLEXKIT_PAGE_H

#define FLEX_PAGE_SHIFT 12
#define FLEX_PAGE_SIZE (1 << FLEX_PAGE_SHIFT)
#define FLEX_BLOCK_SHIFT 21 /* a region is made of 2M blocks */

#define FLEX_PAGE_NORMAL 0
#define FLEX_PAGE_BUSY 1
#define FLEX_PAGE_DONATED 2
#define FLEX_PAGE_CLAIMED 3
#define FLEX_PAGE_HIDDEN 4

#define FLEX_PAGE_STATE_SHIFT 28
#define FLEX_PAGE_SLOT_MASK 0x0fffffff
#define FLEX_SLOT_NONE FLEX_PAGE_SLOT_MASK

#define FLEX_SLOT_EMPTY 0
#define FLEX_SLOT_HELD 1
#define FLEX_SLOT_BUSY 2

#define FLEX_SLOT_STATE_SHIFT 62
#define FLEX_SLOT_GENERATION_SHIFT 40
#define FLEX_SLOT_GENERATION_MASK 0x3fffff
#define FLEX_SLOT_PINS_SHIFT 28
#define FLEX_SLOT_PINS_MAX 0xfff
#define FLEX_SLOT_PAGE_MASK 0x0fffffff

#endif /* FLEXKIT_PAGE_H */
