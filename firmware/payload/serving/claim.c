/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CLAIM: donated pages become slots of a model or a session. Above both of them, since either may own the slots. A
 * model's pages are opened here and now, on the thread of whoever loads, beside whoever computes.
 */
#include "serving.h"

/* Puts a user on whatever has all of the slots [first, first + count): exactly one of *model, *session is then set. */
static bool owner_get(uint64_t first, uint64_t count, struct srv_model **model, struct srv_session **session)
{
	uint64_t mask = rt_lock(&srv_tables);

	*model = srv_model_of_slots(first, count);
	*session = *model ? NULL : srv_session_of_slots(first, count);
	if (*model)
		(*model)->users++;
	else if (*session)
		(*session)->users++;
	rt_unlock(&srv_tables, mask);
	return *model || *session;
}

/* The monitor's part: how many became slots, and why no more. */
static uint64_t claim(struct rt_call *call, uint64_t count, uint64_t slot, int64_t *error)
{
	struct rt_smc ret = { .status = FLEX_OK };
	uint64_t done = 0;

	while (done < count) {
		ret = rt_smc(FLEX_MON_CLAIM, (uint64_t)&call->list[done], count - done, slot + done);
		done += ret.status == FLEX_OK ? count - done : ret.x1 <= count - done ? ret.x1 : 0;
		if (ret.status != FLEX_OK && ret.status != FLEX_E_INTERRUPTED)
			break;
	}
	*error = done == count ? FLEX_TOS_DONE : ret.status;
	return done;
}

static void claim_for_model(struct rt_call *call, struct srv_model *model, uint64_t count, uint64_t slot)
{
	call->status = FLEX_E_BUSY;
	if (!srv_contents_seize(slot, count))
		return;
	call->value[0] = claim(call, count, slot, &call->status);
	srv_contents_settle(slot, count, call->value[0]);
	call->value[1] = srv_weights_claimed(model, slot, call->value[0]);
}

static void claim_for_session(struct rt_call *call, struct srv_session *session, uint64_t count, uint64_t slot)
{
	srv_kv_claim_begin(session);
	call->value[0] = claim(call, count, slot, &call->status);
	srv_kv_claim_end(session, slot, call->value[0]);
}

/* CLAIM(mailbox, count, slot) -> pages claimed, ticks of opening */
void srv_claim(struct rt_call *call)
{
	uint64_t mailbox = call->arg[0], count = call->arg[1], slot = call->arg[2];
	struct srv_session *session = NULL;
	struct srv_model *model = NULL;

	call->status = FLEX_E_INVAL;
	if (mailbox >= FLEX_BOARD_MAILBOXES || count == 0 || count > FLEX_MAILBOX_ENTRIES)
		return;
	if (!owner_get(slot, count, &model, &session))
		return;
	/* One copy; the monitor checks each address in it, and never sees the mailbox. */
	memcpy(call->list, rt_mailbox(mailbox), count * sizeof(call->list[0]));
	if (model) {
		claim_for_model(call, model, count, slot);
		srv_model_put(model);
	} else {
		claim_for_session(call, session, count, slot);
		srv_session_put(session);
	}
}
