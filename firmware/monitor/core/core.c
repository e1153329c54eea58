/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/* The dispatcher's table, and the calls that only report. */

#include "flex_words.h"

#define NW	FLEX_CALLER_NW
#define PAYLOAD	FLEX_CALLER_PAYLOAD

static int call_version(struct flex_monitor *m, struct flex_call *call)
{
	(void)m;
	call->ret[1] = ((uint64_t)FLEX_ABI_MAJOR << 16) | FLEX_ABI_MINOR;
	return FLEX_OK;
}

static int call_identity(struct flex_monitor *m, struct flex_call *call)
{
	if (call->arg[0] > FLEX_PART_PAYLOAD) {
		return FLEX_E_INVAL;
	}
	call->ret[1] = m->identity[call->arg[0]].high;
	call->ret[2] = m->identity[call->arg[0]].low;
	call->ret[3] = m->identity[call->arg[0]].debug;
	return FLEX_OK;
}

static int call_info(struct flex_monitor *m, struct flex_call *call)
{
	call->ret[1] = m->layout.shared_base;
	call->ret[2] = ((uint64_t)m->layout.mailboxes << 32) | m->layout.slots;
	call->ret[3] = ((uint64_t)m->layout.pin_quota << 8) |
		       (m->ops->protected() ? FLEX_PROTECT_ON : FLEX_PROTECT_OFF);
	return FLEX_OK;
}

static int call_protect(struct flex_monitor *m, struct flex_call *call)
{
	if (call->arg[0] > FLEX_PROTECT_ON) {
		return FLEX_E_INVAL;
	}
	return m->ops->protect(call->arg[0] == FLEX_PROTECT_ON);
}

static int call_stat(struct flex_monitor *m, struct flex_call *call)
{
	uint64_t longest = __atomic_load_n(&m->longest, __ATOMIC_RELAXED);

	if (call->arg[0] >= FLEX_STAT_COUNT) {
		return FLEX_E_INVAL;
	}
	if (call->arg[0] == FLEX_STAT_DMA_BLOCKED) {
		flex_count(m, FLEX_STAT_DMA_BLOCKED, m->ops->dma_blocked());
	}
	if (call->arg[0] == FLEX_STAT_EL3_MAX_TICKS) {
		call->ret[1] = longest >> 8;
	} else if (call->arg[0] == FLEX_STAT_EL3_MAX_CALL) {
		call->ret[1] = longest & 0xffU;
	} else {
		call->ret[1] = __atomic_load_n(&m->stat[call->arg[0]], __ATOMIC_RELAXED);
	}
	return FLEX_OK;
}

static int call_audit(struct flex_monitor *m, struct flex_call *call)
{
	uint64_t word, pinned = 0U, held = 0U;
	uint32_t slot, end;

	if (call->arg[0] >= m->layout.slots) {
		return FLEX_E_INVAL;
	}
	slot = (uint32_t)call->arg[0];
	end = ((m->layout.slots - slot) > FLEX_AUDIT_SLOTS) ? (slot + FLEX_AUDIT_SLOTS) : m->layout.slots;
	for (; slot < end; slot++) {
		word = flex_slot_read(m, slot);
		if (flex_slot_state(word) == FLEX_SLOT_HELD) {
			held++;
			pinned += (flex_slot_pins(word) != 0U) ? 1U : 0U;
		}
	}
	call->ret[1] = (end == m->layout.slots) ? 0U : end;
	call->ret[2] = pinned;
	call->ret[3] = held;
	return FLEX_OK;
}

static bool panic_lock(struct flex_monitor *m)
{
	uint32_t idle = 0U;

	return flex_swap32(&m->panic_busy, &idle, 1U);
}

static int call_record(struct flex_monitor *m, struct flex_call *call)
{
	uint64_t offset = call->arg[0];
	uint32_t i, word = (uint32_t)(offset / sizeof(uint64_t));

	if (((offset % sizeof(uint64_t)) != 0U) || (offset >= sizeof(m->panic))) {
		return FLEX_E_INVAL;
	}
	if (!panic_lock(m)) {
		return FLEX_E_BUSY;
	}
	for (i = 0U; i < 3U; i++) {
		call->ret[1U + i] = ((word + i) < (sizeof(m->panic) / sizeof(uint64_t))) ? m->panic.word[word + i] : 0U;
	}
	__atomic_store_n(&m->panic_busy, 0U, __ATOMIC_RELEASE);
	return FLEX_OK;
}

static int call_panic(struct flex_monitor *m, struct flex_call *call)
{
	const volatile uint64_t *from;
	uint32_t i;

	if (call->arg[1] != sizeof(m->panic)) {
		return FLEX_E_INVAL;
	}
	from = flex_payload_memory(m, call->arg[0], sizeof(m->panic));
	if (from == NULL) {
		return FLEX_E_INVAL;
	}
	if (!panic_lock(m)) {
		return FLEX_E_BUSY;
	}
	for (i = 0U; i < (sizeof(m->panic) / sizeof(uint64_t)); i++) {
		m->panic.word[i] = from[i];
	}
	__atomic_store_n(&m->panic_busy, 0U, __ATOMIC_RELEASE);
	flex_count(m, FLEX_STAT_PANICS, 1U);
	return FLEX_OK;
}

