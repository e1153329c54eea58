/* SPDX-License-Identifier: BSD-3-Clause */
/* FRAGMENT (protocol.h): a worker that leaves much memory free, and hardly two pages of it in a row. */
#ifndef FLEXAGENT_FRAGMENT_H
#define FLEXAGENT_FRAGMENT_H

#include "message.h"

int flex_fragment_worker(const struct flex_message *message, int pipe);

#endif /* FLEXAGENT_FRAGMENT_H */
