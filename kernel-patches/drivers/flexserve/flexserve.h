/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * FlexServe driver: what its files share.
 *
 * Lock order, outer first:
 *
 *   flex_client.lock     ioctls of one open file
 *   flex_region_lock     the one contiguous region of a strawman
 *   flex_models_lock     the list of models; opening and closing them
 *   flex_loader.pick     what a model's loaders do next
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
 *   main > dev > leader > request, cached, strawman > model > session,
 *   loader > load, region > recall > payload, protect, slots > mailbox, smc, clock, worker
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
bool flex_group_within(struct obj_cgroup *group, struct mem_cgroup *memcg, bool exact);
void flex_group_mark(struct obj_cgroup *group, int shrinker);

/* protect.c */
int flex_protect_get(void);
void flex_protect_put(void);
void flex_protect_idle(void);
int flex_protect_force(bool on);
u32 flex_protect_state(void);

/* slots.c: which page lies in which slot */
struct flex_run {
	u32 first;	/* from the start of the range */
	u32 count;
};

struct flex_range {
	struct list_head list;	/* all ranges */
	struct list_head lru;	/* recallable ranges, next victim first */
	u32 first;
	u32 count;
	u32 held;		/* slots with a page, those under recall included */
	u32 moving;		/* of them, under recall now */
	/* Order of recall: the last run first, each from its end. */
	const struct flex_run *order;
	u32 runs;
	struct flex_run whole;	/* the order when there is no other */
	u32 victim;		/* recall goes on in this run, */
	u32 cursor;		/* below this page of it */
	bool decrypts;		/* claiming its pages takes the payload long */
	bool recallable;	/* a model's always, a session's between prompts */
	struct obj_cgroup *group;	/* charged for the pages; the owner has the reference */
};

/* Whose pages a recall may take: all that is zero is everybody's. */
struct flex_scope {
	struct flex_range *range;	/* this one alone, recallable or not */
	struct mem_cgroup *memcg;	/* recallable ranges of this group */
	bool exact;			/* and not of the groups below it */
};
int flex_slots_init(u32 slots);
void flex_slots_exit(void);
int flex_range_add(struct flex_range *range, u32 first, u32 count, bool recallable,
		   struct obj_cgroup *group);
void flex_range_remove(struct flex_range *range);
void flex_range_touch(struct flex_range *range);
void flex_range_park(struct flex_range *range);
void flex_range_unpark(struct flex_range *range);
void flex_range_publish(struct flex_range *range, u32 index, struct page **page, u32 count);
u32 flex_range_hole(struct flex_range *range, u32 *index, u32 end);
u32 flex_range_held(struct flex_range *range);
u32 flex_slots_collect(const struct flex_scope *scope, struct flex_mailbox_lease *lease, u32 want);
u32 flex_slots_settle(struct flex_mailbox_lease *lease, u32 count);
void flex_range_order(struct flex_range *range, const struct flex_run *order, u32 runs);
void flex_slots_rewind(const struct flex_scope *scope);
bool flex_slot_take(u32 slot, struct page *page);
void flex_slot_put(u32 slot, struct page *page);
u64 flex_slots_page(u32 slot);
u64 flex_slots_recallable(void);
u64 flex_slots_held(const struct flex_scope *scope);

/* order.c */
void flex_order_read(struct flex_range *range, u32 model);

/* movable.c: compaction */
void flex_movable_set(struct page *page, u32 slot);
void flex_movable_clear(struct page *page);

/* load.c: pages from Linux to the secure world */
struct flex_batch {
	struct page *page[FLEX_BATCH];
	struct bio_vec vec[FLEX_BATCH];
};
struct flex_clock;
u32 flex_alloc_pages(struct page **page, u32 want, const struct flex_range *range);
int flex_read_pages(struct file *file, loff_t at, struct bio_vec *vec, u32 pages, u64 bytes);
int flex_load(struct flex_range *range, u32 index, u32 count, struct file *file, u64 bytes,
	      struct flex_batch *batch, struct flex_clock *clock, u32 *loaded);
int flex_load_blank(struct flex_range *range, u32 index, u32 count, struct flex_clock *clock);

