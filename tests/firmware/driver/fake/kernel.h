/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * As much of a kernel as the driver's own logic needs, on a host: the same
 * names, threads instead of tasks, a monitor that the test plays.
 */
#ifndef FAKE_KERNEL_H
#define FAKE_KERNEL_H

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef uint8_t u8;
typedef int32_t s32;
typedef uint32_t u32;
typedef int64_t s64;
typedef uint64_t u64;
typedef uint8_t __u8;
typedef int32_t __s32;
typedef uint32_t __u32;
typedef uint64_t __u64;

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define BUILD_BUG_ON(condition) _Static_assert(!(condition), #condition)
#define min(a, b) ((a) < (b) ? (a) : (b))
#define max(a, b) ((a) > (b) ? (a) : (b))
#define min_t(type, a, b) min((type)(a), (type)(b))
#define clamp_t(type, v, low, high) max(min((type)(v), (type)(high)), (type)(low))
#define container_of(pointer, type, member) ((type *)((char *)(pointer) - offsetof(type, member)))
#define READ_ONCE(x) __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELAXED)
#define BITS_PER_LONG 64
#define GFP_KERNEL 0
#define PAGE_SHIFT 12
#define PAGE_SIZE (1UL << PAGE_SHIFT)
#define DIV_ROUND_UP_ULL(n, d) (((n) + (d) - 1) / (d))

/* Allocation */
static inline void *kvcalloc(size_t n, size_t bytes, int flags)
{
	(void)flags;
	return calloc(n, bytes);
}
static inline void *kzalloc(size_t bytes, int flags)
{
	(void)flags;
	return calloc(1, bytes);
}
#define kvmalloc(bytes, flags) malloc(bytes)
static inline void kvfree(const void *memory)
{
	free((void *)memory);
}
#define kfree(memory) free(memory)
#define ERR_PTR(error) ((void *)(long)(error))
#define PTR_ERR(pointer) ((long)(pointer))
#define IS_ERR(pointer) ((unsigned long)(pointer) >= (unsigned long)-4095L)
#define usleep_range(least, most) usleep(least)

/* Lists */
struct list_head {
	struct list_head *next, *prev;
};
#define LIST_HEAD(name) struct list_head name = { &name, &name }
static inline void INIT_LIST_HEAD(struct list_head *list)
{
	list->next = list->prev = list;
}
static inline bool list_empty(const struct list_head *list)
{
	return list->next == list;
}
static inline void list_add(struct list_head *entry, struct list_head *head)
{
	entry->next = head->next;
	entry->prev = head;
	head->next->prev = entry;
	head->next = entry;
}
static inline void list_add_tail(struct list_head *entry, struct list_head *head)
{
	entry->prev = head->prev;
	entry->next = head;
	head->prev->next = entry;
	head->prev = entry;
}
static inline void list_del_init(struct list_head *entry)
{
	entry->prev->next = entry->next;
	entry->next->prev = entry->prev;
	INIT_LIST_HEAD(entry);
}
#define list_del(entry) list_del_init(entry)
static inline void list_move_tail(struct list_head *entry, struct list_head *head)
{
	list_del_init(entry);
	list_add_tail(entry, head);
}
#define list_for_each_entry(at, head, member) \
	for (at = container_of((head)->next, __typeof__(*at), member); &at->member != (head); \
	     at = container_of(at->member.next, __typeof__(*at), member))

/* Locks, atomics, waiting */
typedef pthread_mutex_t spinlock_t;
#define DEFINE_SPINLOCK(name) spinlock_t name = PTHREAD_MUTEX_INITIALIZER
#define spin_lock(lock) pthread_mutex_lock(lock)
#define spin_unlock(lock) pthread_mutex_unlock(lock)
struct mutex {
	pthread_mutex_t lock;
};
#define mutex_init(mutex) pthread_mutex_init(&(mutex)->lock, NULL)
#define mutex_lock(mutex) pthread_mutex_lock(&(mutex)->lock)
#define mutex_unlock(mutex) pthread_mutex_unlock(&(mutex)->lock)
typedef struct {
	long value;
} atomic_long_t;
typedef struct {
	s64 value;
} atomic64_t;
typedef struct {
	int value;
} atomic_t;
#define atomic_long_read(a) __atomic_load_n(&(a)->value, __ATOMIC_SEQ_CST)
#define atomic_long_add(n, a) ((void)__atomic_add_fetch(&(a)->value, (long)(n), __ATOMIC_SEQ_CST))
#define atomic_long_sub(n, a) ((void)__atomic_sub_fetch(&(a)->value, (long)(n), __ATOMIC_SEQ_CST))
#define atomic64_add(n, a) ((void)__atomic_add_fetch(&(a)->value, (s64)(n), __ATOMIC_SEQ_CST))
#define atomic64_read(a) __atomic_load_n(&(a)->value, __ATOMIC_SEQ_CST)
typedef struct {
	int unused;
} wait_queue_head_t;
#define DECLARE_WAIT_QUEUE_HEAD(name) wait_queue_head_t name
#define init_waitqueue_head(queue) ((void)(queue))
#define wait_event(queue, condition) \
	do { \
		(void)(queue); \
		while (!(condition)) \
			usleep(20); \
	} while (0)
#define wake_up(queue) ((void)(queue))
#define wake_up_all(queue) ((void)(queue))
static inline void cond_resched(void)
{
}

/* Bitmaps of at most 64 bits */
static inline unsigned long *bitmap_zalloc(unsigned int bits, int flags)
{
	(void)flags;
	assert(bits <= BITS_PER_LONG);
	return calloc(1, sizeof(unsigned long));
}
#define bitmap_free(map) free(map)
#define __set_bit(bit, map) ((void)(*(map) |= 1UL << (bit)))
#define __clear_bit(bit, map) ((void)(*(map) &= ~(1UL << (bit))))
static inline unsigned long find_next_zero_bit(const unsigned long *map, unsigned long bits, unsigned long from)
{
	while (from < bits && (*map >> from & 1))
		from++;
	return from;
}
#define find_first_zero_bit(map, bits) find_next_zero_bit(map, bits, 0)

/* Pages: an array of the test's, physical addresses from 1 GiB on */
struct page {
	int freed;
};
extern struct page fake_page[];
#define FAKE_DRAM 0x40000000ULL
static inline u64 page_to_phys(const struct page *page)
{
	return FAKE_DRAM + ((u64)(page - fake_page) << PAGE_SHIFT);
}

/* The firmware is played by the test. */
struct arm_smccc_1_2_regs {
	unsigned long a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, a16, a17;
};
void arm_smccc_1_2_smc(const struct arm_smccc_1_2_regs *args, struct arm_smccc_1_2_regs *res);
u64 __arch_counter_get_cntvct(void);

/* Only named by the driver's structures. */
struct bio_vec {
	int unused;
};
struct file;
struct inode;
struct inode *file_inode(const struct file *file);
u64 i_size_read(const struct inode *inode);
struct file *get_file(struct file *file);
void fput(struct file *file);
struct timespec64 {
	s64 tv_sec;
	long tv_nsec;
};
struct completion {
	int unused;
};
struct kref {
	int unused;
};
struct attribute_group;

/* Memory cgroups: a tree; what is charged names its group. */
struct mem_cgroup {
	struct mem_cgroup *parent;
	int guard;	/* what of memory.min and memory.low keeps all that it is charged for */
};
struct obj_cgroup {
	struct mem_cgroup *memcg;
};

#define DECLARE_KFIFO(name, type, size) type name[1]
#define _IOR(group, number, type) 0
#define _IOW(group, number, type) 0
#define _IOWR(group, number, type) 0
#define _IO(group, number) 0

/* Work is queued until the test has it done. */
struct work_struct {
	void (*func)(struct work_struct *work);
	bool queued;
};
struct workqueue_struct;
#define WQ_MEM_RECLAIM 0
#define WQ_UNBOUND 0
#define alloc_workqueue(name, flags, most) ((struct workqueue_struct *)(name))
#define destroy_workqueue(queue) ((void)(queue))
#define INIT_WORK(work, function) ((void)((work)->func = (function)))
#define queue_work(queue, work) ((void)(queue), (work)->queued = true)
#define cancel_work_sync(work) ((work)->queued = false)

/* Tracepoints come to nothing. */
#define TP_PROTO(...) __VA_ARGS__
#define TP_ARGS(...)
#define TRACE_EVENT(name, proto, args, ...) \
	static inline void trace_##name(proto) \
	{ \
	}

#endif /* FAKE_KERNEL_H */
