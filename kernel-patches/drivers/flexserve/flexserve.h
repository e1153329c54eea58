/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * FlexServe driver: what its files share. What is known here of Linux's pages
 * is in memory.h, of models and sessions in model.h, of prompts in request.h.
 *
 * Lock order, outer first:
 *
 *   flex_client.lock     ioctls of one open file
 *   flex_region_lock     the one contiguous region of a strawman
 *   flex_models_lock     the list of models; opening and closing them
 *   flex_loader.pick     what a model's loaders do next
 *   flex_sealing_lock    the conversation that is being put aside
 *   flex_protect.lock    switching protection on and off
 *   a mailbox            held for one batch of calls, never while allocating
 *   flex_slots_lock      the slot table (spin lock)
 *
 * Reclaim (the shrinker) takes only a mailbox and flex_slots_lock. Whoever
 * holds a mailbox neither allocates memory nor waits for reclaim, so reclaim
 * always gets one.
 *
 * Files call downwards only:
 *
 *   main > dev > ioctl > leader > helper, cached, strawman > request > model > parse > session,
 *   loader > store > load, region, order > take > reclaim > recall > movable > victims,
 *   slots > walk > payload, protect, group > mailbox, smc, clock, worker
 */
#ifndef FLEXSERVE_H
#define FLEXSERVE_H

#include <linux/arm-smccc.h>
#include <linux/atomic.h>
#include <linux/bvec.h>
#include <linux/completion.h>
#include <linux/fs.h>
#include <linux/kfifo.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <asm/arch_timer.h>
#include <flexkit/mailbox.h>
#include <flexkit/page.h>
#include <flexkit/payload.h>
#include <flexkit/smc.h>
#include <flexkit/uapi.h>

#define FLEX_BATCH FLEX_MAILBOX_ENTRIES
/*
 * Payload threads that stay busy (leaders and helpers), of the 8 that every
 * payload has at least: the others remain for short calls, without which the
 * busy ones would wait for ever.
 */
#define FLEX_BUSY_THREADS 6

/* What the firmware told at start; constant afterwards. */
struct flex_firmware {
	void *shared;		/* the shared region, mapped write-back */
	size_t shared_size;
	u32 abi;
	u32 mailboxes;
	u32 slots;
	u64 quota_pages;
	struct {
		u64 base, size;
	} dram;			/* what may become secure */
	u32 debug[2];		/* by FLEX_PART_* */
	u8 identity[2][16];
};
extern struct flex_firmware flex_firmware;

/* The board's counter, which the payload and the agent read as well. */
static inline u64 flex_ticks(void)
{
	return __arch_counter_get_cntvct();
}

/* Physical address that the calls speak of. */
static inline u64 flex_page_address(const struct page *page)
{
	return page_to_phys(page);
}

/* smc.c: monitor calls */
s64 flex_smc(u64 function, u64 a1, u64 a2, u64 a3, struct arm_smccc_1_2_regs *res);
u32 flex_monitor_batch(u64 function, u32 mailbox, u32 count, s64 *error);
int flex_errno(s64 flex_error);

/* mailbox.c */
struct flex_mailbox_lease {
	struct flex_mailbox *memory;
	u32 index;
	/* For recall, which must not allocate: what the entries are. */
	struct flex_range *range;
	struct page *page[FLEX_BATCH];
	u32 slot[FLEX_BATCH];
};
int flex_mailboxes_init(void);
void flex_mailboxes_exit(void);
struct flex_mailbox_lease *flex_mailbox_get(bool reclaim);
void flex_mailbox_put(struct flex_mailbox_lease *lease);

/*
 * group.c: the memory cgroup that secure pages are charged to. NULL is the root
 * group, which has no limit.
 */
struct obj_cgroup *flex_group_of_current(void);
struct obj_cgroup *flex_group_get(struct obj_cgroup *group);
void flex_group_put(struct obj_cgroup *group);
struct mem_cgroup *flex_group_begin(struct obj_cgroup *group);
void flex_group_end(struct mem_cgroup *before);
struct mem_cgroup *flex_group_short(struct obj_cgroup *group, u32 pages);
bool flex_group_within(struct obj_cgroup *group, struct mem_cgroup *memcg, bool exact);
void flex_group_mark(struct obj_cgroup *group, int shrinker);

/* What a group is guaranteed, the strongest first: a recall that keeps to one keeps to those before it. */
enum flex_guard {
	FLEX_GUARD_NONE,
	FLEX_GUARD_MIN,		/* memory.min */
	FLEX_GUARD_LOW,		/* memory.low */
};
enum flex_guard flex_group_guard(struct obj_cgroup *group, struct mem_cgroup *target);

/* protect.c */
int flex_protect_get(void);
void flex_protect_put(void);
void flex_protect_idle(void);
int flex_protect_force(bool on);
u32 flex_protect_state(void);

/* clock.c: where the time to the first token goes */
enum flex_part {
	FLEX_PART_ALLOCATE,
	FLEX_PART_READ,
	FLEX_PART_DONATE,
	FLEX_PART_DECRYPT,
	FLEX_PART_PREFILL,
	FLEX_PART_SWITCH,
	FLEX_PARTS
};

