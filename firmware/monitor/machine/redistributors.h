/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/*
 * The GIC as a master of memory. With LPIs on, a redistributor reads and writes the pending bits in the table that
 * PENDBASER names, and an ITS its own tables, by physical address, behind neither the cores' protection nor the SMMU. So
 * they must be off while anything is secure, and the first frame of each redistributor is then out of the normal
 * world's reach: what it reads there it is given, what it writes is swallowed (without LPIs there is nothing there for
 * it to write).
 */
#ifndef FLEX_REDISTRIBUTORS_H
#define FLEX_REDISTRIBUTORS_H

#include <stdbool.h>
#include <stdint.h>

#include <context.h>

struct gicr_access {
	uint64_t address;	/* physical */
	uint32_t size;		/* bytes */
	uint32_t reg;		/* general-purpose register; 31 is none */
	bool write;
};

/* LPIs are off on all of them. */
bool gicr_quiet(void);

/* Is a physical address in the first frame of one of them? */
bool gicr_first_frame(uint64_t address);

/* Carries out an access to a first frame; false when it is none, or of a kind that these registers do not have. */
bool gicr_access(cpu_context_t *ctx, const struct gicr_access *access);

#endif /* FLEX_REDISTRIBUTORS_H */
