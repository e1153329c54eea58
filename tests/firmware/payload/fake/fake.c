/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake.h"
#include "flex_core.h"
#include "fake_flash.h"
#include "rt_arch.h"
#include "runtime.h"

#define WINDOW_BYTES ((size_t)FLEX_BOARD_SLOTS * FLEX_PAGE_SIZE)
#define BLOCKS (FLEX_BOARD_DRAM_SIZE >> FLEX_BLOCK_SHIFT)

_Thread_local int fake_masked;
_Thread_local void *fake_core;
_Thread_local unsigned int fake_core_number;
uint64_t fake_esr;
int64_t (*fake_on_yield)(uint64_t reason, uint64_t v1, uint64_t v2, uint64_t v3);
jmp_buf *fake_panic_expected;
const char *fake_panic_message;
__attribute__((weak)) const uint8_t rt_identity[16];
int fake_interrupt;

unsigned int fake_slow_scrub;

static int dram_file = -1;
static uint8_t *dram, *window;
static uint64_t table[FLEX_BOARD_SLOTS];     /* level 3: page or 0 */
static uint64_t tlb[FLEX_BOARD_SLOTS];       /* what the window really shows: page or 0 */
static bool invalidating[FLEX_BOARD_SLOTS];  /* asked for, not yet waited for */
static uint8_t nw[FAKE_PAGES];
static uint8_t comm[FLEX_BOARD_COMM_SIZE] __attribute__((aligned(4096)));
static uint8_t heap[1 << 20] __attribute__((aligned(4096)));

static uint32_t page_entries[FAKE_PAGES], block_words[BLOCKS];
static uint64_t slot_words[FLEX_BOARD_SLOTS];
static struct flex_mailbox mailboxes[FLEX_BOARD_MAILBOXES];
static uint64_t lists[FLEX_BOARD_CORES][FLEX_MAILBOX_ENTRIES];
static struct flex_monitor monitor;

/* ---- the monitor's machine ---- */

static uint64_t index_of(uint64_t page)
{
	return (page - FLEX_BOARD_DRAM_BASE) >> FLEX_PAGE_SHIFT;
}

/* Regions are not looked at page by page. */
static void op_unmap(uint64_t address, uint64_t size)
{
	if (size == FLEX_PAGE_SIZE)
		__atomic_store_n(&nw[index_of(address)], 0, __ATOMIC_SEQ_CST);
}

static void op_map(uint64_t address, uint64_t size)
{
	if (size == FLEX_PAGE_SIZE)
		__atomic_store_n(&nw[index_of(address)], 1, __ATOMIC_SEQ_CST);
}

static int op_invalidate(void)
{
	return FLEX_OK;
}

static void op_publish(void)
{
}

static void op_copy(uint64_t to, uint64_t from)
{
	memcpy(fake_page(index_of(to)), fake_page(index_of(from)), FLEX_PAGE_SIZE);
}

static void op_scrub(uint64_t page)
{
	uint64_t *words = (uint64_t *)fake_page(index_of(page));

	for (unsigned int i = 0; i < FLEX_PAGE_SIZE / 8; i++)
		__atomic_store_n(&words[i], 0, __ATOMIC_RELAXED);
	/* Page and slot are BUSY now: let the others try their luck. */
	usleep(fake_slow_scrub);
}

static bool op_interrupt_pending(void)
{
	return fake_interrupt;
}

static uint64_t op_ticks(void)
{
	return rt_ticks();
}

static int op_protect(bool on)
{
	(void)on;
	return FLEX_OK;
}

static bool op_protected(void)
{
	return true;
}

static const struct flex_ops machine = {
	.unmap = op_unmap,
	.map = op_map,
	.invalidate = op_invalidate,
	.publish = op_publish,
	.scrub = op_scrub,
	.copy = op_copy,
	.donate_pages = FLEX_MAILBOX_ENTRIES,
	.interrupt_pending = op_interrupt_pending,
	.ticks = op_ticks,
	.protect = op_protect,
	.protected = op_protected,
};

/* ---- DRAM and window ---- */

uint8_t *fake_page(uint64_t index)
{
	return dram + index * FLEX_PAGE_SIZE;
}

bool fake_is_nw(uint64_t index)
{
	return __atomic_load_n(&nw[index], __ATOMIC_SEQ_CST);
}

uint64_t fake_address(uint64_t index)
{
	return FLEX_BOARD_DRAM_BASE + index * FLEX_PAGE_SIZE;
}

