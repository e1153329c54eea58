/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <flexkit/uapi.h>

#include "answer.h"
#include "device.h"
#include "measure.h"

/* 0 or -errno. */
static int ask_driver(struct flex_ioc_measure *ask)
{
	int device = open(FLEX_DEVICE, O_RDWR | O_CLOEXEC);
	int status;

	if (device < 0)
		return -errno;
	status = ioctl(device, FLEX_IOC_MEASURE, ask) ? -errno : 0;
	close(device);
	return status;
}

int flex_measure_worker(const struct flex_message *message, int pipe)
{
	static struct flex_builder builder;
	struct flex_ioc_measure ask = {
		.kind = (uint32_t)flex_message_number(message, FLEX_TAG_KIND, UINT32_MAX),
		.count = flex_message_number(message, FLEX_TAG_PAGES, 0),
		.batch = (uint32_t)flex_message_number(message, FLEX_TAG_BATCH, 1),
	};
	int status = ask_driver(&ask);

	if (status)
		return flex_answer_error(pipe, message->request, -status, NULL);
	flex_build(&builder, FLEX_MSG_RESULT, message->request);
	flex_build_number(&builder, FLEX_TAG_SPENT, ask.whole);
	flex_build_number(&builder, FLEX_TAG_SPENT, ask.allocate);
	flex_build_number(&builder, FLEX_TAG_SPENT, ask.secure);
	flex_build_number(&builder, FLEX_TAG_SPENT, ask.recall);
	flex_build_number(&builder, FLEX_TAG_SPENT, ask.free);
	flex_build_number(&builder, FLEX_TAG_SPENT, ask.smmu);
	flex_build_number(&builder, FLEX_TAG_SPENT, ask.scrub);
	flex_answer_send(&builder, pipe);
	return 0;
}
