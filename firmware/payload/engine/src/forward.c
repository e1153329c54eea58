/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The transformer. A batch of tokens goes through the layers together, stage by stage; a stage is a function over tiles
 * (tokens, heads or rows of matrices), each of which writes what no other one does. A tile's results depend neither on
 * the other tiles nor on the batch.
 */
#include "kernels.h"
#include "state.h"

#define MATRICES 3u
#define TILE_WORK 131072u /* multiplications that are worth handing out */

/* A batch under way. */
struct pass {
	struct flx_state *s;
	const struct flx_host *host;
	const struct flx_config *config;
	uint32_t tokens;
	uint32_t layer;
	int has_delta;               /* the last matrix's output is still to be added to x */
	const struct flx_tensor *norm;
	int quantised;               /* the stage's matrices want an integer input */
	struct flx_input input;
	/* matrices that share the input */
	struct {
		const struct flx_tensor *w;
		float *out;
	} matrix[MATRICES];
	uint32_t matrices, tile_rows;
	int gated;                   /* the two matrices are gate and up */
};

static void run(struct pass *p, void (*fn)(void *arg, uint32_t tile), uint32_t tiles)
{
	if (tiles > 1 && p->host != NULL && p->host->parallel != NULL) {
		p->host->parallel(p->host->ctx, fn, p, tiles);
		return;
	}
	for (uint32_t i = 0; i < tiles; i++)
		fn(p, i);
}

static int pin(const struct flx_host *host, const struct flx_tensor *t)
{
	return host != NULL && host->pin != NULL ? host->pin(host->ctx, t->data, t->bytes) : 0;
}

static void unpin(const struct flx_host *host, const struct flx_tensor *t)
{
	if (host != NULL && host->unpin != NULL)
		host->unpin(host->ctx, t->data, t->bytes);
}

/* ---- matrices ---- */

static uint32_t tiles_of(const struct pass *p, uint32_t which)
{
	return (p->matrix[which].w->rows + p->tile_rows - 1) / p->tile_rows;
}

static uint32_t last_row(const struct pass *p, const struct flx_tensor *w, uint32_t first)
{
	return w->rows - first < p->tile_rows ? w->rows : first + p->tile_rows;
}

static void matrix_tile(void *arg, uint32_t tile)
{
	struct pass *p = arg;
	uint32_t which = 0, first;
	const struct flx_tensor *w;

	while (tile >= tiles_of(p, which))
		tile -= tiles_of(p, which++);
	w = p->matrix[which].w;
	first = tile * p->tile_rows;
	flx_multiply(w, &p->input, p->matrix[which].out, w->rows, first, last_row(p, w, first));
}

/* The same rows of gate and up, then what is made of both, into gate's output. */
static void gated_tile(void *arg, uint32_t tile)
{
	struct pass *p = arg;
	const struct flx_tensor *gate = p->matrix[0].w, *up = p->matrix[1].w;
	float *of_gate = p->matrix[0].out, *of_up = p->matrix[1].out;
	uint32_t first = tile * p->tile_rows, last = last_row(p, gate, first);

	flx_multiply(gate, &p->input, of_gate, gate->rows, first, last);
	flx_multiply(up, &p->input, of_up, up->rows, first, last);
	for (uint32_t t = 0; t < p->input.tokens; t++) {
		uint64_t at = (uint64_t)t * gate->rows + first;

		flx_swiglu(of_gate + at, of_gate + at, of_up + at, last - first);
	}
}

/* All of them are pinned, and have the same columns. */
static void run_matrices(struct pass *p)
{
	uint64_t work = (uint64_t)p->input.tokens * p->input.cols;
	uint32_t tiles = 0;

	p->tile_rows = (uint32_t)flx_align(TILE_WORK / work + 1, 4);
	for (uint32_t i = 0; i < p->matrices; i++)
		tiles += tiles_of(p, i);
	if (p->gated)
		run(p, gated_tile, tiles / 2);
	else
		run(p, matrix_tile, tiles);
}

/* What the next matrices are: their input is (tokens, cols) floats at x, `quantised` if one of them is Q8_0. */
static void set_matrices(struct pass *p, const float *x, uint32_t tokens, uint32_t cols)
{
	struct flx_state *s = p->s;

	p->quantised = 0;
	for (uint32_t i = 0; i < p->matrices; i++)
		p->quantised |= p->matrix[i].w->type == FLX_Q8_0;
	p->input = (struct flx_input){
		.path = flx_q8_path(p->host != NULL ? p->host->caps : 0, tokens),
		.tokens = tokens, .cols = cols, .x = x, .q = s->act, .scale = s->act_scale, .unit = s->act_unit,
	};
}

