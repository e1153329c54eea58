# SPDX-License-Identifier: BSD-3-Clause
# What goes into the payload, and the flags on which the results depend (after the includer's own).
ENGINE_SOURCES := src/math.c src/unicode.c src/vocab.c src/gguf.c src/tokenize.c src/kernels.c src/kernels_neon.c \
	src/state.c src/forward.c
ENGINE_CFLAGS := -std=gnu11 -O2 -ftree-vectorize -ffp-contract=off -fno-fast-math -fno-math-errno -fno-strict-aliasing
