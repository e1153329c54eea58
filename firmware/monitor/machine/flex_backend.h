/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/* What an isolation backend gives to the core and to the glue. The board's build links exactly one. */
#ifndef FLEX_BACKEND_H
#define FLEX_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

#include "flex_machine.h"

extern const struct flex_ops flex_backend_ops;

/* At boot, on one core, after flex_core_init(): protection is off, so that the first switch to on only has to look. */
void flex_backend_prepare(void);

/* What of the hidden region is the backend's own: its words in a pass. */
void flex_backend_pass(struct flex_pass *pass);

/*
 * A core is about to enter the normal world from power-on, or leaves it for power-off: called by TF-A, under the stage2
 * backend. (Under gpt TF-A gives a core its protection before anything else runs there.)
 */
void flex_core_enter(void);
void flex_core_leave(void);

/* FLEX_MON_EL2_FAULT: what `handle`'s world is to do next, as TF-A's SMC handlers return it. */
uintptr_t flex_backend_fault(void *handle);

#endif /* FLEX_BACKEND_H */
