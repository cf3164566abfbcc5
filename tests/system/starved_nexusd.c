/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nexusd whose memory runs out when a test says so. The linker leads every allocation of nexusd's
 * own objects here (--wrap), not those of the libraries. $NEXUSD_TEST_STARVE names the file by
 * which the test chooses the call that fails and sees how many there were.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/daemon.h"

struct control {
	_Atomic uint64_t fail_at; /* counted from 1; 0: none fails, none is counted */
	_Atomic uint64_t n_calls;
};

static struct control *control;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t n);
void *__real_reallocarray(void *old, size_t n, size_t size);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t n);
void *__wrap_reallocarray(void *old, size_t n, size_t size);

static bool is_starved(void)
{
	uint64_t fail_at = control ? control->fail_at : 0;

	if (!fail_at || ++control->n_calls != fail_at)
		return false;
	errno = ENOMEM;
	return true;
}

void *__wrap_malloc(size_t n)
{
	return is_starved() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return is_starved() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t n)
{
	return is_starved() ? NULL : __real_realloc(old, n);
}

void *__wrap_reallocarray(void *old, size_t n, size_t size)
{
	return is_starved() ? NULL : __real_reallocarray(old, n, size);
}

static int map_control(const char *path)
{
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *page;

	if (fd < 0)
		return -1;
	page = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (page == MAP_FAILED)
		return -1;
	control = page;
	return 0;
}

int main(int argc, char **argv)
{
	struct daemon_options options = {0};

	if (argc != 3 || strcmp(argv[1], "-c") != 0 ||
	    map_control(getenv("NEXUSD_TEST_STARVE")) < 0)
		return 2;
	options.config_path = argv[2];
	log_init(LOG_JOURNAL_SOCKET);
	return daemon_run(&options);
}