struct flex_clock {
	u64 submitted;
	u64 first_token;	/* 0: not yet */
	u64 finished;
	u64 mark;
	enum flex_part part;
	bool follows;		/* others work: the time is exposed here, and busy there */
	wait_queue_head_t *watched;	/* woken at each new part, or NULL */
	u64 exposed[FLEX_PARTS];
	u64 busy[FLEX_PARTS];
	u64 loaded;		/* pages read meanwhile */
};

/* What threads beside the leader have done. */
struct flex_work {
	u64 busy[FLEX_PARTS];
	u64 loaded;
};
void flex_clock_start(struct flex_clock *clock, u64 submitted);
enum flex_part flex_clock_enter(struct flex_clock *clock, enum flex_part part);
enum flex_part flex_clock_lean(struct flex_clock *clock, enum flex_part part);
void flex_clock_stand(struct flex_clock *clock, enum flex_part before);
void flex_clock_follow(struct flex_clock *clock, wait_queue_head_t *wait,
		       bool (*over)(void *context, enum flex_part *part), void *context);
void flex_clock_work(struct flex_clock *clock, const struct flex_work *before,
		     const struct flex_work *now);
void flex_clock_shift(struct flex_clock *clock, enum flex_part part, u64 ticks);
void flex_clock_yield(struct flex_clock *clock, enum flex_part part, u64 ticks);
void flex_clock_token(struct flex_clock *clock, u64 now);
void flex_clock_report(const struct flex_clock *clock, struct flex_breakdown *out);

/* payload.c: secure threads */
struct flex_call;
struct flex_call_ops {
	/* After every return that is not the end: an error abandons the thread. */
	s64 (*turn)(struct flex_call *call, u64 ticks);
	/* A yield, after turn(): returns what RESUME is answered with. */
	s64 (*yielded)(struct flex_call *call, u64 reason, const struct arm_smccc_1_2_regs *values);
	/* A yield for want of work, after turn(): FLEX_OK, or what ends the thread. May sleep. */
	s64 (*idle)(struct flex_call *call);
};

struct flex_call {
	u64 op;
	u64 arg[5];
	const struct flex_call_ops *ops;
	void *context;
	struct flex_clock *clock;	/* is told what waiting for another thread is for, or NULL */
	bool hasty;		/* no waiting when anything is exhausted */
	u32 idle;		/* visits in a row that found nothing to do */
	u64 entries;		/* out: entries into the payload */
	struct arm_smccc_1_2_regs result;	/* out: of the last return */
};
s64 flex_payload_run(struct flex_call *call);
s64 flex_payload_call(u64 op, u64 a1, u64 a2, u64 a3, struct arm_smccc_1_2_regs *result);
struct flex_status *flex_status(void);
struct flex_session_comm *flex_session_comm(u32 session);
u64 flex_payload_pinned(void);
u32 flex_payload_epoch(void);
void flex_payload_watch(void (*lost)(void));
void flex_payload_lost(void);
void flex_payload_restart(void);

/* Ends what computes without ever advancing: secure ticks since a heartbeat. */
struct flex_watchdog {
	u64 heartbeat;
	atomic64_t spent;
};
bool flex_watchdog_late(struct flex_watchdog *watchdog, u64 heartbeat);

/* worker.c */
int flex_worker_start(void (*run)(void *data), void *data);

/* measure.c: for benchmarks */
int flex_measure(struct flex_ioc_measure *ask);

/* dev.c */
int flex_dev_init(void);

/* latency.c */
struct dentry;
void flex_latency_init(struct dentry *folder);

/* stats.c */
enum flex_count {
	FLEX_COUNT_DONATED,
	FLEX_COUNT_RECALLED,
	FLEX_COUNT_RECALL_PINNED,
	FLEX_COUNT_SHRINKER_CALLS,
	FLEX_COUNT_SHRINKER_PAGES,
	FLEX_COUNT_RECLAIM_CALLS,	/* by reclaim of a node or a group, before the shrinker */
	FLEX_COUNT_RECLAIM_PAGES,
	FLEX_COUNT_MOVED,	/* pages, by compaction */
	FLEX_COUNT_PREEMPTIONS,
	FLEX_COUNT_MIGRATIONS,
	FLEX_COUNT_RELOADS,
	FLEX_COUNT_SEALED,	/* conversations put aside */
	FLEX_COUNT_LOST,	/* pages that came back in no known state: never used again */
	FLEX_COUNTS
};
extern atomic64_t flex_counts[FLEX_COUNTS];
extern atomic_long_t flex_secure_pages;		/* donated, by this driver, now */
extern const struct attribute_group *flex_attribute_groups[];

static inline void flex_count(enum flex_count which, u64 by)
{
	atomic64_add(by, &flex_counts[which]);
}
void flex_stats_init(void);
u64 flex_monitor_stat(u32 index);
void flex_stats_fill(struct flex_ioc_stats *out);

#endif /* FLEXSERVE_H */