static const struct {
	uint32_t fid;
	uint32_t callers;
	int (*handler)(struct flex_monitor *m, struct flex_call *call);
} calls[] = {
	{ FLEX_MON_VERSION, NW | PAYLOAD, call_version },
	{ FLEX_MON_IDENTITY, NW | PAYLOAD, call_identity },
	{ FLEX_MON_INFO, NW | PAYLOAD, call_info },
	{ FLEX_MON_DONATE, NW, flex_donate },
	{ FLEX_MON_RECALL, NW, flex_recall },
	{ FLEX_MON_MOVE, NW, flex_move },
	{ FLEX_MON_REGION_SECURE, NW, flex_region_secure },
	{ FLEX_MON_REGION_RELEASE, NW, flex_region_release },
	{ FLEX_MON_PROTECT, NW, call_protect },
	{ FLEX_MON_STAT, NW | PAYLOAD, call_stat },
	{ FLEX_MON_AUDIT, NW | PAYLOAD, call_audit },
	{ FLEX_MON_RECORD, NW, call_record },
	{ FLEX_MON_CLAIM, PAYLOAD, flex_claim },
	{ FLEX_MON_DROP, PAYLOAD, flex_drop },
	{ FLEX_MON_REGION_USE, PAYLOAD, flex_region_use },
	{ FLEX_MON_PANIC, PAYLOAD, call_panic },
};

/* The longest stay in EL3 and the call that took it, in one word, so that the two always belong together. */
static void note_stay(struct flex_monitor *m, uint32_t fid, uint64_t ticks)
{
	uint64_t old = __atomic_load_n(&m->longest, __ATOMIC_RELAXED);
	uint64_t new = (ticks << 8) | (fid & 0xffU);

	while ((ticks > (old >> 8)) &&
	       !__atomic_compare_exchange_n(&m->longest, &old, new, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
	}
}

/*
 * flex_dispatch() - one call, from the NW's EL1 or the payload's
 *
 * Fills call->ret; registers that the call does not define are zero. Safe on all cores at once.
 */
int64_t flex_dispatch(struct flex_monitor *m, struct flex_call *call)
{
	uint64_t begin = m->ops->ticks();
	size_t i, n = sizeof(calls) / sizeof(calls[0]);
	int rc = FLEX_E_UNKNOWN;

	call->ret[1] = 0U;
	call->ret[2] = 0U;
	call->ret[3] = 0U;
	for (i = 0U; (i < n) && (calls[i].fid != call->fid); i++) {
	}
	if ((i < n) && (((calls[i].callers & (uint32_t)call->caller) == 0U) || (call->core >= m->layout.cores))) {
		rc = FLEX_E_DENIED;
	} else if (i < n) {
		rc = calls[i].handler(m, call);
	}
	if (call->fid != FLEX_MON_PROTECT) {
		note_stay(m, call->fid, m->ops->ticks() - begin);
	}
	call->ret[0] = (uint64_t)(int64_t)rc;
	return rc;
}

void flex_count(struct flex_monitor *m, unsigned int stat, uint64_t by)
{
	(void)__atomic_add_fetch(&m->stat[stat], by, __ATOMIC_SEQ_CST);
}

static void mark_range(struct flex_monitor *m, uint64_t base, uint64_t size, bool hidden)
{
	uint64_t at;
	uint32_t index;

	for (at = base; at < (base + size); at += FLEX_PAGE_SIZE) {
		index = flex_page_index(m, at);
		m->blocks[index / FLEX_BLOCK_PAGES] = FLEX_BLOCK_RESERVED << FLEX_BLOCK_STATE_SHIFT;
		if (hidden) {
			m->pages[index] = FLEX_PAGE_HIDDEN << FLEX_PAGE_STATE_SHIFT;
		}
	}
}

/*
 * flex_core_init() - every page NORMAL, every slot EMPTY, the tables hidden
 *
 * The caller has set layout, ops and the memory pointers. Once, at boot, on one core.
 */
void flex_core_init(struct flex_monitor *m)
{
	uint64_t i;

	for (i = 0U; i < (m->layout.dram_size >> FLEX_PAGE_SHIFT); i++) {
		m->pages[i] = FLEX_PAGE_NORMAL << FLEX_PAGE_STATE_SHIFT;
	}
	for (i = 0U; i < (m->layout.dram_size >> FLEX_BLOCK_SHIFT); i++) {
		m->blocks[i] = FLEX_BLOCK_OPEN << FLEX_BLOCK_STATE_SHIFT;
	}
	for (i = 0U; i < m->layout.slots; i++) {
		m->slots[i] = 0U;
	}
	mark_range(m, m->layout.tables_base, m->layout.tables_size, true);
	mark_range(m, m->layout.shared_base, m->layout.shared_size, false);
}
