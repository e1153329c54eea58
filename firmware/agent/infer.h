/* SPDX-License-Identifier: BSD-3-Clause */
/* INFER (protocol.h): a worker for each request. */
#ifndef FLEXAGENT_INFER_H
#define FLEXAGENT_INFER_H

#include "message.h"

/* Runs one INFER message to its end, writing its events and its answer to `pipe`. Returns 0, or 1 after an error. */
int flex_infer_worker(const struct flex_message *message, int pipe);

#endif /* FLEXAGENT_INFER_H */
