/* SPDX-License-Identifier: BSD-3-Clause */
/* DROP (protocol.h): a worker that lets Linux give page cache up, as the measure of what giving memory up costs. */
#ifndef FLEXAGENT_CACHE_H
#define FLEXAGENT_CACHE_H

#include "message.h"

int flex_drop_worker(const struct flex_message *message, int pipe);

#endif /* FLEXAGENT_CACHE_H */
