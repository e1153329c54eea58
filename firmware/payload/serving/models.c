/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Models: a file's bytes, in slots or in a secured region, and what the engine made of its header. The header is parsed
 * while its pages are pinned; what is kept of it (configuration, vocabulary) is copied into the payload's own memory.
 */
#include "rt_arch.h"
#include "serving.h"

/* What may follow what; anything else is FLEX_E_STATE. */
enum model_event { MODEL_EV_OPEN, MODEL_EV_START, MODEL_EV_READY, MODEL_EV_REFUSED, MODEL_EV_CLOSE, MODEL_EV_FREE,
		   MODEL_EVENTS };
#define NEVER MODEL_STATES
static const uint8_t next_state[MODEL_STATES][MODEL_EVENTS] = {
	/*                    OPEN        START           READY        REFUSED     CLOSE          FREE */
	[MODEL_FREE] =      { MODEL_OPEN, NEVER,          NEVER,       NEVER,      NEVER,         NEVER },
	[MODEL_OPEN] =      { NEVER,      MODEL_STARTING, NEVER,       NEVER,      MODEL_CLOSING, NEVER },
	[MODEL_STARTING] =  { NEVER,      NEVER,          MODEL_READY, MODEL_OPEN, NEVER,         NEVER },
	[MODEL_READY] =     { NEVER,      NEVER,          NEVER,       NEVER,      MODEL_CLOSING, NEVER },
	[MODEL_CLOSING] =   { NEVER,      NEVER,          NEVER,       NEVER,      NEVER,         MODEL_FREE },
};

struct rt_lock srv_tables;
struct srv_space srv_slots, srv_heap;
uint32_t srv_caps;
static struct srv_model models[SRV_MODELS];

/* srv_tables is held. */
static bool model_move(struct srv_model *model, enum model_event event)
{
	uint8_t state = next_state[model->state][event];

	if (state == NEVER)
		return false;
	model->state = state;
	return true;
}

/* The same, where nothing but `event` can be. */
static void model_moves(struct srv_model *model, enum model_event event)
{
	uint64_t mask = rt_lock(&srv_tables);
	bool moved = model_move(model, event);

	rt_unlock(&srv_tables, mask);
	if (!moved)
		rt_panic("model state");
}

struct srv_model *srv_model_get(uint64_t number, uint32_t states, int64_t *error)
{
	struct srv_model *model;
	uint64_t mask;

	*error = FLEX_E_INVAL;
	if (number >= SRV_MODELS)
		return NULL;
	model = &models[number];
	mask = rt_lock(&srv_tables);
	if (!(states & SRV_IN(model->state))) {
		*error = FLEX_E_STATE;
		model = NULL;
	} else {
		*error = FLEX_OK;
		model->users++;
	}
	rt_unlock(&srv_tables, mask);
	return model;
}

uint64_t srv_model_number(const struct srv_model *model)
{
	return (uint64_t)(model - models);
}

void srv_model_put(struct srv_model *model)
{
	uint64_t mask = rt_lock(&srv_tables);

	model->users--;
	rt_unlock(&srv_tables, mask);
}

void srv_model_admit(struct srv_model *model)
{
	uint64_t mask = rt_lock(&srv_tables);

	memcpy(model->admitted.model, model->seal.model, sizeof(model->admitted.model));
	model->admitted.version = model->seal.version;
	for (unsigned int i = 0; i < SRV_MODELS; i++) {
		struct srv_model *other = &models[i];

		if (other->state != MODEL_FREE && other->state != MODEL_CLOSING && other->admitted.version != 0 &&
		    other->admitted.version < model->admitted.version &&
		    !memcmp(other->admitted.model, model->admitted.model, sizeof(model->admitted.model)))
			srv_model_refuse(other, FLEX_SEALED_E_OLD);
	}
	rt_unlock(&srv_tables, mask);
}

struct srv_model *srv_model_of_slots(uint64_t first, uint64_t count)
{
	for (unsigned int i = 0; i < SRV_MODELS; i++) {
		if (models[i].state != MODEL_FREE && models[i].state != MODEL_CLOSING && models[i].region.count == 0 &&
		    srv_range_has(&models[i].slots, first, count))
			return &models[i];
	}
	return NULL;
}

