/* SPDX-License-Identifier: BSD-3-Clause */
/* Seals a model for the test board, page by page, as an honest host would (flexkit/sealed.h). */
#ifndef FAKE_SEAL_H
#define FAKE_SEAL_H

#include <stdint.h>

/* Pages of the file that holds `pages` pages of GGUF. */
uint64_t fake_sealed_pages(uint64_t pages);

/* Seals `pages` pages at `plain`, version `version`, into `file`. `sealing`: 8 bytes; the key follows from it. */
void fake_seal(uint8_t *file, const uint8_t *plain, uint64_t pages, uint64_t version, const char *sealing);

#endif
