/* SPDX-License-Identifier: BSD-3-Clause */
/* What the agent asks of /dev/flexserve beside inference. Each opens and closes it; 0 or -errno unless said. */
#ifndef FLEXAGENT_DEVICE_H
#define FLEXAGENT_DEVICE_H

#include <stdint.h>

#include "message.h"

#define FLEX_DEVICE "/dev/flexserve"

/* Switches protection unless it is so already. -ENOENT: no driver (stock). */
int flex_device_protect(uint32_t on);

/* Pages that the driver has given back so far, 0 without a driver. */
uint64_t flex_device_recalled(void);

/* Adds MONITOR_ID, PAYLOAD_ID, DEBUG and PROTECTION; without a driver it adds nothing and is 0. */
int flex_device_identify(struct flex_builder *builder);

int flex_device_forget(const char *model);

/* Takes back pages of this model's weights, or (NULL) whoever's. Adds PAGES, TICKS and SPENT. */
int flex_device_recall(uint64_t pages, const char *model, struct flex_builder *builder);

int flex_device_stats(struct flex_builder *builder);
int flex_device_drill(uint32_t kind);
int flex_device_panic(struct flex_builder *builder);

#endif /* FLEXAGENT_DEVICE_H */
