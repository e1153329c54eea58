// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a client may ask for (uapi.h): each command a function, found by a table.
 */
#include <linux/capability.h>
#include <linux/errno.h>
#include <linux/file.h>
#include <linux/flexserve.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include "request.h"

static long flex_ioc_info(struct flex_client *client, void *arg)
{
	struct flex_ioc_info *info = arg;

	info->abi = flex_firmware.abi;
	info->protection = flex_protect_state();
	memcpy(info->monitor_id, flex_firmware.identity[FLEX_PART_MONITOR], 16);
	memcpy(info->payload_id, flex_firmware.identity[FLEX_PART_PAYLOAD], 16);
	info->slots = flex_firmware.slots;
	info->quota_pages = flex_firmware.quota_pages;
	info->secure_pages = flex_mem_pages();
	info->recallable_pages = flex_mem_recallable();
	info->monitor_debug = flex_firmware.debug[FLEX_PART_MONITOR];
	info->payload_debug = flex_firmware.debug[FLEX_PART_PAYLOAD];
	return 0;
}

/* The client's handle for a model whose use is handed over; or -EMFILE. */
static int flex_client_handle(struct flex_client *client, struct flex_model *model)
{
	int free = -EMFILE, i;

	for (i = ARRAY_SIZE(client->model) - 1; i >= 0; i--) {
		if (client->model[i] == model) {
			flex_model_put(model);
			return i;
		}
		if (!client->model[i])
			free = i;
	}
	if (free >= 0)
		client->model[free] = model;
	return free;
}

static long flex_model_from_file(struct flex_client *client, struct file *file,
				 struct flex_ioc_model *ask)
{
	struct flex_model *model;
	int handle, ret = 0;

	if (!S_ISREG(file_inode(file)->i_mode) || !(file->f_mode & FMODE_READ) ||
	    !i_size_read(file_inode(file)) || ask->mode >= FLEX_MODES)
		return -EINVAL;
	model = flex_model_get(file, ask->mode, client->group);
	if (!model)
		return -ENOMEM;
	client->opened = model;
	flex_loader_work(&model->loader, &client->opened_work);
	if (ask->mode == FLEX_MODE_FLEXSERVE)
		ret = flex_model_open(model, &client->opening, ask->reason);
	if (ret) {
		flex_model_put(model);
		return ret;
	}
	ask->max_context = model->max_context;
	ask->bytes = model->bytes;
	ask->resident_pages = model->open ? flex_range_held(&model->range) : 0;
	handle = flex_client_handle(client, model);
	if (handle < 0)
		flex_model_put(model);
	ask->model = handle;
	return min(handle, 0);
}

static long flex_ioc_model(struct flex_client *client, void *arg)
{
	struct flex_ioc_model *ask = arg;
	struct file *file = fget(ask->fd);
	long ret;

	if (!file)
		return -EBADF;
	memset(ask->reason, 0, sizeof(ask->reason));
	memset(&client->opening, 0, sizeof(client->opening));
	flex_clock_start(&client->opening, flex_ticks());
	ret = flex_model_from_file(client, file, ask);
	fput(file);
	return ret;
}

static struct flex_model *flex_client_model(struct flex_client *client, u32 handle)
{
	return handle < ARRAY_SIZE(client->model) ? client->model[handle] : NULL;
}

static long flex_ioc_model_drop(struct flex_client *client, void *arg)
{
	struct flex_model *model = flex_client_model(client, *(u32 *)arg);

	return model ? flex_model_drop(model) : -EINVAL;
}

/* A request that has ended is torn down soon; one under way keeps the client. */
static long flex_client_wait(struct flex_client *client)
{
	struct flex_request *request = client->request;

	if (!request)
		return 0;
	if (!READ_ONCE(request->ended))
		return -EBUSY;
	return wait_for_completion_interruptible(&request->done);
}

static long flex_client_settle(struct flex_client *client)
{
	struct flex_request *request = client->request;
	long ret = flex_client_wait(client);

	if (ret || !request)
		return ret;
	WRITE_ONCE(client->request, NULL);
	flex_request_put(request);
	return 0;
}