/* The input of matrices that want integers. */
static void quantise_tile(void *arg, uint32_t token)
{
	struct pass *p = arg;

	flx_quantise(&p->input, token);
}

/* ---- stages ---- */

/* x += delta; xb = norm(x), quantised if the matrices want that */
static void norm_tile(void *arg, uint32_t token)
{
	struct pass *p = arg;
	struct flx_state *s = p->s;
	uint32_t dim = p->config->dim;
	float *x = s->x + (uint64_t)token * dim, *xb = s->xb + (uint64_t)token * dim;
	const float *delta = s->delta + (uint64_t)token * dim;

	for (uint32_t i = 0; p->has_delta && i < dim; i++)
		x[i] += delta[i];
	flx_rms_norm(xb, x, (const float *)(const void *)p->norm->data, dim, p->config->norm_eps);
	if (p->quantised)
		quantise_tile(p, token);
}

/* Adjacent pairs of the first rope_dim elements of each head. */
static void rotate(float *x, uint32_t heads, const struct flx_config *f, const float *table)
{
	for (uint32_t h = 0; h < heads; h++, x += f->head_dim) {
		for (uint32_t i = 0; i < f->rope_dim; i += 2) {
			float c = table[i], s = table[i + 1], a = x[i], b = x[i + 1];

			x[i] = a * c - b * s;
			x[i + 1] = a * s + b * c;
		}
	}
}

/* Row of the KV cache of a head at a position. */
static uint64_t cache_row(const struct pass *p, uint32_t head, uint32_t position)
{
	return ((uint64_t)p->layer * p->config->kv_heads + head) * p->s->context + position;
}

/* Rotates q and k of a token; puts k and v into the cache. */
static void rope_tile(void *arg, uint32_t token)
{
	struct pass *p = arg;
	struct flx_state *s = p->s;
	const struct flx_config *f = p->config;
	uint32_t kv = f->kv_heads * f->head_dim, padded = flx_padded_head(f);
	const float *table = s->rope + (uint64_t)token * f->rope_dim;
	float *k = s->k + (uint64_t)token * kv, *v = s->v + (uint64_t)token * kv;

	rotate(s->q + (uint64_t)token * f->heads * f->head_dim, f->heads, f, table);
	rotate(k, f->kv_heads, f, table);
	for (uint32_t h = 0; h < f->kv_heads; h++, k += f->head_dim, v += f->head_dim) {
		uint64_t row = cache_row(p, h, s->position + token);

		s->key_scale[row] = flx_quantise_row(s->key + row * padded, k, f->head_dim, padded, FLX_KV_MAX);
		s->value_scale[row] = flx_quantise_row(s->value + row * padded, v, f->head_dim, padded, FLX_KV_MAX);
	}
}

/* The query in 32 bits, of each eight the even elements first; returns its scale. */
static float load_query(int32_t *query, const float *q, uint32_t head_dim, uint32_t padded)
{
	int16_t row[512];
	int32_t most = (1 << 19) / (int32_t)padded - 1; /* most * FLX_KV_MAX * padded < 2^31 */
	float scale = flx_quantise_row(row, q, head_dim, padded, most < FLX_KV_MAX ? most : FLX_KV_MAX);

	for (uint32_t i = 0; i < padded; i++)
		query[i / 8 * 8 + i % 2 * 4 + i % 8 / 2] = row[i];
	return scale;
}

/*
 * Scores to weights, in place: softmax by powers of two in fixed point (18 bits after the point), times the value's
 * scale, 18 bits. Returns what a weight of 1 stands for.
 */
static float softmax(int32_t *score, uint32_t count, float query_scale, const float *key_scale, const float *value_scale)
{
	const float limit = 0x1p30f;
	int32_t best = INT32_MIN;
	uint64_t sum = 0;
	float widest = 0.0f, factor;

	for (uint32_t i = 0; i < count; i++) {
		float x = (float)score[i] * (query_scale * key_scale[i]);

		x = x >= -limit ? x : -limit;
		score[i] = (int32_t)(x <= limit ? x : limit);
		best = score[i] > best ? score[i] : best;
		widest = value_scale[i] > widest ? value_scale[i] : widest;
	}
	for (uint32_t i = 0; i < count; i++) {
		score[i] = (int32_t)flx_exp2_fixed((uint32_t)best - (uint32_t)score[i]);
		sum += (uint32_t)score[i];
	}
	factor = widest > 0.0f ? 0x1p18f / ((float)sum * widest) : 0.0f;
	for (uint32_t i = 0; i < count; i++)
		score[i] = flx_round((float)score[i] * (value_scale[i] * factor), 0x1p18f);
	return widest * 0x1p-18f;
}

