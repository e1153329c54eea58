/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One word hands out the work: the number of tiles above, the next one to take below. Whoever takes a tile below the
 * number in the same word has a tile of the job whose function is stored now: that job cannot end before this tile.
 */
#include "pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#define SPINS 2000 /* then a worker sleeps: some tens of microseconds */

struct flx_pool {
	_Atomic uint64_t ticket; /* tiles << 32 | next */
	_Atomic uint32_t left;   /* tiles that have not ended */
	_Atomic uint32_t sleepers;
	_Atomic int stop;
	void (*fn)(void *arg, uint32_t tile);
	void *arg;
	pthread_mutex_t mutex;
	pthread_cond_t work;
	uint32_t workers;
	pthread_t thread[];
};

static int has_work(struct flx_pool *p)
{
	uint64_t ticket = atomic_load(&p->ticket);

	return (uint32_t)ticket < ticket >> 32;
}

/* Takes tiles until there are none. */
static void work(struct flx_pool *p)
{
	while (has_work(p)) {
		uint64_t ticket = atomic_fetch_add(&p->ticket, 1);

		if ((uint32_t)ticket >= ticket >> 32)
			return;
		p->fn(p->arg, (uint32_t)ticket);
		atomic_fetch_sub(&p->left, 1);
	}
}

static void relax(void)
{
#if defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static void *worker(void *arg)
{
	struct flx_pool *p = arg;

	while (!atomic_load(&p->stop)) {
		uint32_t spins = 0;

		while (!has_work(p) && !atomic_load(&p->stop) && spins++ < SPINS)
			relax();
		if (spins >= SPINS) {
			pthread_mutex_lock(&p->mutex);
			atomic_fetch_add(&p->sleepers, 1);
			while (!has_work(p) && !atomic_load(&p->stop))
				pthread_cond_wait(&p->work, &p->mutex);
			atomic_fetch_sub(&p->sleepers, 1);
			pthread_mutex_unlock(&p->mutex);
		}
		work(p);
	}
	return NULL;
}

static void wake(struct flx_pool *p)
{
	if (atomic_load(&p->sleepers) == 0)
		return;
	pthread_mutex_lock(&p->mutex);
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->mutex);
}

void flx_pool_parallel(struct flx_pool *p, void (*fn)(void *arg, uint32_t tile), void *arg, uint32_t tiles)
{
	uint32_t spins = 0;

	p->fn = fn;
	p->arg = arg;
	atomic_store(&p->left, tiles);
	atomic_store(&p->ticket, (uint64_t)tiles << 32);
	wake(p);
	work(p);
	while (atomic_load(&p->left) != 0) {
		if (++spins < SPINS)
			relax();
		else
			sched_yield();
	}
}

struct flx_pool *flx_pool_start(uint32_t threads)
{
	struct flx_pool *p = calloc(1, sizeof(*p) + threads * sizeof(p->thread[0]));

	if (p == NULL)
		return NULL;
	pthread_mutex_init(&p->mutex, NULL);
	pthread_cond_init(&p->work, NULL);
	while (p->workers + 1 < threads) {
		if (pthread_create(&p->thread[p->workers], NULL, worker, p) != 0) {
			flx_pool_stop(p);
			return NULL;
		}
		p->workers++;
	}
	return p;
}

void flx_pool_stop(struct flx_pool *p)
{
	if (p == NULL)
		return;
	atomic_store(&p->stop, 1);
	pthread_mutex_lock(&p->mutex);
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->mutex);
	for (uint32_t i = 0; i < p->workers; i++)
		pthread_join(p->thread[i], NULL);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->mutex);
	free(p);
}
