// SPDX-License-Identifier: BSD-3-Clause
/*
 * converse MODEL CONTEXT: a client of /dev/flexserve with one conversation, led by lines of standard input. Each line is
 * answered by one line, "ok" or "error ERRNO" first:
 *
 *   begin TOKENS TEXT   ok KEPT OPENED RECOMPUTED PROMPT_IDS... : TOKENS...
 *   turn TOKENS TEXT    the same; the conversation goes on
 *   store PATH          ok BYTES: the conversation may be put aside there
 *   seal                ok BYTES: it is
 *   recall              ok PAGES: Linux takes all that is not pinned
 *   drop                ok: the model is forgotten
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <flexkit/payload.h>
#include <flexkit/uapi.h>

struct client {
	int device;
	__u32 context;
	struct flex_ioc_model model;
	__s32 tokens[FLEX_PROMPT_IDS], prompt[FLEX_PROMPT_IDS];
	__u32 count;
};

static int done(int status)
{
	return status < 0 ? -errno : 0;
}

/* Until the end of a prompt: 0 or the error. */
static int follow(struct client *client)
{
	struct flex_event event;

	for (client->count = 0; read(client->device, &event, sizeof(event)) == sizeof(event);) {
		if (event.type == FLEX_EVENT_TOKEN)
			client->tokens[client->count++] = event.value;
		else if (event.type == FLEX_EVENT_ERROR)
			return event.value;
		else if (event.type == FLEX_EVENT_DONE)
			return 0;
	}
	return -EPIPE;
}

static void print_ids(const __s32 *ids, __u32 count)
{
	for (__u32 i = 0; i < count; i++)
		printf(" %d", ids[i]);
}

static int generate(struct client *client, const char *words, __u32 flags)
{
	char *text;
	struct flex_ioc_generate ask = {
		.model = client->model.model, .threads = 2, .context = client->context,
		.n_predict = (__u32)strtoul(words, &text, 10), .flags = flags | FLEX_GENERATE_IGNORE_EOS,
	};
	struct flex_ioc_result result = { .prompt_ids = (__u64)client->prompt, .prompt_ids_max = FLEX_PROMPT_IDS };
	int status;

	ask.prompt = (__u64)(text + 1);
	ask.prompt_bytes = (__u32)strlen(text + 1);
	status = done(ioctl(client->device, FLEX_IOC_GENERATE, &ask));
	if (!status)
		status = follow(client);
	if (!status)
		status = done(ioctl(client->device, FLEX_IOC_RESULT, &result));
	if (status)
		return status;
	printf("ok %u %u %u", result.kept, result.opened, result.recomputed);
	print_ids(client->prompt, result.prompt_tokens);
	printf(" :");
	print_ids(client->tokens, client->count);
	return 0;
}

static int begin(struct client *client, const char *words)
{
	return generate(client, words, FLEX_GENERATE_KEEP);
}

static int turn(struct client *client, const char *words)
{
	return generate(client, words, FLEX_GENERATE_CONTINUE);
}

/* Written once, so that nothing has to be allocated later. */
static int fill(int file, __u64 bytes)
{
	static const char zeroes[4096];

	for (__u64 at = 0; at < bytes; at += sizeof(zeroes))
		if (pwrite(file, zeroes, sizeof(zeroes), (off_t)at) != sizeof(zeroes))
			return -EIO;
	return done(fsync(file));
}

static int store(struct client *client, const char *path)
{
	struct flex_ioc_store ask = { .fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) };
	int status = done(ask.fd);

	if (status)
		return status;
	/* Too small, it says how large it has to be. */
	status = done(ioctl(client->device, FLEX_IOC_STORE, &ask));
	if (status == -ENOSPC)
		status = fill(ask.fd, ask.bytes);
	if (!status)
		status = done(ioctl(client->device, FLEX_IOC_STORE, &ask));
	close(ask.fd);
	if (!status)
		printf("ok %llu", (unsigned long long)ask.bytes);
	return status;
}

static int seal(struct client *client, const char *words)
{
	__u64 bytes;
	int status = done(ioctl(client->device, FLEX_IOC_SEAL, &bytes));

	(void)words;
	if (!status)
		printf("ok %llu", (unsigned long long)bytes);
	return status;
}

static int recall(struct client *client, const char *words)
{
	struct flex_ioc_recall ask = { .pages = 1u << 20 };
	int status = done(ioctl(client->device, FLEX_IOC_RECALL, &ask));

	(void)words;
	if (!status)
		printf("ok %llu", (unsigned long long)ask.pages);
	return status;
}

static int drop(struct client *client, const char *words)
{
	int status = done(ioctl(client->device, FLEX_IOC_MODEL_DROP, &client->model.model));

	(void)words;
	if (!status)
		printf("ok");
	return status;
}

static const struct command {
	const char *name;
	int (*run)(struct client *client, const char *words);
} commands[] = {
	{ "begin", begin }, { "turn", turn }, { "store", store }, { "seal", seal }, { "recall", recall }, { "drop", drop },
};

static int run_line(struct client *client, char *line)
{
	char *words = strchr(line, ' ');

	if (words)
		*words++ = 0;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(commands[i].name, line))
			return commands[i].run(client, words ? words : "");
	return -ENOSYS;
}

int main(int argc, char **argv)
{
	static struct client client;
	char *line = NULL;
	size_t room = 0;
	ssize_t bytes;

	client.device = open("/dev/flexserve", O_RDWR | O_CLOEXEC);
	client.model.fd = argc == 3 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
	if (client.device < 0 || client.model.fd < 0 || ioctl(client.device, FLEX_IOC_MODEL, &client.model)) {
		perror("converse MODEL CONTEXT");
		return 2;
	}
	client.context = (__u32)strtoul(argv[2], NULL, 10);
	while ((bytes = getline(&line, &room, stdin)) > 0) {
		int status;

		line[bytes - (line[bytes - 1] == '\n')] = 0;
		status = run_line(&client, line);
		if (status)
			printf("error %d", -status);
		printf("\n");
		fflush(stdout);
	}
	return 0;
}