/* One head of one token. */
static void attend(struct pass *p, uint32_t head, uint32_t token, int32_t *score)
{
	struct flx_state *s = p->s;
	const struct flx_config *f = p->config;
	uint32_t padded = flx_padded_head(f), count = s->position + token + 1;
	uint64_t row = cache_row(p, head / (f->heads / f->kv_heads), 0), at = (uint64_t)token * f->heads + head;
	int32_t query[512], mixed[512];
	float scale = load_query(query, s->q + at * f->head_dim, f->head_dim, padded);

	/* scores count in powers of two, with 18 bits after the point */
	scale = scale * (1.44269504f * 0x1p18f / __builtin_sqrtf((float)f->head_dim));
	flx_scores(score, query, s->key + row * padded, padded, count);
	scale = softmax(score, count, scale, s->key_scale + row, s->value_scale + row);
	flx_mix(mixed, score, s->value + row * padded, padded, count);
	for (uint32_t i = 0; i < f->head_dim; i++)
		s->xb[at * f->head_dim + i] = (float)mixed[i / 8 * 8 + i % 2 * 4 + i % 8 / 2] * scale;
}

static void attention_tile(void *arg, uint32_t tile)
{
	struct pass *p = arg;
	uint32_t head = tile % p->config->heads, first = tile / p->config->heads * FLX_QUERIES;

	for (uint32_t t = first; t < p->tokens && t < first + FLX_QUERIES; t++)
		attend(p, head, t, p->s->att + (uint64_t)tile * p->s->context);
}

/* ---- a layer ---- */

/* Pins what the pass's next matrices (and norm) read; nothing stays pinned after an error. */
static int pin_stage(struct pass *p)
{
	int error = p->norm != NULL ? pin(p->host, p->norm) : 0;
	uint32_t done = 0;

	if (error != 0)
		return error;
	while (done < p->matrices && (error = pin(p->host, p->matrix[done].w)) == 0)
		done++;
	if (error == 0)
		return 0;
	while (done > 0)
		unpin(p->host, p->matrix[--done].w);
	if (p->norm != NULL)
		unpin(p->host, p->norm);
	return error;
}

static void unpin_stage(struct pass *p)
{
	for (uint32_t i = 0; i < p->matrices; i++)
		unpin(p->host, p->matrix[i].w);
	if (p->norm != NULL)
		unpin(p->host, p->norm);
}

/* prepare(token), then the matrices on (tokens, cols) floats at x. */
static int stage(struct pass *p, void (*prepare)(void *arg, uint32_t token), const float *x, uint32_t tokens,
		 uint32_t cols)
{
	int error = pin_stage(p);

	if (error != 0)
		return error;
	set_matrices(p, x, tokens, cols);
	if (prepare != quantise_tile || p->quantised)
		run(p, prepare, tokens);
	run_matrices(p);
	unpin_stage(p);
	return 0;
}

static void plan(struct pass *p, const struct flx_tensor *norm, const struct flx_tensor *w, float *out)
{
	p->norm = norm;
	p->gated = 0;
	p->matrix[0].w = w;
	p->matrix[0].out = out;
	p->matrices = 1;
}

static void plan_more(struct pass *p, const struct flx_tensor *w, float *out)
{
	p->matrix[p->matrices].w = w;
	p->matrix[p->matrices++].out = out;
}

static int attention(struct pass *p, const struct flx_layer *l)
{
	struct flx_state *s = p->s;
	const struct flx_config *f = p->config;
	int error;

	plan(p, &l->attn_norm, &l->wq, s->q);
	plan_more(p, &l->wk, s->k);
	plan_more(p, &l->wv, s->v);
	error = stage(p, norm_tile, s->xb, p->tokens, f->dim);
	if (error != 0)
		return error;
	run(p, rope_tile, p->tokens);
	run(p, attention_tile, f->heads * ((p->tokens + FLX_QUERIES - 1) / FLX_QUERIES));
	plan(p, NULL, &l->wo, s->delta);
	return stage(p, quantise_tile, s->xb, p->tokens, f->heads * f->head_dim);
}

static int feed_forward(struct pass *p, const struct flx_layer *l)
{
	struct flx_state *s = p->s;
	int error;

	p->has_delta = 1;
	plan(p, &l->ffn_norm, &l->gate, s->hb);
	plan_more(p, &l->up, s->hb2);
	p->gated = 1;
	error = stage(p, norm_tile, s->xb, p->tokens, p->config->dim);
	if (error != 0)
		return error;
	plan(p, NULL, &l->down, s->delta);
	return stage(p, quantise_tile, s->hb, p->tokens, p->config->ff);
}

