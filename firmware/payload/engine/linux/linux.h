/* SPDX-License-Identifier: BSD-3-Clause */
/* Models and sessions on the heap of a Linux process. */
#ifndef FLX_LINUX_PRIVATE_H
#define FLX_LINUX_PRIVATE_H

#include <stdio.h>

#include <flx/engine.h>
#include <flx/flx_linux.h>

#include "pool.h"

#define FLX_LINUX_REASON 200

struct flx_file {
	void *image;
	uint64_t bytes;
	void *arena;
	struct flx_model model;
};

/* 0, -errno or FLX_E_*, then with the reason (FLX_LINUX_REASON bytes) for what is not plain. */
int flx_file_open(struct flx_file *file, const char *path, char *reason);
void flx_file_close(struct flx_file *file);

struct flx_session {
	struct flx_state state;
	struct flx_host host;
	struct flx_pool *pool;
	void *arena;
};

/* 0, -ENOMEM or FLX_E_CONTEXT. */
int flx_session_open(struct flx_session *session, const struct flx_model *model, uint32_t context, uint32_t batch,
		     uint32_t threads, uint32_t caps);
void flx_session_close(struct flx_session *session);

/* FLX_CAP_* that are worth using on this machine. */
uint32_t flx_linux_caps(void);

/* An error of flx_linux_generate in words. */
const char *flx_linux_error(int error);

#endif /* FLX_LINUX_PRIVATE_H */
