/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * flxrun -m FILE -p TEXT -n N [-t THREADS] [-c CONTEXT] [--caps N] [--ignore-eos] [--digest] [--json]
 *
 * One line for each token, "T number id hex-of-text ticks" (with --json only the result), then the result, "R {json}" or,
 * with --json, the JSON alone. Exit codes: 0, 1 failed, 2 usage, model or prompt refused.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "linux.h"

struct run {
	struct flx_linux_request request;
	int json;
	int32_t *ids;
};

static int usage(void)
{
	fprintf(stderr, "usage: flxrun -m FILE -p TEXT -n N [-t THREADS] [-c CONTEXT] [--caps N] [--ignore-eos] [--digest] "
			"[--json]\n");
	return 2;
}

/* A whole number in [0, 2^32), or usage. */
static int number(const char *text, uint32_t *to)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno != 0 || *end != 0 || *text < '0' || *text > '9' || value > UINT32_MAX)
		return -1;
	*to = (uint32_t)value;
	return 0;
}

static int read_arguments(struct run *run, int count, char **argument)
{
	struct flx_linux_request *r = &run->request;

	r->threads = 1;
	r->caps = FLX_LINUX_CAPS_DETECT;
	for (int i = 1; i < count; i++) {
		const char *name = argument[i], *value = i + 1 < count ? argument[i + 1] : NULL;
		const struct {
			const char *name;
			uint32_t *to;
		} numbers[] = { { "-n", &r->n_predict }, { "-t", &r->threads }, { "-c", &r->context }, { "--caps", &r->caps } };
		uint32_t *to = NULL;

		if (strcmp(name, "--ignore-eos") == 0) {
			r->ignore_eos = 1;
			continue;
		}
		if (strcmp(name, "--digest") == 0) {
			r->digest = 1;
			continue;
		}
		if (strcmp(name, "--json") == 0) {
			run->json = 1;
			continue;
		}
		if (value == NULL)
			return -1;
		i++;
		for (uint32_t k = 0; k < sizeof(numbers) / sizeof(numbers[0]); k++) {
			if (strcmp(name, numbers[k].name) == 0)
				to = numbers[k].to;
		}
		if (strcmp(name, "-m") == 0)
			r->model = value;
		else if (strcmp(name, "-p") == 0)
			r->prompt = (const uint8_t *)value;
		else if (to == NULL || number(value, to) != 0)
			return -1;
	}
	return r->model != NULL && r->prompt != NULL && r->n_predict > 0 ? 0 : -1;
}

static int on_token(void *ctx, const struct flx_linux_token *token)
{
	struct run *run = ctx;

	run->ids[token->number] = token->id;
	if (run->json)
		return 0;
	printf("T %" PRIu32 " %" PRId32 " ", token->number, token->id);
	for (uint32_t i = 0; i < token->text_bytes; i++)
		printf("%02x", token->text[i]);
	printf("%s %" PRIu64 "\n", token->text_bytes == 0 ? "-" : "", token->ticks);
	fflush(stdout);
	return 0;
}

static void print_ids(const char *name, const int32_t *ids, uint32_t count)
{
	printf("\"%s\":[", name);
	for (uint32_t i = 0; i < count; i++)
		printf("%s%" PRId32, i == 0 ? "" : ",", ids[i]);
	printf("],");
}

static void print_result(const struct run *run, const struct flx_linux_result *result)
{
	printf("%s{", run->json ? "" : "R ");
	print_ids("prompt_ids", result->prompt_ids, result->prompt_tokens);
	print_ids("tokens", run->ids, result->tokens);
	if (run->request.digest)
		printf("\"digest\":\"%016" PRIx64 "\",", result->digest);
	printf("\"finish\":\"%s\",\"ticks_per_second\":%" PRIu64 ",\"submitted\":%" PRIu64 ",\"loaded\":%" PRIu64
	       ",\"prefill_done\":%" PRIu64 ",\"finished\":%" PRIu64 "}\n",
	       result->finish == FLX_LINUX_FINISH_EOS ? "eos" : "length", flx_linux_ticks_per_second(),
	       result->submitted, result->loaded, result->prefill_done, result->finished);
}

int main(int count, char **argument)
{
	struct run run = { 0 };
	struct flx_linux_result result;
	int error;

	if (read_arguments(&run, count, argument) != 0)
		return usage();
	run.request.prompt_bytes = strlen((const char *)run.request.prompt);
	run.ids = calloc(run.request.n_predict, sizeof(*run.ids));
	if (run.ids == NULL)
		return 1;
	error = flx_linux_generate(&run.request, on_token, &run, &result);
	if (error == 0)
		print_result(&run, &result);
	else
		fprintf(stderr, "flxrun: %s\n", result.reason);
	flx_linux_free(&result);
	free(run.ids);
	if (error == 0)
		return 0;
	return error == FLX_E_MODEL || error == FLX_E_PROMPT || error == FLX_E_CONTEXT ? 2 : 1;
}
