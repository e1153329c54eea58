// SPDX-License-Identifier: GPL-2.0-only
/* Sessions between prompts: what is used again, what goes on, what makes room, and what a panic leaves. */
#include "test.h"

#define SLOTS 1024
#define PAGES 100
#define PLACES 3	/* sessions that the payload of this test has room for */

static u32 epoch, opened, closed, released;
static bool used[PLACES];

u32 flex_payload_epoch(void)
{
	return epoch;
}

struct flex_session_comm *flex_session_comm(u32 session)
{
	static struct flex_session_comm comm[PLACES];

	return session < PLACES ? &comm[session] : NULL;
}

static s64 open_place(struct arm_smccc_1_2_regs *result)
{
	u32 place = 0;

	while (place < PLACES && used[place])
		place++;
	if (place == PLACES)
		return FLEX_E_EXHAUSTED;
	used[place] = true;
	opened++;
	result->a2 = place;
	result->a3 = place * PAGES;
	result->a4 = PAGES;
	return FLEX_OK;
}

s64 flex_payload_call(u64 op, u64 a1, u64 a2, u64 a3, struct arm_smccc_1_2_regs *result)
{
	if (op == FLEX_OP_SESSION_OPEN)
		return open_place(result);
	expect(op == FLEX_OP_SESSION_CLOSE && a1 < PLACES && used[a1]);
	used[a1] = false;
	closed++;
	return FLEX_OK;
}

int flex_range_release(struct flex_range *range)
{
	flex_range_remove(range);
	released++;
	return 0;
}

/* A file is its size. */
struct file {
	u64 size;
};

struct inode *file_inode(const struct file *file)
{
	return (struct inode *)file;
}

u64 i_size_read(const struct inode *inode)
{
	return ((const struct file *)inode)->size;
}

/* Stores: how many there are, and what putting a session aside comes to. */
struct flex_store {
	struct file *file;
};
static u32 stores, seals;
static int seal_result;

struct flex_store *flex_store_new(struct file *file)
{
	struct flex_store *store = calloc(1, sizeof(*store));

	store->file = file;
	stores++;
	return store;
}

void flex_store_free(struct flex_store *store)
{
	stores -= store != NULL;
	free(store);
}

static void (*during_seal)(void);

int flex_store_seal(struct flex_store *store, u32 session, u64 *bytes)
{
	expect(store && used[session]);
	seals++;
	if (during_seal)
		during_seal();
	*bytes = 100;
	return seal_result;
}

static struct flex_session *get(u32 model, u32 context)
{
	struct flex_session *session;
	s64 error;

	session = flex_session_get(model, context, 2, NULL, &error);
	expect(!IS_ERR(session) && error == FLEX_OK);
	return session;
}

static void test_the_second_prompt_opens_nothing(void)
{
	struct flex_session *session = get(1, 512), *other;
	u32 id = session->id;

	flex_session_put(session);
	session = get(1, 512);
	expect(session->id == id && opened == 1 && closed == 0);
	/* In use: another prompt gets another one. So do another context and another model. */
	other = get(1, 512);
	expect(other->id != id && opened == 2);
	flex_session_put(other);
	flex_session_put(session);
	other = get(1, 256);
	expect(opened == 3 && closed == 0);
	flex_session_put(other);
	flex_sessions_close(1, epoch);
	expect(closed == 3 && released == 3);
}

/* What one group is charged for does not serve another. */
static void test_a_session_serves_one_group(void)
{
	struct mem_cgroup lab = { 0 };
	struct obj_cgroup of_lab = { &lab };
	struct flex_session *ours = get(1, 512), *labs;
	u32 id = ours->id, before = opened;
	s64 error;

	flex_session_put(ours);
	labs = flex_session_get(1, 512, 2, &of_lab, &error);
	expect(!IS_ERR(labs) && labs->id != id && opened == before + 1);
	expect(labs->memory.group == &of_lab);
	flex_session_put(labs);
	expect(flex_session_get(1, 512, 2, &of_lab, &error) == labs && get(1, 512) == ours);
	flex_session_put(ours);
	flex_session_put(labs);
	flex_sessions_close(1, epoch);
}

static void test_the_longest_idle_makes_room(void)
{
	struct flex_session *a = get(1, 512), *b = get(2, 512), *c = get(3, 512), *d;
	u32 before = closed;
	s64 error;

	d = flex_session_get(4, 512, 1, NULL, &error);
	expect(IS_ERR(d) && PTR_ERR(d) == -ENOMEM && error == FLEX_E_EXHAUSTED);
	flex_session_put(b);
	flex_session_put(a);
	d = get(4, 512);
	expect(closed == before + 1 && d->id == 1);
	flex_session_put(c);
	flex_session_put(d);
	while (flex_session_evict(false))
		;
	expect(closed == before + 4);
}

/* The payload knows them no more: nothing is asked of it, their pages come back. */
static void test_a_panic_leaves_no_session(void)
{
	struct flex_session *idle = get(1, 512), *busy = get(1, 512);
	u32 calls = closed, gone = released;

	flex_session_put(idle);
	epoch++;
	memset(used, 0, sizeof(used));
	flex_session_put(busy);
	expect(released == gone + 1);
	flex_sessions_close(7, epoch);
	expect(released == gone + 2 && closed == calls);
	idle = get(1, 512);
	flex_session_put(idle);
	flex_sessions_close(1, epoch);
	expect(released == gone + 3 && closed == calls + 1);
}

static const int anna, ben;	/* two clients */

/* A conversation of one prompt so far, with pages of its own in its slots. */
static struct flex_session *converse(const void *owner)
{
	struct flex_session *session = get(1, 512);
	struct page *page = &fake_page[session->memory.first];