/* What a walk that finds `page` puts into the TLB: only where there was nothing. */
static void walk(uint64_t slot, uint64_t page)
{
	if (tlb[slot])
		return;
	CHECK(mmap(window + slot * FLEX_PAGE_SIZE, FLEX_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		   dram_file, (off_t)(index_of(page) * FLEX_PAGE_SIZE)) != MAP_FAILED);
	tlb[slot] = page;
}

void *rt_slot_address(uint64_t slot)
{
	return window + slot * FLEX_PAGE_SIZE;
}

const uint64_t *rt_window_entries(void)
{
	return table;
}

void rt_window_set(uint64_t slot, uint64_t page)
{
	CHECK(fake_masked); /* under the window's lock */
	CHECK(page == 0 || table[slot] == 0);
	/* Whoever sees the entry may go through it at once. */
	if (page)
		walk(slot, page);
	__atomic_store_n(&table[slot], page, __ATOMIC_RELEASE);
}

void rt_window_invalidate(uint64_t slot)
{
	invalidating[slot] = true;
}

void rt_window_sync(void)
{
	/* Only who holds the window's lock has asked for anything. */
	if (!fake_masked)
		return;
	for (uint64_t slot = 0; slot < FLEX_BOARD_SLOTS; slot++) {
		if (!invalidating[slot])
			continue;
		invalidating[slot] = false;
		tlb[slot] = 0;
		CHECK(mmap(window + slot * FLEX_PAGE_SIZE, FLEX_PAGE_SIZE, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
	}
}

void rt_window_reset(void)
{
}

void *rt_region_map(uint64_t base, uint64_t size)
{
	(void)size;
	return fake_page(index_of(base));
}

void rt_region_unmap(uint64_t base, uint64_t size)
{
	(void)base;
	(void)size;
}

/* ---- the rest of the runtime ---- */

uint64_t *rt_slot_words(void)
{
	return slot_words;
}

void *rt_mailbox(uint64_t index)
{
	return &mailboxes[index];
}

void *rt_comm(void)
{
	return comm;
}

void *rt_heap(void)
{
	return heap;
}

uint64_t rt_heap_bytes(void)
{
	return sizeof(heap);
}

uint64_t rt_panics(void)
{
	return 0;
}

/* core.c and thread.c have these where they are tested. */
__attribute__((weak)) bool rt_dying(void)
{
	return false;
}

void rt_abandon_on_core_stack(void)
{
	abort();
}

void rt_panic(const char *message)
{
	fake_panic_message = message;
	fake_masked = 0;
	if (fake_panic_expected)
		longjmp(*fake_panic_expected, 1);
	fprintf(stderr, "panic: %s\n", message);
	abort();
}

struct rt_smc rt_smc(uint64_t fid, uint64_t a1, uint64_t a2, uint64_t a3)
{
	struct flex_call call = {
		.fid = (uint32_t)fid,
		.caller = FLEX_CALLER_PAYLOAD,
		.core = fake_core_number,
		.arg = { a1, a2, a3 },
	};

	flex_dispatch(&monitor, &call);
	return (struct rt_smc){ (int64_t)call.ret[0], call.ret[1], call.ret[2], call.ret[3] };
}

int64_t rt_yield(uint64_t reason, uint64_t v1, uint64_t v2, uint64_t v3)
{
	CHECK(!fake_masked); /* no lock is held over a yield */
	CHECK(fake_on_yield);
	return fake_on_yield(reason, v1, v2, v3);
}

__attribute__((weak)) void rt_thread_at(struct rt_team *team)
{
	(void)team;
}

__attribute__((weak)) void rt_drill_hang(void)
{
	abort();
}

__attribute__((weak)) uint64_t rt_drill_simd(uint64_t rounds)
{
	return rounds - rounds;
}

/* ---- the normal world ---- */

static int64_t nw_batch(unsigned int core, uint32_t fid, uint64_t index)
{
	struct flex_call call = { .fid = fid, .caller = FLEX_CALLER_NW, .core = core, .arg = { core, 0, 1 } };
	int64_t status;

	mailboxes[core].page[0] = fake_address(index);
	status = flex_dispatch(&monitor, &call);
	return fid == FLEX_MON_RECALL && status == FLEX_OK ? mailboxes[core].result[0] : status;
}

int64_t fake_donate(unsigned int core, uint64_t index)
{
	return nw_batch(core, FLEX_MON_DONATE, index);
}

int64_t fake_move(unsigned int core, uint64_t from, uint64_t to)
{
	struct flex_call call = { .fid = FLEX_MON_MOVE, .caller = FLEX_CALLER_NW, .core = core, .arg = { core, 0, 1 } };

	mailboxes[core].page[0] = fake_address(from);
	mailboxes[core].page[FLEX_MOVE_ENTRIES] = fake_address(to);
	EQUAL(flex_dispatch(&monitor, &call), FLEX_OK);
	return mailboxes[core].result[0];
}

int64_t fake_recall(unsigned int core, uint64_t index)
{
	return nw_batch(core, FLEX_MON_RECALL, index);
}

/* A long one comes back between its parts. */
static int64_t nw_region(uint32_t fid, uint64_t base, uint64_t size)
{
	struct flex_call call = { .fid = fid, .caller = FLEX_CALLER_NW, .arg = { base, size, 0 } };
	int64_t rc;

	while ((rc = flex_dispatch(&monitor, &call)) == FLEX_E_INTERRUPTED)
		call.arg[2] = call.ret[1];
	return rc;
}

int64_t fake_secure(uint64_t base, uint64_t size)
{
	return nw_region(FLEX_MON_REGION_SECURE, base, size);
}

int64_t fake_release(uint64_t base, uint64_t size)
{
	return nw_region(FLEX_MON_REGION_RELEASE, base, size);
}

struct rt_call fake_call(uint64_t op, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4)
{
	struct rt_call call;

	memset(&call, 0, sizeof(call));
	call.op = op;
	call.arg[0] = a1;
	call.arg[1] = a2;
	call.arg[2] = a3;
	call.arg[3] = a4;
	rt_service.operation(&call);
	CHECK(!fake_masked);
	return call;
}

/* As the driver: what is in a recall's hands just now is asked for again. */
static bool worth_waiting(int64_t error)
{
	return error == FLEX_E_BUSY && sched_yield() == 0;
}

int64_t fake_give(uint64_t index, uint64_t slot)
{
	int64_t error;

	do
		error = fake_donate(fake_core_number, index);
	while (worth_waiting(error));
	if (error)
		return error;
	do {
		mailboxes[fake_core_number].page[0] = fake_address(index);
		error = fake_call(FLEX_OP_CLAIM, fake_core_number, 1, slot, 0).status;
	} while (worth_waiting(error));
	return error;
}

static void set_up_memory(void)
{
	if (dram_file < 0) {
		dram_file = memfd_create("dram", 0);
		CHECK(dram_file >= 0 && ftruncate(dram_file, FLEX_BOARD_DRAM_SIZE) == 0);
		dram = mmap(NULL, FLEX_BOARD_DRAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, dram_file, 0);
		CHECK(dram != MAP_FAILED);
		window = NULL;
	}
	window = mmap(window, WINDOW_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | (window ? MAP_FIXED : 0), -1, 0);
	CHECK(window != MAP_FAILED);
	memset(table, 0, sizeof(table));
	memset(tlb, 0, sizeof(tlb));
	memset(dram, 0, FLEX_BOARD_DRAM_SIZE);
	memset(nw, 1, sizeof(nw));
	memset(comm, 0, sizeof(comm));
}

void fake_reset(void)
{
	set_up_memory();
	memset(&monitor, 0, sizeof(monitor));
	memset(page_entries, 0, sizeof(page_entries));
	memset(block_words, 0, sizeof(block_words));
	memset(slot_words, 0, sizeof(slot_words));
	monitor.layout = (struct flex_layout){
		.dram_base = FLEX_BOARD_DRAM_BASE,
		.dram_size = FLEX_BOARD_DRAM_SIZE,
		.tables_base = FLEX_BOARD_DRAM_BASE + FLEX_BOARD_DRAM_SIZE - 0x200000,
		.tables_size = 0x200000,
		.shared_base = FLEX_BOARD_DRAM_BASE + FLEX_BOARD_DRAM_SIZE - 0x400000,
		.shared_size = 0x200000,
		.payload_base = 0x1000, /* all of this process */
		.payload_size = 0x7ffffffff000,
		.slots = FLEX_BOARD_SLOTS,
		.pin_quota = FLEX_BOARD_PIN_QUOTA,
		.mailboxes = FLEX_BOARD_MAILBOXES,
		.scrub_chunk = 64,
		.cores = FLEX_BOARD_CORES,
	};
	monitor.ops = &machine;
	monitor.pages = page_entries;
	monitor.blocks = block_words;
	monitor.slots = slot_words;
	monitor.mailboxes = mailboxes;
	monitor.payload = (const uint8_t *)(uintptr_t)0x1000;
	monitor.lists = lists;
	flex_core_init(&monitor);
	fake_on_yield = NULL;
	fake_flash_reset();
	rt_service.init();
}
