/* SPDX-License-Identifier: BSD-3-Clause */
/* HOLD and FAULT (protocol.h): workers that put memory under pressure, for benchmarks and tests. */
#ifndef FLEXAGENT_MEMORY_H
#define FLEXAGENT_MEMORY_H

#include "message.h"

int flex_hold_worker(const struct flex_message *message, int pipe);
int flex_fault_worker(const struct flex_message *message, int pipe);

#endif /* FLEXAGENT_MEMORY_H */
