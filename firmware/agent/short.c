/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "clock.h"
#include "device.h"
#include "short.h"

#define ROOTFS_ID "/etc/flexkit/rootfs.id"

/* Adds the first line of a small file, if there is one. */
static void build_file(struct flex_builder *builder, uint8_t tag, const char *path)
{
	char line[256];
	FILE *file = fopen(path, "re");

	if (!file)
		return;
	if (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = 0;
		flex_build_text(builder, tag, line);
	}
	fclose(file);
}

/*
 * Answers to short requests. Each adds its fields to the RESULT that is under construction and returns 0, or a
 * negative errno: the answer is then an ERROR.
 */
static int answer_identify(const struct flex_message *message, struct flex_builder *builder)
{
	struct utsname name;
	char text[5 * sizeof(name.release)];

	(void)message;
	uname(&name);
	snprintf(text, sizeof(text), "%s %s %s %s", name.sysname, name.release, name.version, name.machine);
	flex_build_text(builder, FLEX_TAG_AGENT_ID, FLEX_BUILD_ID_HEX);
	flex_build_text(builder, FLEX_TAG_UNAME, text);
	build_file(builder, FLEX_TAG_ROOTFS_ID, ROOTFS_ID);
	build_file(builder, FLEX_TAG_BOOT_ID, "/proc/sys/kernel/random/boot_id");
	flex_build_number(builder, FLEX_TAG_CORES, (uint64_t)sysconf(_SC_NPROCESSORS_ONLN));
	flex_build_number(builder, FLEX_TAG_COUNTER_HZ, flex_ticks_per_second());
	flex_build_number(builder, FLEX_TAG_TICKS, flex_ticks());
	return flex_device_identify(builder);
}

static int answer_ping(const struct flex_message *message, struct flex_builder *builder)
{
	struct flex_field data = { 0 };

	if (flex_message_find(message, FLEX_TAG_DATA, &data))
		flex_build_bytes(builder, FLEX_TAG_DATA, data.bytes, data.count);
	flex_build_number(builder, FLEX_TAG_TICKS, flex_ticks());
	return 0;
}

static int answer_stat(const struct flex_message *message, struct flex_builder *builder)
{
	char path[1024];
	struct stat status;

	if (!flex_message_text(message, FLEX_TAG_PATH, path, sizeof(path)))
		return -EINVAL;
	if (stat(path, &status))
		return -errno;
	flex_build_number(builder, FLEX_TAG_SIZE, (uint64_t)status.st_size);
	flex_build_number(builder, FLEX_TAG_MODE, status.st_mode);
	flex_build_number(builder, FLEX_TAG_MTIME, (uint64_t)status.st_mtime);
	return 0;
}

static int answer_forget(const struct flex_message *message, struct flex_builder *builder)
{
	char path[1024];

	(void)builder;
	if (!flex_message_text(message, FLEX_TAG_MODEL, path, sizeof(path)))
		return -EINVAL;
	return flex_device_forget(path);
}

static int answer_protect(const struct flex_message *message, struct flex_builder *builder)
{
	(void)builder;
	return flex_device_protect((uint32_t)flex_message_number(message, FLEX_TAG_ON, 0));
}

static int answer_recall(const struct flex_message *message, struct flex_builder *builder)
{
	uint64_t pages = flex_message_number(message, FLEX_TAG_PAGES, 0);
	struct flex_field named = { 0 };
	char path[1024];

	if (!flex_message_find(message, FLEX_TAG_MODEL, &named))
		return flex_device_recall(pages, NULL, builder);
	if (!flex_message_text(message, FLEX_TAG_MODEL, path, sizeof(path)))
		return -EINVAL;
	return flex_device_recall(pages, path, builder);
}

static int answer_stats(const struct flex_message *message, struct flex_builder *builder)
{
	(void)message;
	return flex_device_stats(builder);
}

static int answer_drill(const struct flex_message *message, struct flex_builder *builder)
{
	(void)builder;
	return flex_device_drill((uint32_t)flex_message_number(message, FLEX_TAG_KIND, 0));
}

static int answer_panic(const struct flex_message *message, struct flex_builder *builder)
{
	(void)message;
	return flex_device_panic(builder);
}

static const struct {
	uint8_t type;
	flex_short answer;
} answers[] = {
	{ FLEX_MSG_IDENTIFY, answer_identify },
	{ FLEX_MSG_PING, answer_ping },
	{ FLEX_MSG_STAT, answer_stat },
	{ FLEX_MSG_FORGET, answer_forget },
	{ FLEX_MSG_PROTECT, answer_protect },
	{ FLEX_MSG_RECALL, answer_recall },
	{ FLEX_MSG_STATS, answer_stats },
	{ FLEX_MSG_DRILL, answer_drill },
	{ FLEX_MSG_PANIC, answer_panic },
};

flex_short flex_short_find(uint8_t type)
{
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		if (answers[i].type == type)
			return answers[i].answer;
	return NULL;
}
