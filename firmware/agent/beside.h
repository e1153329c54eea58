/* SPDX-License-Identifier: BSD-3-Clause */
/* BESIDE (protocol.h): a program, and answers that come due at a fixed rate while it runs. */
#ifndef FLEXAGENT_BESIDE_H
#define FLEXAGENT_BESIDE_H

#include "message.h"

/* Runs one BESIDE message to its end, writing its answer to `pipe`. Returns 0, or 1 after an error. */
int flex_beside_worker(const struct flex_message *message, int pipe);

#endif /* FLEXAGENT_BESIDE_H */
