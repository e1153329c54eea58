/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <flexkit/smc.h>
#include <flexkit/uapi.h>

#include "clock.h"
#include "device.h"

static int call(unsigned long request, void *argument)
{
	int device = open(FLEX_DEVICE, O_RDWR | O_CLOEXEC);
	int status;

	if (device < 0)
		return -errno;
	status = ioctl(device, request, argument) ? -errno : 0;
	close(device);
	return status;
}

int flex_device_protect(uint32_t on)
{
	struct flex_ioc_info info;
	int status = call(FLEX_IOC_INFO, &info);

	if (status || info.protection == (on ? FLEX_PROTECT_ON : FLEX_PROTECT_OFF))
		return status;
	on = on ? FLEX_PROTECT_ON : FLEX_PROTECT_OFF;
	return call(FLEX_IOC_PROTECT, &on);
}

uint64_t flex_device_recalled(void)
{
	struct flex_ioc_stats stats;

	return call(FLEX_IOC_STATS, &stats) ? 0 : stats.recalled;
}

int flex_device_identify(struct flex_builder *builder)
{
	struct flex_ioc_info info;
	int status = call(FLEX_IOC_INFO, &info);

	if (status == -ENOENT)
		return 0;
	if (status)
		return status;
	flex_build_bytes(builder, FLEX_TAG_MONITOR_ID, info.monitor_id, sizeof(info.monitor_id));
	flex_build_bytes(builder, FLEX_TAG_PAYLOAD_ID, info.payload_id, sizeof(info.payload_id));
	flex_build_number(builder, FLEX_TAG_DEBUG, info.monitor_debug || info.payload_debug);
	flex_build_number(builder, FLEX_TAG_PROTECTION, info.protection);
	return 0;
}

/* Opens the device, and a cached model on it: the device, or -errno. */
static int open_model(const char *model, uint32_t *handle)
{
	struct flex_ioc_model opened = { .mode = FLEX_MODE_FLEXSERVE };
	int device = open(FLEX_DEVICE, O_RDWR | O_CLOEXEC), status = 0;

	if (device < 0)
		return -errno;
	opened.fd = open(model, O_RDONLY | O_CLOEXEC);
	if (opened.fd < 0 || ioctl(device, FLEX_IOC_MODEL, &opened))
		status = -errno;
	if (opened.fd >= 0)
		close(opened.fd);
	if (status)
		close(device);
	*handle = opened.model;
	return status ? status : device;
}

int flex_device_forget(const char *model)
{
	uint32_t handle;
	int device = open_model(model, &handle), status;

	if (device < 0)
		return device;
	status = ioctl(device, FLEX_IOC_MODEL_DROP, &handle) ? -errno : 0;
	close(device);
	return status;
}

static int recall_on(int device, struct flex_ioc_recall *recall, struct flex_builder *builder)
{
	uint64_t begin = flex_ticks(), end;
	int status = ioctl(device, FLEX_IOC_RECALL, recall) ? -errno : 0;

	end = flex_ticks();
	if (status)
		return status;
	flex_build_number(builder, FLEX_TAG_PAGES, recall->pages);
	flex_build_number(builder, FLEX_TAG_TICKS, recall->ticks);
	flex_build_number(builder, FLEX_TAG_SPENT, end - begin);
	return 0;
}

int flex_device_recall(uint64_t pages, const char *model, struct flex_builder *builder)
{
	struct flex_ioc_recall recall = { .pages = pages, .from = model ? FLEX_RECALL_MODEL : FLEX_RECALL_ANY };
	int device, status;

	device = model ? open_model(model, &recall.model) : open(FLEX_DEVICE, O_RDWR | O_CLOEXEC);
	if (device < 0)
		return model ? device : -errno;
	status = recall_on(device, &recall, builder);
	close(device);
	return status;
}

int flex_device_stats(struct flex_builder *builder)
{
	struct flex_ioc_info info;
	struct flex_ioc_stats stats;
	int status = call(FLEX_IOC_INFO, &info);
	const __u64 *counter = (const __u64 *)&stats;

	if (!status)
		status = call(FLEX_IOC_STATS, &stats);
	if (status)
		return status == -ENOENT ? 0 : status;
	for (size_t i = 0; i < sizeof(stats) / sizeof(*counter); i++)
		flex_build_number(builder, FLEX_TAG_COUNTER, counter[i]);
	flex_build_number(builder, FLEX_TAG_INFO, info.slots);
	flex_build_number(builder, FLEX_TAG_INFO, info.quota_pages);
	flex_build_number(builder, FLEX_TAG_INFO, info.secure_pages);
	flex_build_number(builder, FLEX_TAG_INFO, info.recallable_pages);
	flex_build_number(builder, FLEX_TAG_INFO, info.protection);
	return 0;
}

int flex_device_drill(uint32_t kind)
{
	return call(FLEX_IOC_DRILL, &kind);
}

int flex_device_panic(struct flex_builder *builder)
{
	struct flex_ioc_panic panic;
	int status = call(FLEX_IOC_PANIC, &panic);

	if (!status)
		flex_build_bytes(builder, FLEX_TAG_DATA, panic.record, sizeof(panic.record));
	return status;
}
