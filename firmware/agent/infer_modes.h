/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The two ways to run a prompt: on /dev/flexserve (flexserve and the strawmen), or in this process by the engine's Linux
 * library (normal, normal-idle, stock). Each answers the request; 0, or 1 after an error.
 */
#ifndef FLEXAGENT_INFER_MODES_H
#define FLEXAGENT_INFER_MODES_H

#include "infer_report.h"

int flex_infer_secure(const struct flex_infer *infer);
int flex_infer_linux(const struct flex_infer *infer);

#endif /* FLEXAGENT_INFER_MODES_H */