static long flex_ioc_generate(struct flex_client *client, void *arg)
{
	const struct flex_ioc_generate *ask = arg;
	struct flex_model *model = flex_client_model(client, ask->model);
	u64 submitted = flex_ticks();
	long ret;

	if (!model)
		return -EINVAL;
	ret = flex_client_settle(client);
	if (ret)
		return ret;
	spin_lock(&client->events_lock);
	kfifo_reset(&client->events);
	spin_unlock(&client->events_lock);

	/* The request has a use of its own. */
	mutex_lock(&flex_models_lock);
	model->users++;
	mutex_unlock(&flex_models_lock);
	return flex_leader_start(client, model, ask, submitted);
}

static long flex_ioc_store(struct flex_client *client, void *arg)
{
	struct flex_ioc_store *ask = arg;
	struct file *file = fget(ask->fd);
	long ret;

	if (!file)
		return -EBADF;
	ret = flex_client_wait(client);
	if (!ret && (!S_ISREG(file_inode(file)->i_mode) ||
		     (~file->f_mode & (FMODE_READ | FMODE_WRITE))))
		ret = -EINVAL;
	if (!ret)
		ret = flex_session_store(client, file, &ask->bytes);
	fput(file);
	return ret;
}

static long flex_ioc_seal(struct flex_client *client, void *arg)
{
	long ret = flex_client_wait(client);

	return ret ? ret : flex_session_seal(client, arg);
}

static long flex_result_copy(struct flex_request *request, struct flex_ioc_result *out)
{
	void __user *ids = u64_to_user_ptr(out->prompt_ids);
	u32 room = out->prompt_ids_max;
	u64 where = out->prompt_ids;

	*out = request->result;
	out->prompt_ids = where;
	out->prompt_ids_max = room;
	if (!where)
		return 0;
	room = min(room, request->result.prompt_tokens);
	return copy_to_user(ids, request->prompt_ids, room * sizeof(s32)) ? -EFAULT : 0;
}

/* Unlocked: it waits, and a cancel must get through. */
static long flex_ioc_result(struct flex_client *client, void *arg)
{
	struct flex_request *request;
	long ret;

	mutex_lock(&client->lock);
	request = client->request;
	if (request)
		kref_get(&request->refs);
	mutex_unlock(&client->lock);
	if (!request)
		return -EINVAL;

	ret = wait_for_completion_interruptible(&request->done);
	if (!ret)
		ret = flex_result_copy(request, arg);
	flex_request_put(request);
	return ret;
}

static long flex_ioc_cancel(struct flex_client *client, void *arg)
{
	if (!client->request)
		return -EINVAL;
	flex_request_cancel(client->request);
	return 0;
}

static long flex_recall_model(struct flex_model *model, struct flex_ioc_recall *ask)
{
	const struct flex_scope weights = { .range = &model->range };

	mutex_lock(&flex_models_lock);
	ask->pages = model->open ? flex_recall(&weights, ask->pages, &ask->ticks) : 0;
	mutex_unlock(&flex_models_lock);
	return 0;
}

static long flex_ioc_recall(struct flex_client *client, void *arg)
{
	const struct flex_scope everybody = { 0 };
	struct flex_ioc_recall *ask = arg;
	struct flex_model *model = NULL;

	if (ask->from == FLEX_RECALL_MODEL)
		model = flex_client_model(client, ask->model);
	if (ask->from > FLEX_RECALL_MODEL || (ask->from == FLEX_RECALL_MODEL && !model))
		return -EINVAL;
	ask->ticks = 0;
	if (model)
		return flex_recall_model(model, ask);
	ask->pages = flex_recall(&everybody, ask->pages, &ask->ticks);
	return 0;
}

static long flex_ioc_stats(struct flex_client *client, void *arg)
{
	flex_stats_fill(arg);
	return 0;
}

static long flex_ioc_panic(struct flex_client *client, void *arg)
{
	struct flex_ioc_panic *panic = arg;
	u64 part[3];
	struct arm_smccc_1_2_regs res;
	u32 at;

	memset(panic, 0, sizeof(*panic));
	for (at = 0; at < sizeof(struct flex_panic); at += sizeof(part)) {
		if (flex_smc(FLEX_MON_RECORD, at, 0, 0, &res) != FLEX_OK)
			break;
		part[0] = res.a1;
		part[1] = res.a2;
		part[2] = res.a3;
		memcpy(panic->record + at, part, min(sizeof(part), sizeof(panic->record) - at));
	}
	return 0;
}

static long flex_ioc_protect(struct flex_client *client, void *arg)
{
	u32 state = *(u32 *)arg;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (state != FLEX_PROTECT_ON && state != FLEX_PROTECT_OFF)
		return -EINVAL;
	return flex_protect_force(state == FLEX_PROTECT_ON);
}

