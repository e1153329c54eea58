/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads for flx_host.parallel. */
#ifndef FLX_POOL_H
#define FLX_POOL_H

#include <stdint.h>

struct flx_pool;

/* `threads` - 1 workers beside the caller; NULL if the system has none. */
struct flx_pool *flx_pool_start(uint32_t threads);
/* Ends and joins the workers. No parallel call may be under way. NULL is fine. */
void flx_pool_stop(struct flx_pool *pool);
/* As flx_host.parallel; one caller at a time. */
void flx_pool_parallel(struct flx_pool *pool, void (*fn)(void *arg, uint32_t tile), void *arg, uint32_t tiles);

#endif /* FLX_POOL_H */
