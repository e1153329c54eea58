/* SPDX-License-Identifier: BSD-3-Clause */
/* INFER (protocol.h): a worker for each request. */
#ifndef FLEXAGENT_INFER_H
#define FLEXAGENT_INFER_H

#include "infer_report.h"

/* Runs one INFER message to its end, writing its events and its answer to `pipe`. Returns 0, or 1 after an error. */
int flex_infer_worker(const struct flex_message *message, int pipe);

/* What a message asks for, but its `pipe`; false when a field is missing or out of range. */
bool flex_infer_take(const struct flex_message *message, struct flex_infer *infer);

/* Runs it to its end. Returns 0, or 1 after an error. */
int flex_infer_run(const struct flex_infer *infer);

#endif /* FLEXAGENT_INFER_H */
