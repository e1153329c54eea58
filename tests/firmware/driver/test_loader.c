// SPDX-License-Identifier: GPL-2.0-only
/* The loading threads of the pipeline: what they fill, in which order, what a wait is charged to, and how they end. */
#include "test.h"

#define SLOTS 4096
#define PAGES 2000
#define LOADS 4096

struct file {
	int refs;
};

static struct file file;
static struct flex_range range;
static const struct flex_scope all = { .range = &range };
static struct flex_loader loader;

/* What flex_load() was asked for, in order. */
static struct {
	u32 index, count;
} load[LOADS];
static u32 loads;
static int under_way, most_under_way;
static u32 refuse_from = PAGES + 1; /* pages from here on cannot be had */
static bool meet; /* nobody goes on before two are at work, nor out of the file's order */
static bool hold; /* nobody goes on */
static bool in_hand[PAGES];

struct file *get_file(struct file *got)
{
	__atomic_add_fetch(&got->refs, 1, __ATOMIC_SEQ_CST);
	return got;
}

void fput(struct file *got)
{
	__atomic_sub_fetch(&got->refs, 1, __ATOMIC_SEQ_CST);
}

struct job {
	void (*run)(void *data);
	void *data;
};

static void *run_job(void *data)
{
	struct job job = *(struct job *)data;

	free(data);
	job.run(job.data);
	return NULL;
}

int flex_worker_start(void (*run)(void *data), void *data)
{
	struct job *job = malloc(sizeof(*job));
	pthread_t thread;

	*job = (struct job){ run, data };
	expect(!pthread_create(&thread, NULL, run_job, job));
	pthread_detach(thread);
	return 0;
}

static void note(u32 index, u32 count)
{
	u32 at = __atomic_fetch_add(&loads, 1, __ATOMIC_SEQ_CST);
	int now = __atomic_add_fetch(&under_way, 1, __ATOMIC_SEQ_CST);

	expect(at < LOADS);
	WRITE_ONCE(load[at].index, index);
	WRITE_ONCE(load[at].count, count);
	if (now > __atomic_load_n(&most_under_way, __ATOMIC_SEQ_CST))
		__atomic_store_n(&most_under_way, now, __ATOMIC_SEQ_CST);
	while (meet && __atomic_load_n(&most_under_way, __ATOMIC_SEQ_CST) < FLEX_LOADERS)
		usleep(20);
	while (__atomic_load_n(&hold, __ATOMIC_SEQ_CST))
		usleep(20);
}

/* What comes before a chunk is there, or is the other thread's chunk. */
static void expect_order(u32 index)
{
	u32 i, missing = 0;

	for (i = 0; i < index; i++)
		missing += !flex_slots_page(range.first + i);
	expect(missing <= 256);
}

/* Each page is in one thread's hands at a time, and was missing. */
int flex_load(struct flex_range *to, u32 index, u32 count, struct file *from, u64 bytes, struct flex_batch *batch,
	      struct flex_clock *clock, u32 *loaded)
{
	struct page *page[FLEX_BATCH];
	int ret = 0;
	u32 i;

	expect(to == &range && from == &file && bytes == PAGES * 4096UL && batch);
	expect(count && count <= FLEX_BATCH && index + count <= PAGES);
	note(index, count);
	if (meet)
		expect_order(index);
	flex_clock_enter(clock, FLEX_PART_READ);
	for (i = 0; i < count; i++) {
		expect(!__atomic_exchange_n(&in_hand[index + i], true, __ATOMIC_SEQ_CST));
		page[i] = &fake_page[index + i];
	}
	usleep(200);
	for (i = 0; i < count; i++)
		__atomic_store_n(&in_hand[index + i], false, __ATOMIC_SEQ_CST);
	flex_clock_enter(clock, FLEX_PART_DONATE);
	if (index + count > __atomic_load_n(&refuse_from, __ATOMIC_SEQ_CST))
		ret = -ENOMEM;
	else
		flex_range_publish(to, index, page, count);
	flex_clock_enter(clock, FLEX_PART_SWITCH);
	if (!ret)
		clock->loaded += count;
	*loaded += ret ? 0 : count;
	__atomic_sub_fetch(&under_way, 1, __ATOMIC_SEQ_CST);
	return ret;
}

static u32 missed; /* page that the loader was last asked for */

void flex_range_missed(struct flex_range *of, u32 index)
{
	expect(of == &range);
	__atomic_store_n(&missed, index, __ATOMIC_SEQ_CST);
}

static u32 take_back(u32 want)
{
	struct flex_mailbox_lease *lease = test_lease();
	u32 i, n = flex_slots_collect(&all, lease, want);

	for (i = 0; i < n; i++)
		lease->memory->result[i] = FLEX_OK;
	if (n)
		flex_slots_settle(lease, n);
	test_lease_free(lease);
	return n;
}

static void take_back_all(void)
{
	flex_slots_rewind(&all);
	while (take_back(512))
		;
}