/* recall.c: and back */
u64 flex_recall(const struct flex_scope *scope, u64 want, u64 *ticks);
int flex_range_release(struct flex_range *range);
void flex_recall_pages(struct page **page, u32 count);

/* reclaim.c: asked for by Linux */
int flex_reclaim_init(void);
void flex_reclaim_exit(void);
void flex_reclaim_mark(struct obj_cgroup *group);

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

/* loader.c: pages of a model, ahead of the layer that computes */
#define FLEX_LOADERS 2

struct flex_chunk {
	struct flex_loader *loader;
	struct file *file;	/* the thread's own reference */
	bool running;		/* has a thread (loader->pick) */
	u32 index;
	u32 count;		/* 0: nothing under way */
	struct flex_clock clock;
};

struct flex_loader {
	struct mutex pick;	/* what is loaded next, and all below */
	wait_queue_head_t wait;	/* a step was made */
	struct flex_range *range;
	struct file *file;
	u64 bytes;
	u32 users;
	u32 threads;
	u32 next;		/* holes are looked for from here on */
	int error;		/* why the threads have stopped */
	struct flex_chunk chunk[FLEX_LOADERS];
};
void flex_loader_init(struct flex_loader *loader, struct flex_range *range);
void flex_loader_begin(struct flex_loader *loader, struct file *file, u64 bytes);
void flex_loader_end(struct flex_loader *loader);
void flex_loader_stop(struct flex_loader *loader);
int flex_loader_need(struct flex_loader *loader, u32 index, struct flex_clock *clock);
void flex_loader_work(const struct flex_loader *loader, struct flex_work *work);

/* model.c */
/* The payload cannot go on without this page of the model, counted from its first. */
typedef int (*flex_need)(void *context, u32 index);

struct flex_model {
	struct list_head list;	/* by last use, longest ago first */
	u32 users;		/* open handles and requests (flex_models_lock) */
	atomic_t requests;	/* under way */
	u32 mode;
	struct obj_cgroup *group;	/* of the client that opened it first: charged for it */
	/* what makes it the same model */
	dev_t device;
	u64 inode;
	u64 bytes;
	struct timespec64 modified;
	struct file *file;	/* while there are users */
	/* the payload's side (flex_models_lock) */
	bool open;
	bool refused;		/* it will not compute with it any more */
	u32 epoch;
	u32 id;
	u32 max_context;
	struct flex_range range;
	struct flex_loader loader;
};
extern struct mutex flex_models_lock;
struct flex_model *flex_model_get(struct file *file, u32 mode, struct obj_cgroup *group);
void flex_model_put(struct flex_model *model);
int flex_model_drop(struct flex_model *model);
int flex_model_open(struct flex_model *model, struct flex_clock *clock, char *reason);
int flex_model_begin(struct flex_model *model, struct flex_clock *clock, char *reason);
void flex_model_end(struct flex_model *model);
void flex_model_refused(struct flex_model *model);
bool flex_model_has(const struct flex_model *model, u64 slot);
int flex_model_reserve(struct flex_model *model, char *reason);
int flex_model_parse(struct flex_model *model, struct flex_clock *clock, flex_need need,
		     void *context, char *reason);
int flex_model_shut(struct flex_model *model);
void flex_models_init(void);
void flex_models_exit(void);

/* session.c */
struct flex_session {
	struct list_head idle;	/* between prompts */
	u32 model;		/* the payload's number of its model */
	u32 epoch;		/* of both numbers */
	u32 context;
	u32 id;
	struct obj_cgroup *group;	/* charged for the memory */
	struct flex_range memory;
};
struct flex_session *flex_session_get(u32 model, u32 context, u32 threads,
				      struct obj_cgroup *group, s64 *error);
void flex_session_put(struct flex_session *session);
bool flex_session_evict(void);
void flex_sessions_close(u32 model, u32 epoch);

/* worker.c */
int flex_worker_start(void (*run)(void *data), void *data);

