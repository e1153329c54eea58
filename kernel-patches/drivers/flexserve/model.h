/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Models and sessions: what the payload calls them, and the slots they lie in.
 */
#ifndef FLEXSERVE_MODEL_H
#define FLEXSERVE_MODEL_H

#include <linux/workqueue.h>
#include "memory.h"

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
bool flex_loader_decrypts(const struct flex_loader *loader);

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
int flex_model_reserve(struct flex_model *model, char *reason);
int flex_model_shut(struct flex_model *model);
void flex_models_init(void);
void flex_models_exit(void);

/* parse.c */
bool flex_model_has(const struct flex_model *model, u64 slot);
int flex_model_parse(struct flex_model *model, struct flex_clock *clock, flex_need need,
		     void *context, char *reason);

/* store.c: what is put aside of a conversation */
struct flex_store;
struct flex_store *flex_store_new(struct file *file);
void flex_store_free(struct flex_store *store);
int flex_store_get(struct flex_store *store, u64 index, unsigned char *chunk);
int flex_store_seal(struct flex_store *store, u32 session, u64 *bytes);

/* session.c */
struct flex_session {
	struct list_head idle;	/* between prompts */
	u32 model;		/* the payload's number of its model */
	u32 epoch;		/* of both numbers */
	u32 context;
	u32 id;
	struct obj_cgroup *group;	/* charged for the memory */
	struct flex_range memory;
	/* a conversation: */
	const void *owner;	/* whose; compared, never followed. NULL: it is none */
	struct flex_store *store;	/* where it is put aside, or NULL */
	bool sealing;		/* just now (flex_sessions_lock) */
	struct work_struct saver;
};
int flex_sessions_init(void);
void flex_sessions_exit(void);
struct flex_session *flex_session_get(u32 model, u32 context, u32 threads,
				      struct obj_cgroup *group, s64 *error);
struct flex_session *flex_session_resume(const void *owner);
void flex_session_put(struct flex_session *session);
int flex_session_store(const void *owner, struct file *file, u64 *need);
int flex_session_seal(const void *owner, u64 *bytes);
bool flex_session_evict(bool any);
void flex_sessions_leave(const void *owner);
void flex_sessions_close(u32 model, u32 epoch);

#endif /* FLEXSERVE_MODEL_H */