	session->owner = owner;
	if (!flex_range_held(&session->memory))
		flex_range_publish(&session->memory, 0, &page, 1);
	flex_session_put(session);
	return session;
}

static void give_store(const void *owner)
{
	struct file file = { 0 };
	u64 need = 0;

	expect(flex_session_store(owner, &file, &need) == -ENOSPC);
	expect(need >= PAGES * PAGE_SIZE && need % FLEX_PROMPT_BYTES == 0);
	file.size = need;
	expect(!flex_session_store(owner, &file, &need));
}

static void test_a_conversation_is_its_clients(void)
{
	struct flex_session *session = converse(&anna), *other;
	u32 before = closed;

	other = get(1, 512);
	expect(other != session);
	flex_session_put(other);
	expect(!flex_session_resume(&ben));
	expect(flex_session_resume(&anna) == session);
	expect(!flex_session_resume(&anna));
	flex_session_put(session);
	flex_sessions_leave(&ben);
	expect(flex_session_resume(&anna) == session);
	flex_session_put(session);
	flex_sessions_leave(&anna);
	expect(!flex_session_resume(&anna) && closed == before + 1);
	flex_sessions_close(1, epoch);
}

static void test_conversations_make_room_last(void)
{
	struct flex_session *session = converse(&anna), *plain = get(2, 512);

	flex_session_put(plain);
	expect(flex_session_evict(false) && !flex_session_evict(false));
	expect(flex_session_resume(&anna) == session);
	flex_session_put(session);
	expect(flex_session_evict(true) && !flex_session_resume(&anna));
}

static void test_a_panic_ends_a_conversation(void)
{
	struct flex_session *session = converse(&anna);

	epoch++;
	memset(used, 0, sizeof(used));
	expect(!flex_session_resume(&anna));
	session = converse(&anna);
	expect(flex_session_resume(&anna) == session);
	flex_session_put(session);
	flex_sessions_leave(&anna);
}

static void test_a_conversation_is_put_aside(void)
{
	struct flex_session *session = converse(&anna);
	u64 bytes;

	expect(flex_session_seal(&ben, &bytes) == -ESTALE);
	expect(flex_session_seal(&anna, &bytes) == -ENOENT);
	give_store(&anna);
	expect(stores == 1 && session->memory.dirty);
	expect(!flex_session_seal(&anna, &bytes) && bytes == 100 && !session->memory.dirty);
	/* The next prompt adds to it. */
	flex_session_put(flex_session_resume(&anna));
	expect(session->memory.dirty);
	seal_result = -EIO;
	expect(flex_session_seal(&anna, &bytes) == -EIO && session->memory.dirty);
	seal_result = 0;
	flex_sessions_leave(&anna);
	expect(!stores);
}

static struct flex_session *meanwhile_seen;
static bool meanwhile_ended;

static void *resume_meanwhile(void *unused)
{
	meanwhile_seen = flex_session_resume(&anna);
	WRITE_ONCE(meanwhile_ended, true);
	return NULL;
}

static pthread_t meanwhile;

static void begin_meanwhile(void)
{
	u64 bytes;

	expect(flex_session_seal(&anna, &bytes) == -EBUSY);
	pthread_create(&meanwhile, NULL, resume_meanwhile, NULL);
	usleep(1000);
	expect(!READ_ONCE(meanwhile_ended));
}

/* The next prompt waits until the session is its own again. */
static void test_nobody_has_a_session_that_is_being_put_aside(void)
{
	struct flex_session *session = converse(&anna);
	u64 bytes;

	give_store(&anna);
	during_seal = begin_meanwhile;
	expect(!flex_session_seal(&anna, &bytes));
	during_seal = NULL;
	pthread_join(meanwhile, NULL);
	expect(meanwhile_seen == session);
	flex_session_put(session);
	flex_sessions_leave(&anna);
}

/* Recall asks; what it asked for is done by others. */
static void test_recall_has_a_conversation_put_aside(void)
{
	const struct flex_scope patient = { .patient = true };
	struct flex_mailbox_lease *lease = test_lease();
	struct flex_session *session;
	u32 before = seals;

	session = converse(&anna);
	expect(flex_range_held(&session->memory) == 1);
	give_store(&anna);
	expect(!flex_slots_collect(&patient, lease, 8));
	expect(session->saver.queued && seals == before);
	session->saver.func(&session->saver);
	expect(seals == before + 1 && !session->memory.dirty && !session->memory.saving);
	expect(flex_slots_collect(&patient, lease, 8) == 1);
	lease->memory->result[0] = FLEX_OK;
	expect(flex_slots_settle(lease, 1) == 1);
	/* One in use is left alone. */
	expect(flex_session_resume(&anna) == session);
	session->saver.func(&session->saver);
	expect(seals == before + 1 && !session->memory.saving);
	flex_session_put(session);
	flex_sessions_leave(&anna);
	test_lease_free(lease);
}

int main(void)
{
	expect(!flex_sessions_init());
	expect(!flex_slots_init(SLOTS));
	test_the_second_prompt_opens_nothing();
	test_a_session_serves_one_group();
	test_the_longest_idle_makes_room();
	test_a_panic_leaves_no_session();
	test_a_conversation_is_its_clients();
	test_conversations_make_room_last();
	test_a_panic_ends_a_conversation();
	test_a_conversation_is_put_aside();
	test_nobody_has_a_session_that_is_being_put_aside();
	test_recall_has_a_conversation_put_aside();
	flex_sessions_exit();
	flex_slots_exit();
	return 0;
}
