/* SPDX-License-Identifier: BSD-3-Clause */
/* MEASURE (protocol.h): a worker that has the driver time single steps, for benchmarks. */
#ifndef FLEXAGENT_MEASURE_H
#define FLEXAGENT_MEASURE_H

#include "message.h"

int flex_measure_worker(const struct flex_message *message, int pipe);

#endif /* FLEXAGENT_MEASURE_H */
