/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Prompts: clients, their requests, and the modes that serve these.
 */
#ifndef FLEXSERVE_REQUEST_H
#define FLEXSERVE_REQUEST_H

#include "model.h"

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
	bool contended;			/* the mode's threads were decrypting after the last turn */
	bool cancelled;
	bool cancel_sent;
	bool abandoned;			/* hung: nobody resumes its threads again */
	struct flex_watchdog watchdog;	/* fed by all threads, looked at by the leader */
	atomic_t helpers;
	wait_queue_head_t helpers_wait;
	u64 needs_heartbeat;		/* when NEEDs were last counted */
	u32 needs;			/* NEEDs since it advanced, */
	u64 needs_loaded;		/* and what the loaders had read then */
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
	/* Does one of them decrypt just now? NULL: they never do beside the leader. */
	bool (*decrypts)(struct flex_request *request);
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

/* helper.c */
bool flex_busy_wait(const struct flex_request *request);
void flex_busy_leave(void);
void flex_helpers_start(struct flex_request *request);
void flex_helpers_stop(struct flex_request *request);

/* leader.c */
int flex_leader_start(struct flex_client *client, struct flex_model *model,
		      const struct flex_ioc_generate *ask, u64 submitted);

/* ioctl.c */
long flex_command(struct flex_client *client, unsigned int number, void __user *where);

#endif /* FLEXSERVE_REQUEST_H */