/* Takes a free model and its slots. */
static struct srv_model *model_take(uint64_t bytes)
{
	uint64_t pages = (bytes + FLEX_PAGE_SIZE - 1) / FLEX_PAGE_SIZE;
	uint64_t mask = rt_lock(&srv_tables);
	struct srv_model *model = NULL;

	for (unsigned int i = 0; i < SRV_MODELS && !model; i++) {
		if (models[i].state == MODEL_FREE)
			model = &models[i];
	}
	if (model && srv_space_take(&srv_slots, pages, &model->slots)) {
		model_move(model, MODEL_EV_OPEN);
		model->bytes = bytes;
		model->file = rt_slot_address(model->slots.first);
	} else {
		model = NULL;
	}
	rt_unlock(&srv_tables, mask);
	return model;
}

/* MODEL_OPEN(bytes) -> model, first slot */
void srv_model_open(struct rt_call *call)
{
	uint64_t bytes = call->arg[0];
	struct srv_model *model;

	call->status = FLEX_E_INVAL;
	if (bytes == 0)
		return;
	call->status = FLEX_E_EXHAUSTED;
	if (bytes > (uint64_t)FLEX_BOARD_SLOTS * FLEX_PAGE_SIZE)
		return;
	model = model_take(bytes);
	if (!model)
		return;
	call->value[0] = (uint64_t)(model - models);
	call->value[1] = model->slots.first;
	call->status = FLEX_TOS_DONE;
}

struct parsing {
	struct srv_model *model;
	struct srv_spent spent;
};

/* flx_host.pin while the GGUF's header is read. */
static int header_pin(void *ctx, const void *addr, uint64_t bytes)
{
	struct parsing *parsing = ctx;

	return (int)srv_weights_pin(parsing->model, addr, bytes, &parsing->spent);
}

static void header_unpin(void *ctx, const void *addr, uint64_t bytes)
{
	const struct parsing *parsing = ctx;

	srv_weights_unpin(parsing->model, addr, bytes);
}

bool srv_model_take_over(struct srv_model *model)
{
	uint64_t mask = rt_lock(&srv_tables);
	/* One user is the caller. */
	bool mine = model->users == 1 && model->region.count == 0 && model_move(model, MODEL_EV_START);

	rt_unlock(&srv_tables, mask);
	return mine;
}

void srv_model_hand_back(struct srv_model *model)
{
	model_moves(model, MODEL_EV_REFUSED);
}

void srv_release_regions(void)
{
	for (unsigned int i = 0; i < SRV_MODELS; i++)
		srv_region_give(&models[i]);
}

static bool heap_take(struct srv_model *model, uint64_t bytes)
{
	uint64_t mask = rt_lock(&srv_tables);
	bool taken = srv_space_take(&srv_heap, (bytes + FLEX_PAGE_SIZE - 1) / FLEX_PAGE_SIZE, &model->heap);

	if (!taken)
		model->heap.count = 0;
	rt_unlock(&srv_tables, mask);
	return taken;
}

static void heap_give(struct srv_model *model)
{
	uint64_t mask = rt_lock(&srv_tables);

	if (model->heap.count)
		srv_space_give(&srv_heap, &model->heap);
	model->heap.count = 0;
	rt_unlock(&srv_tables, mask);
}

/* Parses the GGUF. FLEX_OK, FLEX_E_MODEL with a reason, or what the NW answered. */
static int64_t model_parse(struct parsing *parsing, struct flx_reason *reason)
{
	const struct flx_host host = { .ctx = parsing, .pin = header_pin, .unpin = header_unpin };
	struct srv_model *model = parsing->model;
	uint64_t bytes = 0;
	int error = flx_model_measure(&host, model->image, model->seal.bytes, &bytes, reason);

	if (error)
		return error == FLX_E_MODEL ? FLEX_E_MODEL : error;
	if (!heap_take(model, bytes)) {
		memcpy(reason->text, "vocabulary too large for the payload's memory", 46);
		return FLEX_E_MODEL;
	}
	error = flx_model_load(&model->flx, &host, model->image, model->seal.bytes,
			       (uint8_t *)rt_heap() + model->heap.first * FLEX_PAGE_SIZE,
			       model->heap.count * FLEX_PAGE_SIZE, reason);
	if (!error)
		return FLEX_OK;
	heap_give(model);
	/* The file changed between the two readings: the NW's doing. */
	return error == FLX_E_MODEL || error == FLX_E_ARENA ? FLEX_E_MODEL : error;
}

