/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The order in which a model's weights are next used, for the NW to take them back from its end: a pass reads the
 * embedding, the layers one after the other, then the output; so the last layers go first, and the first ones compute
 * while the rest is read again. Before all of it comes what opens it: the sealed file's header and table. The order
 * shows how large layers are, and so do the pages that a pass asks for.
 */
#include "serving.h"

#define SHOW(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELAXED)

struct list {
	struct flex_order *order; /* written only */
	const uint8_t *image;     /* of the model's first slot */
	uint64_t count;
	uint64_t first, end;      /* pages of the run added last that has any */
};

/* Bytes [from, to) of the image. */
struct span {
	const uint8_t *from, *to;
};

static void span_add(struct span *span, const struct flx_tensor *tensor)
{
	if (!tensor->data)
		return;
	if (!span->from || tensor->data < span->from)
		span->from = tensor->data;
	if (tensor->data + tensor->bytes > span->to)
		span->to = tensor->data + tensor->bytes;
}

static void list_add(struct list *list, const struct span *span)
{
	uint64_t first, end;

	if (list->count == FLEX_ORDER_RUNS)
		return;
	if (span->from == span->to) {
		SHOW(list->order->run[list->count++], 0);
		return;
	}
	first = (uint64_t)(span->from - list->image) / FLEX_PAGE_SIZE;
	end = (uint64_t)(span->to - 1 - list->image) / FLEX_PAGE_SIZE + 1;
	/* A page that is shared with what is used just before stays as long as that. */
	if (first + 1 == list->end)
		first++;
	else if (list->end && end == list->first + 1)
		end--;
	SHOW(list->order->run[list->count++], first << 32 | (end - first));
	list->first = first;
	list->end = end;
}

static struct span layer_span(const struct flx_layer *layer)
{
	const struct flx_tensor *const tensors[] = {
		&layer->attn_norm, &layer->wq, &layer->wk, &layer->wv, &layer->wo,
		&layer->ffn_norm, &layer->gate, &layer->up, &layer->down,
	};
	struct span span = { 0 };

	for (unsigned int i = 0; i < sizeof(tensors) / sizeof(tensors[0]); i++)
		span_add(&span, tensors[i]);
	return span;
}

static void add_tensor(struct list *list, const struct flx_tensor *tensor)
{
	struct span span = { 0 };

	span_add(&span, tensor);
	list_add(list, &span);
}

void srv_order_publish(uint64_t number, const struct srv_model *model)
{
	const struct flx_weights *weights = &model->flx.weights;
	struct list list = { .order = srv_comm_order(number), .image = rt_slot_address(model->slots.first) };

	if (model->region.count)
		return;
	SHOW(list.order->count, 0);
	SHOW(list.order->at, 0);
	list_add(&list, &(struct span){ model->file, model->image });
	add_tensor(&list, &weights->embedding);
	for (uint32_t i = 0; i < model->flx.config.layers; i++) {
		struct span span = layer_span(&weights->layer[i]);

		list_add(&list, &span);
	}
	add_tensor(&list, &weights->output_norm);
	if (weights->output.data != weights->embedding.data)
		add_tensor(&list, &weights->output);
	SHOW(list.order->count, list.count);
}

/* Behind what opens the model and the embedding. */
void srv_order_layer(uint64_t number, uint64_t layer)
{
	SHOW(srv_comm_order(number)->at, 2 + layer);
}

void srv_order_idle(uint64_t number)
{
	SHOW(srv_comm_order(number)->at, 0);
}
