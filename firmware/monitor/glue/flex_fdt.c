/*
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <libfdt.h>

#include <common/fdt_fixup.h>
#include <flex_board.h>
#include <lib/utils_def.h>

#include "flexkit_fdt.h"

static int add_service_node(void *fdt)
{
	const uint64_t shared[] = {
		cpu_to_fdt64(FLEX_BOARD_SHARED_BASE),
		cpu_to_fdt64(FLEX_BOARD_SHARED_SIZE),
	};
	const uint64_t dram[] = {
		cpu_to_fdt64(FLEX_BOARD_DRAM_BASE),
		cpu_to_fdt64(FLEX_BOARD_DRAM_SIZE),
	};
	int firmware = fdt_path_offset(fdt, "/firmware");
	int node, rc;

	if (firmware == -FDT_ERR_NOTFOUND) {
		firmware = fdt_add_subnode(fdt, 0, "firmware");
	}
	if (firmware < 0) {
		return firmware;
	}
	node = fdt_add_subnode(fdt, firmware, "flexserve");
	if (node < 0) {
		return node;
	}
	rc = fdt_setprop_string(fdt, node, "compatible", "flexkit,flexserve");
	if (rc == 0) {
		rc = fdt_setprop(fdt, node, "shared", shared, sizeof(shared));
	}
	return (rc != 0) ? rc : fdt_setprop(fdt, node, "dram", dram, sizeof(dram));
}

int flex_fdt_fixup(void *fdt)
{
	int rc = fdt_add_reserved_memory(fdt, "flexkit-tables", FLEX_BOARD_TABLES_BASE, FLEX_BOARD_TABLES_SIZE);

	if (rc == 0) {
		rc = fdt_add_reserved_memory(fdt, "flexkit-shared", FLEX_BOARD_SHARED_BASE, FLEX_BOARD_SHARED_SIZE);
	}
	return (rc != 0) ? rc : add_service_node(fdt);
}
