/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/* Bus masters under protection, whichever backend the cores have. One core at a time: the backend's lock. */
#ifndef FLEX_DMA_H
#define FLEX_DMA_H

/* At boot: the tables as they must lie, so that the first switch to on only has to look. */
void dma_prepare(void);

/* FLEX_E_TIMEOUT: the SMMU is silent; FLEX_E_BUSY: a bus master wrote into the tables. Nothing has changed then. */
int dma_on(void);

/* FLEX_E_STATE: something is secure; FLEX_E_TIMEOUT: the SMMU is silent. */
int dma_off(void);

#endif /* FLEX_DMA_H */
