/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef FLEXKIT_FDT_H
#define FLEXKIT_FDT_H

/*
 * flex_fdt_fixup() - tells the normal world's device tree of the memory that is not its own
 * @fdt: an opened tree with room for three nodes
 *
 * /reserved-memory: "flexkit-tables" and "flexkit-shared", both no-map. /firmware/flexserve, compatible
 * "flexkit,flexserve": shared = <base size>, dram = <base size> (pages of it can be donated), 64 bits each. Returns 0
 * or libfdt's negative error.
 */
int flex_fdt_fixup(void *fdt);

#endif /* FLEXKIT_FDT_H */
