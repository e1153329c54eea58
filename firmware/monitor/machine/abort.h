/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/* A bad access, handed on to the world that made it. */
#ifndef FLEX_ABORT_H
#define FLEX_ABORT_H

#include <stdbool.h>
#include <stdint.h>

#include <context.h>

/* `esr` of either abort of the architecture, of which IL, CM and WnR are handed on. */
struct flex_abort {
	bool fetch;	/* of an instruction, else of data */
	uint64_t esr, far, elr, spsr;
};

/* `ctx` goes on in the vectors of `el` (MODE_EL1, MODE_EL2), as if the access had been refused there. */
void flex_abort_inject(cpu_context_t *ctx, unsigned int el, const struct flex_abort *abort);

#endif /* FLEX_ABORT_H */
