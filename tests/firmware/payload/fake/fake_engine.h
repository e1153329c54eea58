/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FAKE_ENGINE_H
#define FAKE_ENGINE_H

#include <stdbool.h>

#include <flx/engine.h>

#define FAKE_MAGIC 0x46414b45
#define FAKE_STAMP 0x5354414d50000000
#define FAKE_END 60 /* the token that ends an answer */

struct fake_header {
	uint32_t magic, layers, layer_pages, context;
};

/* The tokenizer puts FAKE_BOS in front of each text. */
#define FAKE_BOS 2
extern bool fake_adds_bos;

/* What the last pass was computed from: a digest of the KV cache of every position. */
extern uint64_t fake_digest;
/* Positions that have been computed so far, by all passes. */
extern uint64_t fake_computed;

static inline uint64_t fake_model_pages(const struct fake_header *header)
{
	return 1 + (uint64_t)header->layers * header->layer_pages;
}

#endif
