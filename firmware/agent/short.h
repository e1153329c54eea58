/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests that are answered at once, without a process of their own. */
#ifndef FLEXAGENT_SHORT_H
#define FLEXAGENT_SHORT_H

#include "message.h"

/* Adds its fields to the RESULT under construction. 0, or -errno: the answer is then an ERROR. */
typedef int (*flex_short)(const struct flex_message *message, struct flex_builder *builder);

/* How a request of this type is answered; NULL: not at once, or unknown. */
flex_short flex_short_find(uint8_t type);

#endif /* FLEXAGENT_SHORT_H */
