/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/*
 * EL2 of the normal world: nobody lives there. Its registers say "stage 2 on" or "off"; its vectors hand what the
 * hardware takes there (stage-2 faults) to EL3: fault.c.
 */

#include <arch_features.h>
#include <arch_helpers.h>

#include "stage2.h"
#include "tables.h"

#define VECTOR_ENTRIES	16U
#define VECTOR_BYTES	0x80U
#define HCRX_MSCEN	(UINT64_C(1) << 11)
#define HCRX_TCR2EN	(UINT64_C(1) << 14)

/* x0 into TPIDR_EL2, the function number into w0, to EL3: three instructions and the number. */
static const uint64_t vector[] = {
	UINT64_C(0x18000040D51CD040),	/* msr tpidr_el2, x0; ldr w0, 1f */
	UINT64_C(0x00000000D4000003) | ((uint64_t)FLEX_MON_EL2_FAULT << 32),	/* smc #0; 1: .word fid */
};

void el2_vectors(struct flex_pass *pass)
{
	unsigned int i;

	for (i = 0U; i < VECTOR_ENTRIES; i++) {
		flex_pass_set(pass, HIDDEN_VECTORS + (i * VECTOR_BYTES), vector[0]);
		flex_pass_set(pass, HIDDEN_VECTORS + (i * VECTOR_BYTES) + sizeof(uint64_t), vector[1]);
	}
	if (pass->same) {
		return;
	}
	/* EL2 fetches with its MMU and caches off. */
	flush_dcache_range(HIDDEN_VECTORS, VECTOR_ENTRIES * VECTOR_BYTES);
	__asm__ volatile("ic ialluis\n\tdsb ish\n\tisb" : : : "memory");
}

/*
 * Forgets stages 1 and 2 of the normal world in the TLBs of all cores: a TLB holds the two combined, so that the
 * stage-2 entry alone would not do. EL3 reaches the normal world's entries only with SCR_EL3.NS set.
 */
void el2_tlbi(void)
{
	u_register_t scr = read_scr_el3();

	write_scr_el3(scr | SCR_NS_BIT);
	isb();
	__asm__ volatile("dsb ishst\n\ttlbi vmalls12e1is\n\tdsb ish\n\tisb" : : : "memory");
	write_scr_el3(scr);
	isb();
	flex_count(&flex_monitor, FLEX_STAT_TLBI, 1U);
}

/*
 * el2_set() - this core's EL2, whatever it was before
 *
 * While off, the vectors are at address 0, which is secure: should anything be taken to EL2, it runs nothing that the
 * normal world wrote. The tables' registers hold the same values in both states, so that TLB entries keep their VMID.
 */
void el2_set(bool on)
{
	write_vtcr_el2(STAGE2_VTCR);
	write_vttbr_el2(HIDDEN_STAGE2 | (STAGE2_VMID << 48));
	write_vbar_el2(on ? HIDDEN_VECTORS : 0U);
	write_sctlr_el2(SCTLR_EL2_RES1);
	if (is_feat_hcx_present()) {
		write_hcrx_el2(HCRX_MSCEN | HCRX_TCR2EN);
	}
	write_hcr_el2(HCR_RW_BIT | HCR_API_BIT | HCR_APK_BIT | (on ? HCR_VM : 0U));
	isb();
	el2_tlbi();
}
