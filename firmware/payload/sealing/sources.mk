# SPDX-License-Identifier: BSD-3-Clause
# What sealing is made of, for the payload's Makefile and for the tests'. SEALING_DIR and MBEDTLS (a source tree of
# Mbed TLS 3.6) are set by whoever includes this.

SEALING_SOURCES := $(addprefix $(SEALING_DIR)/,sealing.c stash.c versions.c wipe.c)
MBEDTLS_SOURCES := $(addprefix $(MBEDTLS)/library/,aes.c aesce.c block_cipher.c constant_time.c gcm.c platform_util.c sha256.c)
SEALING_CPPFLAGS := -I$(SEALING_DIR) -I$(MBEDTLS)/include -DMBEDTLS_CONFIG_FILE='"flexkit_mbedtls.h"'