/* Logits of the batch's last token: it is moved to the front and computed alone. */
static int output(struct pass *p)
{
	const struct flx_weights *w = &p->s->model->weights;
	struct flx_state *s = p->s;
	uint64_t last = (uint64_t)(p->tokens - 1) * p->config->dim;

	if (last != 0) {
		memcpy(s->x, s->x + last, p->config->dim * sizeof(float));
		memcpy(s->delta, s->delta + last, p->config->dim * sizeof(float));
	}
	plan(p, &w->output_norm, &w->output, s->logits);
	return stage(p, norm_tile, s->xb, 1, p->config->dim);
}

/* ---- a batch ---- */

static int embed(struct pass *p, const int32_t *ids)
{
	const struct flx_tensor *all = &p->s->model->weights.embedding;
	uint64_t bytes = all->bytes / all->rows;

	for (uint32_t t = 0; t < p->tokens; t++) {
		struct flx_tensor row = { .data = all->data + (uint32_t)ids[t] * bytes, .bytes = bytes, .rows = 1,
					  .cols = all->cols, .type = all->type };
		int error = pin(p->host, &row);

		if (error != 0)
			return error;
		flx_dequantise(&row, 0, p->s->x + (uint64_t)t * p->config->dim);
		unpin(p->host, &row);
	}
	return 0;
}

static void fill_rope(struct pass *p)
{
	float *to = p->s->rope;

	for (uint32_t t = 0; t < p->tokens; t++) {
		for (uint32_t i = 0; i < p->config->rope_dim / 2; i++, to += 2) {
			double sine, cosine;

			flx_sincos((double)(p->s->position + t) * p->s->model->inv_freq[i], &sine, &cosine);
			to[0] = (float)cosine;
			to[1] = (float)sine;
		}
	}
}

static int beat(const struct pass *p, uint32_t layer)
{
	const struct flx_host *host = p->host;

	if (host != NULL && host->beat != NULL)
		host->beat(host->ctx, layer, p->s->position);
	return host != NULL && host->cancelled != NULL && host->cancelled(host->ctx) ? FLX_E_CANCELLED : 0;
}

static int run_batch(struct flx_state *s, const struct flx_host *host, const int32_t *ids, uint32_t tokens, int last)
{
	struct pass p = { .s = s, .host = host, .config = &s->model->config, .tokens = tokens };
	uint32_t layers = p.config->layers;
	int error = embed(&p, ids);

	fill_rope(&p);
	for (uint32_t l = 0; l < layers && error == 0; l++) {
		p.layer = l;
		error = beat(&p, l);
		if (error == 0)
			error = attention(&p, &s->model->weights.layer[l]);
		if (error == 0)
			error = feed_forward(&p, &s->model->weights.layer[l]);
	}
	if (error == 0)
		error = beat(&p, layers);
	if (error == 0 && last)
		error = output(&p);
	if (error == 0)
		s->position += tokens;
	return error;
}

int flx_forward(struct flx_state *state, const struct flx_host *host, const int32_t *ids, uint32_t count)
{
	if (count == 0 || count > state->context - state->position)
		return FLX_E_CONTEXT;
	for (uint32_t i = 0; i < count; i++) {
		if (ids[i] < 0 || (uint32_t)ids[i] >= state->model->config.vocab)
			return FLX_E_CONTEXT;
	}
	for (uint32_t at = 0; at < count;) {
		uint32_t tokens = count - at < state->batch ? count - at : state->batch;
		int error = run_batch(state, host, ids + at, tokens, at + tokens == count);

		if (error != 0)
			return error;
		at += tokens;
	}
	return FLX_OK;
}

/* ---- choosing a kernel ---- */

static uint64_t time_kernel(uint32_t caps, uint64_t (*ticks)(void))
{
	static const uint8_t weights[4 * FLX_BLOCK_BYTES + 16];
	static const int16_t zeros[4 * FLX_BLOCK];
	static const int32_t scales[4];
	const struct flx_q8_path *path = flx_q8_path(caps, 4);
	const uint8_t *row[4] = { weights, weights + FLX_BLOCK_BYTES, weights + 2 * FLX_BLOCK_BYTES,
				  weights + 3 * FLX_BLOCK_BYTES };
	uint64_t best = UINT64_MAX;

	for (uint32_t round = 0; round < 5; round++) {
		uint64_t begin = ticks(), took;
		int64_t sum[16];

		for (uint32_t i = 0; i < 256 * 4 / path->layout.lanes; i++)
			path->kernel(row, 1, zeros, scales, sum);
		took = ticks() - begin;
		best = took < best ? took : best;
	}
	return best;
}

uint32_t flx_fastest_caps(uint32_t caps, uint64_t (*ticks)(void))
{
	uint32_t with = caps & (FLX_CAP_ASIMD | FLX_CAP_DOTPROD), without = caps & FLX_CAP_ASIMD;

	if (with == without)
		return without;
	return time_kernel(with, ticks) <= time_kernel(without, ticks) ? with : without;
}
