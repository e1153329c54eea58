/* SPDX-License-Identifier: BSD-3-Clause */
/* What state.c and forward.c know of a session's memory. */
#ifndef FLX_STATE_H
#define FLX_STATE_H

#include "internal.h"

#define FLX_QUERIES 16u /* tokens of a batch that one tile of attention serves */

/* A row of the KV cache, in elements: a multiple of 8. */
uint32_t flx_padded_head(const struct flx_config *config);

#endif /* FLX_STATE_H */
