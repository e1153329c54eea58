/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is built of Mbed TLS (MBEDTLS_CONFIG_FILE): AES-GCM on its lean path, which allocates nothing. On a board
 * whose cores have them, AES and GHASH are the Armv8 instructions and nothing else (SEAL_ARMV8): tables would leak
 * through caches.
 */
#ifndef FLEXKIT_MBEDTLS_H
#define FLEXKIT_MBEDTLS_H

#define MBEDTLS_AES_C
#define MBEDTLS_AES_ROM_TABLES
#define MBEDTLS_GCM_C
#define MBEDTLS_SHA256_C
#define MBEDTLS_BLOCK_CIPHER_NO_DECRYPT /* GCM encrypts blocks both ways */
#define MBEDTLS_PLATFORM_ZEROIZE_ALT    /* no C library below: wipe.c */

#ifdef SEAL_ARMV8
#define MBEDTLS_HAVE_ASM
#define MBEDTLS_AESCE_C
#define MBEDTLS_AES_USE_HARDWARE_ONLY
#endif

#endif /* FLEXKIT_MBEDTLS_H */
