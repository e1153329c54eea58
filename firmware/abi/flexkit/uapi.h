/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * /dev/flexserve: what the agent asks of the driver. One open file is one client; closing it cancels its request and
 * gives back what is its own. Weights stay cached in secure memory between requests and clients, until Linux recalls
 * them or the last one drops the model.
 *
 * Errors: ENOMEM (no pages, or the prompt met memory pressure), EBUSY, EINVAL, ENODEV (the monitor does not answer or
 * speaks another ABI), EKEYREJECTED (the payload refuses the model or the prompt; `reason` says why), ECANCELED,
 * EIO (the secure world panicked), ETIMEDOUT (its heartbeat stopped), ESTALE (the conversation is gone).
 */
#ifndef FLEXKIT_UAPI_H
#define FLEXKIT_UAPI_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define FLEX_MODE_FLEXSERVE 0
#define FLEX_MODE_STRAWMAN 1
#define FLEX_MODE_STRAWMAN_OPT 2 /* read, decrypted and computed in a pipeline */

struct flex_ioc_info {
	__u32 abi;                /* major << 16 | minor */
	__u32 protection;         /* FLEX_PROTECT_* */
	__u8 monitor_id[16];
	__u8 payload_id[16];
	__u64 slots, quota_pages;
	__u64 secure_pages;       /* now */
	__u64 recallable_pages;   /* now: secure and unpinned */
	__u32 monitor_debug, payload_debug;
};

/*
 * Open a model: `fd` is a regular file, read by the driver with direct I/O into the pages that it donates. Models are
 * known by device, inode, size and modification time; opening one that is cached costs no read. A strawman loads the
 * whole model in every GENERATE and releases all of it after.
 */
struct flex_ioc_model {
	__s32 fd;
	__u32 mode;               /* FLEX_MODE_* */
	__u32 model;              /* out: handle for this file */
	__u32 max_context;        /* out, flexserve; 0 for a strawman until it has run */
	__u64 bytes;              /* out */
	__u64 resident_pages;     /* out: already secure */
	char reason[160];         /* out: why EKEYREJECTED */
};

/* Ticks of the board's counter (CNTVCT_EL0). Exposed time: what nothing else covered. busy: summed over the work. */
struct flex_breakdown {
	__u64 submitted, first_token, finished; /* absolute */
	__u64 allocate, read, donate, decrypt, prefill, switch_; /* exposed, up to the first token; they sum to it */
	__u64 allocate_busy, read_busy, donate_busy, decrypt_busy, prefill_busy, switch_busy;
	__u64 switches;           /* entries into the payload up to the end */
	__u64 loaded_pages;       /* read and donated for this request */
};

/* Beside the payload's flags: the breakdown begins with this client's last FLEX_IOC_MODEL, so that opening is in it. */
#define FLEX_GENERATE_FROM_MODEL 0x100
/*
 * A conversation begins: the session stays this client's, for prompts with FLEX_GENERATE_CONTINUE, which go on in it, in
 * the context that it began with. Mode flexserve. A client has one at a time; it ends with the client, or with ESTALE:
 * when the secure world restarts, its model is dropped, or its place is needed.
 */
#define FLEX_GENERATE_KEEP 0x200
#define FLEX_GENERATE_DRIVER (FLEX_GENERATE_FROM_MODEL | FLEX_GENERATE_KEEP)

/* Run one prompt. Returns at once; tokens come by read() as struct flex_event. One request per client at a time. */
struct flex_ioc_generate {
	__u32 model;
	__u32 threads;            /* secure threads, each on a kernel thread of its own */
	__u32 context;            /* tokens of KV cache to hold */
	__u32 n_predict;
	__u32 flags;              /* FLEX_GENERATE_* of payload.h, and the one above */
	__u32 prompt_bytes;
	__u64 prompt;             /* user pointer, UTF-8 */
};

#define FLEX_EVENT_TOKEN 1
#define FLEX_EVENT_DONE 2   /* value: FLEX_FINISH_*; result() has the breakdown */
#define FLEX_EVENT_ERROR 3  /* value: a negative errno */
#define FLEX_EVENT_TEXT 4   /* more text of the token before, when it is longer than `text` */

struct flex_event {
	__u32 type;
	__s32 value;              /* token id, finish or errno */
	__u64 ticks;              /* board counter when the driver had it */
	__u32 bytes;
	__u8 text[44];
};