static void begin(void)
{
	loads = 0;
	most_under_way = 0;
	flex_loader_begin(&loader, &file, PAGES * 4096UL);
}

static void end(void)
{
	flex_loader_end(&loader);
	flex_loader_stop(&loader);
	/* A thread gives up its file last of all. */
	while (READ_ONCE(file.refs))
		usleep(20);
	expect(READ_ONCE(under_way) == 0);
}

static void wait_for_all(void)
{
	while (flex_range_held(&range) < PAGES)
		usleep(100);
}

static void test_the_whole_file_comes_without_being_asked_for(void)
{
	struct flex_work work;

	meet = true;
	begin();
	wait_for_all();
	end();
	meet = false;
	expect(most_under_way == FLEX_LOADERS);
	flex_loader_work(&loader, &work);
	expect(work.loaded == PAGES);
	/* A second user finds all of it there: no thread, no load. */
	begin();
	expect(!loader.threads);
	end();
	expect(loads == 0);
}

static void test_only_holes_are_loaded(void)
{
	u32 i, pages = 0;

	flex_slots_rewind(&all);
	expect(take_back(300) == 300);
	begin();
	wait_for_all();
	end();
	for (i = 0; i < loads; i++) {
		expect(load[i].index >= PAGES - 300);
		pages += load[i].count;
	}
	expect(pages == 300);
}

static void *need_1900(void *unused)
{
	expect(!flex_loader_need(&loader, 1900, NULL));
	expect(missed == 1900);
	expect(flex_slots_page(range.first + 1900));
	return unused;
}

static void test_what_is_waited_for_goes_first(void)
{
	pthread_t thread;
	u32 i;

	take_back_all();
	__atomic_store_n(&hold, true, __ATOMIC_SEQ_CST);
	begin();
	while (__atomic_load_n(&under_way, __ATOMIC_SEQ_CST) < FLEX_LOADERS)
		usleep(20);
	expect(!pthread_create(&thread, NULL, need_1900, NULL));
	while (READ_ONCE(loader.next) != 1900)
		usleep(20);
	__atomic_store_n(&hold, false, __ATOMIC_SEQ_CST);
	pthread_join(thread, NULL);
	/* Right after the chunks that had been begun before. */
	expect(READ_ONCE(load[FLEX_LOADERS].index) == 1900);
	/* What was jumped over is asked for like anything else. */
	for (i = 0; i < PAGES; i += 97)
		expect(!flex_loader_need(&loader, i, NULL));
	expect(flex_loader_need(&loader, PAGES, NULL) == -EINVAL);
	end();
}

/* Memory that ends is no error of reading ahead, but of the page that somebody needs. */
static void test_the_end_of_memory_is_told_to_who_needs_it(void)
{
	take_back_all();
	__atomic_store_n(&refuse_from, 1000, __ATOMIC_SEQ_CST);
	begin();
	while (__atomic_load_n(&loader.threads, __ATOMIC_SEQ_CST))
		usleep(100);
	expect(!flex_loader_need(&loader, 10, NULL));
	expect(flex_loader_need(&loader, 1500, NULL) == -ENOMEM);
	__atomic_store_n(&refuse_from, PAGES + 1, __ATOMIC_SEQ_CST);
	expect(!flex_loader_need(&loader, 1500, NULL));
	end();
}

static bool over;

static void *taker(void *unused)
{
	while (!__atomic_load_n(&over, __ATOMIC_SEQ_CST)) {
		take_back(64);
		usleep(50);
		flex_slots_rewind(&all);
	}
	return unused;
}

/* Two who need pages in order, one who takes them back all the time: nobody waits for ever. */
static void *needer(void *unused)
{
	u32 round, i;

	for (round = 0; round < 5; round++)
		for (i = 0; i < PAGES; i += 13)
			expect(!flex_loader_need(&loader, i, NULL));
	return unused;
}

static void test_pages_come_although_they_are_taken_back(void)
{
	pthread_t thread[3];

	take_back_all();
	begin();
	expect(!pthread_create(&thread[0], NULL, taker, NULL));
	expect(!pthread_create(&thread[1], NULL, needer, NULL));
	expect(!pthread_create(&thread[2], NULL, needer, NULL));
	pthread_join(thread[1], NULL);
	pthread_join(thread[2], NULL);
	__atomic_store_n(&over, true, __ATOMIC_SEQ_CST);
	pthread_join(thread[0], NULL);
	end();
}

int main(void)
{
	expect(!flex_slots_init(SLOTS));
	expect(!flex_range_add(&range, 0, PAGES, true, NULL));
	flex_loader_init(&loader, &range);
	test_the_whole_file_comes_without_being_asked_for();
	test_only_holes_are_loaded();
	test_what_is_waited_for_goes_first();
	test_the_end_of_memory_is_told_to_who_needs_it();
	test_pages_come_although_they_are_taken_back();
	take_back_all();
	flex_range_remove(&range);
	flex_slots_exit();
	return 0;
}
