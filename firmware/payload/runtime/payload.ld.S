/* SPDX-License-Identifier: BSD-3-Clause */
/* Linked where it runs: virtual addresses of the image are its physical ones. */
#include "flex_board.h"

OUTPUT_FORMAT(elf64-littleaarch64)
OUTPUT_ARCH(aarch64)
ENTRY(rt_boot_entry)

SECTIONS
{
	. = FLEX_BOARD_PAYLOAD_BASE;
	__text_start = .;
	.text : {
		*(.text.entry)
		*(.text .text.*)
		. = ALIGN(4096);
	}
	__text_end = .;
	.rodata : {
		*(.rodata .rodata.*)
		*(.data.rel.ro .data.rel.ro.*)
		. = ALIGN(4096);
	}
	__rodata_end = .;
	.data : { *(.data .data.*) }
	ASSERT(SIZEOF(.data) == 0, "initialised writable data would not survive a restart")
	__rw_start = .;
	.keep (NOLOAD) : ALIGN(4096) { *(.keep.tables) *(.keep) . = ALIGN(4096); }
	.bss (NOLOAD) : ALIGN(4096) {
		__bss_start = .;
		*(.bss .bss.* COMMON)
		. = ALIGN(4096);
		__bss_end = .;
	}
	__rw_end = .;
	__heap_start = .;
	__heap_end = FLEX_BOARD_PAYLOAD_BASE + FLEX_BOARD_PAYLOAD_SIZE;
	ASSERT(__heap_start + 0x100000 <= __heap_end, "the payload's region is too small")
	/DISCARD/ : { *(.comment) *(.note .note.*) *(.eh_frame*) *(.gnu.*) }
}