struct flex_ioc_result {
	struct flex_breakdown breakdown;
	__u64 prefill_ticks, decode_ticks; /* the payload's own */
	__u32 prompt_tokens, tokens;
	/* Of the positions that the conversation had computed before: taken from memory, from its file, computed again. */
	__u32 kept, opened, recomputed;
	__u32 prompt_ids_max;
	__s32 error;              /* 0 or a negative errno */
	__s32 flex_error;         /* FLEX_E_* behind it */
	__u64 prompt_ids;         /* in: user pointer to room for prompt_ids_max __s32, or 0 */
	char reason[160];
};

/*
 * A regular file, open for reading and writing, in which the client's conversation may be put aside, encrypted. ENOSPC:
 * it has fewer than `bytes`. Its blocks should be written beforehand: it is used when memory is short.
 */
struct flex_ioc_store {
	__s32 fd;
	__u32 reserved;
	__u64 bytes;              /* out: that it has to have */
};

#define FLEX_RECALL_ANY 0   /* from whoever has some, as the shrinker would */
#define FLEX_RECALL_MODEL 1 /* the weights of one model alone */

/* Take pages back now, what is needed last first. For tests and benchmarks. */
struct flex_ioc_recall {
	__u64 pages;              /* in: wanted; out: taken */
	__u64 ticks;              /* out: board counter, the calls alone */
	__u32 from;               /* FLEX_RECALL_* */
	__u32 model;              /* handle, with FLEX_RECALL_MODEL */
};

struct flex_ioc_stats {
	__u64 monitor[32];        /* FLEX_STAT_* */
	__u64 donated, recalled, recall_pinned, shrinker_calls, shrinker_pages, preemptions, migrations, reloads;
};

struct flex_ioc_panic {
	__u8 record[256];         /* struct flex_panic; all zero when there is none */
};

/* What a step costs, in the counter's ticks. */
#define FLEX_MEASURE_CALL 0   /* `count` monitor calls that do nothing */
#define FLEX_MEASURE_SWITCH 1 /* `count` entries into the payload that return at once */
#define FLEX_MEASURE_CLEAR 2  /* `count` pages cleared, `batch` different ones in turn */
#define FLEX_MEASURE_PAGES 3  /* `count` pages allocated and donated in batches of `batch`; then all recalled, in batches */
#define FLEX_MEASURE_REGION 4 /* `count` contiguous pages (whole 2M blocks) from CMA, secured as one, then released */

struct flex_ioc_measure {
	__u32 kind;               /* FLEX_MEASURE_* */
	__u32 batch;              /* pages, at most FLEX_MAILBOX_ENTRIES */
	__u64 count;
	__u64 whole;              /* out: all of it; PAGES and REGION: until everything is secure */
	__u64 allocate;           /* out: in Linux's allocator */
	__u64 secure;             /* out: in donations, or in securing the region */
	__u64 recall;             /* out: in recalls, or in releasing the region and freeing it */
	__u64 free;               /* out: in freeing pages */
	__u64 smmu;               /* out: of all that, in the monitor's waiting for the SMMU */
	__u64 scrub;              /* out: and in its scrubbing and cleaning */
};

#define FLEX_IOC_INFO _IOR('F', 1, struct flex_ioc_info)
#define FLEX_IOC_MODEL _IOWR('F', 2, struct flex_ioc_model)
#define FLEX_IOC_MODEL_DROP _IOW('F', 3, __u32) /* forget the cached weights; EBUSY while in use */
#define FLEX_IOC_GENERATE _IOW('F', 4, struct flex_ioc_generate)
#define FLEX_IOC_RESULT _IOWR('F', 5, struct flex_ioc_result)
#define FLEX_IOC_CANCEL _IO('F', 6)
#define FLEX_IOC_RECALL _IOWR('F', 7, struct flex_ioc_recall)
#define FLEX_IOC_STATS _IOR('F', 8, struct flex_ioc_stats)
#define FLEX_IOC_PANIC _IOR('F', 9, struct flex_ioc_panic)
#define FLEX_IOC_PROTECT _IOW('F', 10, __u32)  /* CAP_SYS_ADMIN: FLEX_PROTECT_*; EBUSY while anything is secure */
#define FLEX_IOC_DRILL _IOW('F', 11, __u32)    /* CAP_SYS_ADMIN: FLEX_DRILL_* */
#define FLEX_IOC_STORE _IOWR('F', 12, struct flex_ioc_store)
#define FLEX_IOC_SEAL _IOR('F', 13, __u64)     /* put the conversation aside now: bytes written. ENOENT: no file */
#define FLEX_IOC_MEASURE _IOWR('F', 32, struct flex_ioc_measure) /* CAP_SYS_ADMIN */

#endif /* FLEXKIT_UAPI_H */
