/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Translation of S-EL1: 39-bit addresses from TTBR0, 4K granule, three levels. Arm ARM, D8 (VMSAv8-64).
 *
 *   0x00_0000_0000  image, slot words, shared memory and secure flash, at their physical addresses
 *   0x40_0000_0000  slot window, RT_WINDOW + slot * 4096
 *   0x50_0000_0000  region window, RT_REGIONS + (address - start of DRAM)
 */
#ifndef MMU_BITS_H
#define MMU_BITS_H

#define RT_WINDOW 0x4000000000
#define RT_REGIONS 0x5000000000

#define RT_MAIR 0xff /* attribute 0: normal, write-back, read- and write-allocate; 1: device, nGnRnE */
/* T0SZ 25, walks write-back inner-shareable, 4K, nothing from TTBR1 */
#define RT_TCR ((25) | (1 << 8) | (1 << 10) | (3 << 12) | (1 << 23))
#define RT_TCR_IPS_SHIFT 32
/* RES1 bits, M, C, SA, I, WXN */
#define RT_SCTLR (0x30d00800 | (1 << 0) | (1 << 2) | (1 << 3) | (1 << 12) | (1 << 19))

#define PTE_VALID (1UL << 0)
#define PTE_TABLE (1UL << 1) /* a table at levels 1 and 2, a page at level 3; a block has 0 */
#define PTE_IO (1UL << 2)    /* attribute 1 */
#define PTE_NS (1UL << 5)    /* ordinary DRAM: what the NW calls non-secure memory */
#define PTE_DONATED (FLEX_BOARD_GPT ? 0 : PTE_NS) /* under gpt a page is secure memory while it is ours */
#define PTE_RO (1UL << 7)
#define PTE_SHARED (3UL << 8)
#define PTE_AF (1UL << 10)
#define PTE_XN (3UL << 53) /* PXN and UXN */
#define PTE_UXN (1UL << 54)
#define PTE_ADDRESS 0x0000fffffffff000UL

#define PTE_CODE (PTE_VALID | PTE_AF | PTE_SHARED | PTE_RO | PTE_UXN)
#define PTE_CONST (PTE_VALID | PTE_AF | PTE_SHARED | PTE_RO | PTE_XN)
#define PTE_DATA (PTE_VALID | PTE_AF | PTE_SHARED | PTE_XN)
#define PTE_DEVICE (PTE_VALID | PTE_AF | PTE_XN | PTE_IO)

#endif /* MMU_BITS_H */