static uint64_t ticks(void)
{
	return rt_ticks();
}

/* Once: the choice changes no result, so a race of two first models does not matter. */
static void choose_caps(void)
{
	uint32_t caps = FLX_CAP_ASIMD | (rt_has_dotprod() ? FLX_CAP_DOTPROD : 0);

	if (!__atomic_load_n(&srv_caps, __ATOMIC_RELAXED))
		__atomic_store_n(&srv_caps, flx_fastest_caps(caps, ticks), __ATOMIC_RELAXED);
}

/* Opens and parses. Errors as in model_parse(); *ticks: of opening. */
static int64_t model_begin(struct srv_model *model, struct flx_reason *reason, uint64_t *ticks)
{
	struct parsing parsing = { .model = model };
	const char *refusal;
	int64_t error = srv_weights_open(model, ticks);

	if (!error)
		error = model_parse(&parsing, reason);
	*ticks += parsing.spent.opened;
	refusal = srv_weights_refusal(model);
	if (refusal[0])
		memcpy(reason->text, refusal, strlen(refusal) + 1);
	return error;
}

/* MODEL_START(model) -> longest context, ticks of opening */
void srv_model_start(struct rt_call *call)
{
	struct srv_model *model = srv_model_get(call->arg[0], SRV_IN(MODEL_OPEN) | SRV_IN(MODEL_READY), &call->status);
	struct flx_reason reason = { "" };
	uint64_t mask;
	bool mine;

	if (!model)
		return;
	mask = rt_lock(&srv_tables);
	mine = model_move(model, MODEL_EV_START);
	rt_unlock(&srv_tables, mask);
	if (mine) {
		choose_caps();
		call->status = model_begin(model, &reason, &call->value[1]);
		srv_comm_reason(0, reason.text);
		if (call->status == FLEX_OK)
			srv_order_publish(srv_model_number(model), model);
		model_moves(model, call->status == FLEX_OK ? MODEL_EV_READY : MODEL_EV_REFUSED);
	}
	/* Started before: the answer is the same again. */
	if (call->status == FLEX_OK)
		call->value[0] = model->flx.config.context;
	srv_model_put(model);
}

/* Takes the model out of everybody's reach. */
static int64_t model_begin_close(struct srv_model *model)
{
	uint64_t mask = rt_lock(&srv_tables);
	int64_t error = FLEX_E_BUSY;

	/* One user is this operation. */
	if (model->users == 1 && model->sessions == 0)
		error = model_move(model, MODEL_EV_CLOSE) ? FLEX_OK : FLEX_E_STATE;
	rt_unlock(&srv_tables, mask);
	return error;
}

/* MODEL_CLOSE(model) */
void srv_model_close(struct rt_call *call)
{
	uint32_t any = SRV_IN(MODEL_OPEN) | SRV_IN(MODEL_STARTING) | SRV_IN(MODEL_READY);
	struct srv_model *model = srv_model_get(call->arg[0], any, &call->status);
	uint64_t mask;

	if (!model)
		return;
	call->status = model_begin_close(model);
	if (call->status != FLEX_OK) {
		srv_model_put(model);
		return;
	}
	srv_region_give(model);
	srv_drop(&model->slots, false);
	heap_give(model);
	srv_weights_close(model);
	mask = rt_lock(&srv_tables);
	srv_space_give(&srv_slots, &model->slots);
	model_move(model, MODEL_EV_FREE);
	model->users--;
	rt_unlock(&srv_tables, mask);
	call->status = FLEX_TOS_DONE;
}
