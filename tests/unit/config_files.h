/* SPDX-License-Identifier: Apache-2.0 */
/* A directory that is made for the test and removed by it, with a configuration in it. */
#pragma once

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/config_fixture.h"

static char root[] = "/tmp/test_config.XXXXXX";

UNUSED static const char *path_of(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	return path;
}

UNUSED static void write_file(const char *name, const char *text, size_t n, mode_t mode)
{
	int fd;

	/* One that is there may be read-only. */
	unlink(path_of(name));
	fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, text, n) != (ssize_t)n || fchmod(fd, mode) < 0)
		printf("Bail out! cannot write %s\n", name);
	close(fd);
}

UNUSED static void write_text(const char *name, const char *text)
{
	write_file(name, text, strlen(text), 0644);
}

UNUSED static void make_folder(const char *name)
{
	if (mkdir(path_of(name), 0700) < 0)
		printf("Bail out! cannot make %s\n", name);
}

static int remove_one(const char *path, UNUSED const struct stat *status, UNUSED int type,
		      UNUSED struct FTW *place)
{
	return remove(path);
}

UNUSED static void remove_root(void)
{
	if (nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS) != 0)
		printf("# cannot remove %s\n", root);
}

UNUSED static void load(struct result *result, const char *path)
{
	*result = (struct result){0};
	buf_init(&result->error, 4096);
	result->r = config_load(path, &result->config, &result->error);
}

UNUSED static void load_main(struct result *result)
{
	load(result, path_of("main.conf"));
}

/* The error with the directory's name taken out. */
UNUSED static const char *short_error(struct result *result)
{
	const char *text = error_of(result);
	static char out[CONFIG_PLACE_MAX + 1024];
	size_t n = strlen(root) + 1, len = 0;

	while (*text && len + 1 < sizeof(out)) {
		if (strncmp(text, root, strlen(root)) == 0 && text[strlen(root)] == '/')
			text += n;
		else
			out[len++] = *text++;
	}
	out[len] = '\0';
	return out;
}

UNUSED static void load_bad(const char *line)
{
	struct result result;

	load_main(&result);
	is_text(short_error(&result), line, "%s", line);
	ok(result.r == -EINVAL && !result.config, "and nothing else");
	done(&result);
}
