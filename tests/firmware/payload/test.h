/* SPDX-License-Identifier: BSD-3-Clause */
/* Each test runs in a process of its own, so that it starts with the service's memory zeroed, as after a boot. */
#ifndef TEST_H
#define TEST_H

#include <sys/wait.h>
#include <unistd.h>

#include "fake.h"

struct test {
	const char *name;
	void (*run)(void);
};

#define TEST(name) { #name, name }

static inline int run_tests(const struct test *tests, size_t count)
{
	int failed = 0;

	for (size_t i = 0; i < count; i++) {
		int status = 0;
		pid_t pid;

		fflush(stdout);
		pid = fork();
		if (pid == 0) {
			fake_reset();
			tests[i].run();
			exit(0);
		}
		waitpid(pid, &status, 0);
		printf("%s %s\n", status ? "FAILED" : "ok    ", tests[i].name);
		failed += status != 0;
	}
	return failed != 0;
}

#endif