/* region.c: the strawman's contiguous memory */
struct flex_region {
	struct page *page;
	u64 base;
	u64 size;
	u64 segment;		/* bytes of each but the last */
	u64 secured;		/* bytes, from the base */
};
int flex_region_alloc(struct flex_region *region, u64 bytes, u32 segments);
int flex_region_read(struct flex_region *region, u64 at, struct file *file, u64 bytes);
int flex_region_secure(struct flex_region *region);
void flex_region_release(struct flex_region *region);
extern struct mutex flex_region_lock;

/* request.c */
#define FLEX_EVENTS 256

struct flex_client {
	struct mutex lock;
	struct kref refs;
	struct obj_cgroup *group;	/* of whoever opened the device */
	struct flex_model *model[8];
	struct flex_clock opening;	/* runs from the last FLEX_IOC_MODEL */
	const struct flex_model *opened;	/* by that; compared, never followed */
	struct flex_work opened_work;	/* what its loaders had done then */
	struct flex_request *request;	/* the last one */
	spinlock_t events_lock;
	DECLARE_KFIFO(events, struct flex_event, FLEX_EVENTS);
	wait_queue_head_t wait;		/* events came, or room for more */
};

/* What the payload says of a session's own decryption (payload.h). */
struct flex_opened {
	u64 ticks;
	u64 since;
};

struct flex_request {
	struct kref refs;
	struct list_head list;
	struct flex_client *client;
	struct flex_model *model;
	struct flex_ioc_generate ask;
	void *prompt;
	struct flex_clock clock;
	struct flex_work counted;	/* of the mode's threads, in the clock already */
	struct flex_region region;	/* a strawman's */
	struct flex_stream *stream;	/* an optimised one's */
	struct flex_session *session;
	bool has_model;
	bool generating;		/* helpers have something to help with */
	bool loading;			/* but not just now */
	bool ended;			/* the last event has been posted */
	bool cancelled;
	bool cancel_sent;
	bool abandoned;			/* hung: nobody resumes its threads again */
	struct flex_watchdog watchdog;	/* fed by all threads, looked at by the leader */
	atomic_t helpers;
	wait_queue_head_t helpers_wait;
	u64 needs_heartbeat;		/* when NEEDs were last counted */
	u32 needs;			/* NEEDs since it advanced */
	int load_error;			/* of Linux, behind the payload's */
	atomic64_t entries;
	struct completion done;
	struct flex_ioc_result result;
	struct flex_opened opened;	/* by the leader, when it last came out */
	s32 *prompt_ids;
};

/* How a mode has the model's bytes where the payload computes. */
struct flex_mode {
	/* Before a session is opened; 0 or a negative errno. close() follows either way. */
	int (*open)(struct flex_request *request);
	/* The payload misses a page of the model, counted from its first; on success it has come. */
	int (*need)(struct flex_request *request, u32 index);
	/* What threads of the mode have done so far; NULL: it has none. */
	void (*work)(struct flex_request *request, struct flex_work *work);
	void (*close)(struct flex_request *request);
};
/* strawman.c: what both strawmen do */
int flex_strawman_begin(struct flex_request *request);
int flex_strawman_alloc(struct flex_request *request, u32 segments);
int flex_strawman_hand_over(struct flex_request *request, u64 at, u64 bytes);
int flex_strawman_unseal(struct flex_request *request, struct flex_clock *clock);
void flex_strawman_end(struct flex_request *request);

extern const struct flex_mode flex_mode_flexserve, flex_mode_strawman, flex_mode_strawman_opt;
#define FLEX_MODES (FLEX_MODE_STRAWMAN_OPT + 1)

struct flex_client *flex_client_new(void);
struct flex_request *flex_request_new(struct flex_client *client, struct flex_model *model,
				      const struct flex_ioc_generate *ask, u64 submitted);
void flex_request_post(struct flex_request *request, const struct flex_event *event);
void flex_request_end(struct flex_request *request, int error, s32 finish);
void flex_request_cancel(struct flex_request *request);
void flex_request_put(struct flex_request *request);
void flex_requests_cancel_all(void);
void flex_client_put(struct flex_client *client);

/* measure.c: for benchmarks */
int flex_measure(struct flex_ioc_measure *ask);

/* leader.c */
int flex_leader_start(struct flex_client *client, struct flex_model *model,
		      const struct flex_ioc_generate *ask, u64 submitted);

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
