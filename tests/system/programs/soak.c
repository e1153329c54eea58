// SPDX-License-Identifier: BSD-3-Clause
/*
 * soak ROUNDS SEED MODEL: what Linux may do to secure memory, at random, while others compute with it. A round donates
 * and takes back pages that nobody claims, pins pages of MODEL by a prompt that is given up somewhere in its middle,
 * recalls pages of any model, or releases all of MODEL. Every 20th round memory is compacted, every 100th core 1 goes
 * and comes back. Ends with one line of counts; 1 and a reason as soon as anything fails that must not.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <flexkit/mailbox.h>
#include <flexkit/uapi.h>

#define DEVICE "/dev/flexserve"
#define COMPACT "/proc/sys/vm/compact_memory"
#define CORE "/sys/devices/system/cpu/cpu1/online"
#define PAGES 1024u /* of one round's donation */

struct soak {
	const char *model;
	uint64_t random;
	int device; /* for what needs no client of its own */
};

/* Marsaglia's xorshift64: the same rounds for the same seed. Below `below`. */
static uint64_t draw(struct soak *soak, uint64_t below)
{
	soak->random ^= soak->random << 13;
	soak->random ^= soak->random >> 7;
	soak->random ^= soak->random << 17;
	return soak->random % below;
}

/* Small and large numbers alike: up to 2^bits. */
static uint64_t draw_size(struct soak *soak, unsigned int bits)
{
	return 1 + draw(soak, 1ull << draw(soak, bits + 1));
}

static int write_word(const char *path, const char *word)
{
	int file = open(path, O_WRONLY | O_CLOEXEC);
	int status = file < 0 || write(file, word, strlen(word)) < 0 ? -errno : 0;

	if (file >= 0)
		close(file);
	return status;
}

static int donate(struct soak *soak)
{
	struct flex_ioc_measure ask = {
		.kind = FLEX_MEASURE_PAGES,
		.batch = (__u32)(1 + draw(soak, FLEX_MAILBOX_ENTRIES)),
		.count = 1 + draw(soak, PAGES),
	};

	return ioctl(soak->device, FLEX_IOC_MEASURE, &ask) && errno != ENOMEM ? -errno : 0;
}

static int recall(struct soak *soak)
{
	struct flex_ioc_recall ask = { .pages = draw_size(soak, 12) };

	return ioctl(soak->device, FLEX_IOC_RECALL, &ask) ? -errno : 0;
}

/* A client of its own with the model open; its descriptor, or -errno. */
static int open_model(const struct soak *soak, struct flex_ioc_model *model)
{
	int device = open(DEVICE, O_RDWR | O_CLOEXEC), status = 0;

	model->mode = FLEX_MODE_FLEXSERVE;
	model->fd = open(soak->model, O_RDONLY | O_CLOEXEC);
	if (device < 0 || model->fd < 0 || ioctl(device, FLEX_IOC_MODEL, model))
		status = -errno;
	if (model->fd >= 0)
		close(model->fd);
	if (status && device >= 0)
		close(device);
	return status ? status : device;
}

/* Memory may be short, by what the other rounds do; the secure world may not fail. */
static int without_memory(int status)
{
	return status == -ENOMEM ? 0 : status;
}

static int pin(struct soak *soak)
{
	static const char prompt[] = "Once upon a time";
	struct flex_ioc_model model = { 0 };
	int device = open_model(soak, &model), status = 0;
	struct flex_ioc_generate ask = {
		.model = model.model, .threads = 1, .context = 64, .n_predict = 4,
		.prompt = (uintptr_t)prompt, .prompt_bytes = sizeof(prompt) - 1,
	};
	struct flex_event event;

	if (device < 0)
		return without_memory(device);
	if (ioctl(device, FLEX_IOC_GENERATE, &ask))
		status = -errno;
	for (uint64_t tokens = draw(soak, 3); !status && tokens; tokens--)
		if (read(device, &event, sizeof(event)) == sizeof(event) && event.type == FLEX_EVENT_ERROR)
			status = event.value;
	close(device);
	return without_memory(status);
}

static int release(struct soak *soak)
{
	struct flex_ioc_model model = { 0 };
	int device = open_model(soak, &model), status = 0;

	if (device < 0)
		return without_memory(device);
	if (ioctl(device, FLEX_IOC_MODEL_DROP, &model.model) && errno != EBUSY)
		status = -errno;
	close(device);
	return status;
}

static int compact(struct soak *soak)
{
	(void)soak;
	return write_word(COMPACT, "1");
}

static int flap(struct soak *soak)
{
	int status = write_word(CORE, "0");

	(void)soak;
	return status ? status : write_word(CORE, "1");
}

static struct action {
	const char *name;
	int (*run)(struct soak *soak);
	unsigned int weight; /* of 16 rounds */
	unsigned int every;  /* or: each so many rounds, beside what the round does */
	unsigned long done;
} actions[] = {
	{ "donated", donate, 5, 0, 0 }, { "recalled", recall, 7, 0, 0 },   { "pinned", pin, 3, 0, 0 },
	{ "released", release, 1, 0, 0 }, { "compacted", compact, 0, 20, 0 }, { "flapped", flap, 0, 100, 0 },
};
#define WEIGHTS 16
#define ACTIONS (sizeof(actions) / sizeof(actions[0]))

static void run(struct soak *soak, struct action *action, unsigned long round)
{
	int status = action->run(soak);

	action->done++;
	if (!status)
		return;
	printf("round %lu: %s: %s\n", round, action->name, strerror(-status));
	exit(1);
}

static void run_round(struct soak *soak, unsigned long round)
{
	uint64_t choice = draw(soak, WEIGHTS);

	for (size_t i = 0; i < ACTIONS; i++) {
		if (choice < actions[i].weight)
			run(soak, &actions[i], round);
		choice -= actions[i].weight; /* below 0 it is as large as can be */
		if (actions[i].every && round % actions[i].every == 0)
			run(soak, &actions[i], round);
	}
}

int main(int argc, char **argv)
{
	struct soak soak = { .device = open(DEVICE, O_RDWR | O_CLOEXEC) };
	unsigned long rounds;

	if (argc != 4 || soak.device < 0) {
		fprintf(stderr, "usage: soak ROUNDS SEED MODEL, on a board with " DEVICE "\n");
		return 2;
	}
	rounds = strtoul(argv[1], NULL, 10);
	soak.random = strtoull(argv[2], NULL, 10) | 1; /* 0 would stay 0 */
	soak.model = argv[3];
	for (unsigned long round = 1; round <= rounds; round++)
		run_round(&soak, round);
	for (size_t i = 0; i < ACTIONS; i++)
		printf("%s=%lu ", actions[i].name, actions[i].done);
	puts("");
	return 0;
}