static s64 flex_drill_turn(struct flex_call *call, u64 ticks)
{
	struct flex_watchdog *watchdog = call->context;

	atomic64_add(ticks, &watchdog->spent);
	if (fatal_signal_pending(current))
		return FLEX_E_CANCELLED;
	return flex_watchdog_late(watchdog, READ_ONCE(flex_status()->heartbeat)) ?
	       FLEX_E_TIMEOUT : FLEX_OK;
}

static const struct flex_call_ops flex_drill_ops = { .turn = flex_drill_turn };

static long flex_ioc_drill(struct flex_client *client, void *arg)
{
	struct flex_watchdog watchdog = { .heartbeat = READ_ONCE(flex_status()->heartbeat) };
	struct flex_call call = { .op = FLEX_OP_DRILL, .arg = { *(u32 *)arg },
				  .ops = &flex_drill_ops, .context = &watchdog };
	s64 error;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	error = flex_payload_run(&call);
	if (error == FLEX_E_TIMEOUT)
		flex_payload_restart();
	return flex_errno(error);
}

static long flex_ioc_measure(struct flex_client *client, void *arg)
{
	return capable(CAP_SYS_ADMIN) ? flex_measure(arg) : -EPERM;
}

static const struct flex_command {
	unsigned int number;
	bool unlocked;	/* takes no part in the client's order of commands */
	long (*run)(struct flex_client *client, void *arg);
} flex_commands[] = {
	{ FLEX_IOC_INFO, true, flex_ioc_info },
	{ FLEX_IOC_MODEL, false, flex_ioc_model },
	{ FLEX_IOC_MODEL_DROP, false, flex_ioc_model_drop },
	{ FLEX_IOC_GENERATE, false, flex_ioc_generate },
	{ FLEX_IOC_RESULT, true, flex_ioc_result },
	{ FLEX_IOC_CANCEL, false, flex_ioc_cancel },
	{ FLEX_IOC_RECALL, false, flex_ioc_recall },
	{ FLEX_IOC_STATS, true, flex_ioc_stats },
	{ FLEX_IOC_PANIC, true, flex_ioc_panic },
	{ FLEX_IOC_PROTECT, true, flex_ioc_protect },
	{ FLEX_IOC_DRILL, true, flex_ioc_drill },
	{ FLEX_IOC_STORE, false, flex_ioc_store },
	{ FLEX_IOC_SEAL, false, flex_ioc_seal },
	{ FLEX_IOC_MEASURE, true, flex_ioc_measure },
};

/* What any command passes in or out. */
union flex_argument {
	struct flex_ioc_info info;
	struct flex_ioc_model model;
	struct flex_ioc_generate generate;
	struct flex_ioc_result result;
	struct flex_ioc_recall recall;
	struct flex_ioc_stats stats;
	struct flex_ioc_measure measure;
	struct flex_ioc_panic panic;
	struct flex_ioc_store store;
	u64 long_word;
	u32 word;
};

static long flex_command_run(const struct flex_command *command, struct flex_client *client,
			     void *arg)
{
	long ret;

	if (command->unlocked)
		return command->run(client, arg);
	mutex_lock(&client->lock);
	ret = command->run(client, arg);
	mutex_unlock(&client->lock);
	return ret;
}

/**
 * flex_command() - one ioctl
 * @client: whose
 * @number: FLEX_IOC_*
 * @where: its argument
 *
 * May sleep. Return: 0 or a negative errno.
 */
long flex_command(struct flex_client *client, unsigned int number, void __user *where)
{
	union flex_argument arg = {};
	size_t i, bytes = _IOC_SIZE(number);
	long ret;

	for (i = 0; i < ARRAY_SIZE(flex_commands); i++)
		if (flex_commands[i].number == number)
			break;
	if (i == ARRAY_SIZE(flex_commands))
		return -ENOTTY;
	if ((_IOC_DIR(number) & _IOC_WRITE) && copy_from_user(&arg, where, bytes))
		return -EFAULT;
	ret = flex_command_run(&flex_commands[i], client, &arg);
	/* A refused model says why, so results go out with an error too. */
	if ((_IOC_DIR(number) & _IOC_READ) && copy_to_user(where, &arg, bytes))
		return -EFAULT;
	return ret;
}
