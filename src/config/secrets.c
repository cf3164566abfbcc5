/* SPDX-License-Identifier: Apache-2.0 */
#include "config/secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/i18n.h"
#include "base/str.h"
#include "config/config_error.h"

enum { SECRET_MAX_BYTES = 64 * 1024 };

#define SCHEME "Bearer "

char *secrets_free(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
	return NULL;
}

/* `path` is what it tried. */
static int open_at(const char *directory, const char *infix, const char *name,
		   char path[static PATH_MAX], int *ret_fd)
{
	int fd;

	if (snprintf(path, PATH_MAX, "%s/%s%s", directory, infix, name) >= PATH_MAX)
		return -ENAMETOOLONG;
	/* Not blocking, in case it is a pipe. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

/*
 * The service manager's directory first. A whole directory loaded as credential "nexusd" arrives
 * as files nexusd_NAME (systemd.exec(5), LoadCredential=).
 */
static int open_secret(const struct config *config, const char *name, char path[static PATH_MAX],
		       int *ret_fd)
{
	static const char *const infixes[] = {"", "nexusd_", "nexusd/"};
	const char *passed = getenv("CREDENTIALS_DIRECTORY");

	for (size_t i = 0; passed && *passed && i < ARRAY_SIZE(infixes); i++) {
		int r = open_at(passed, infixes[i], name, path, ret_fd);

		if (r != -ENOENT && r != -ENOTDIR)
			return r;
	}
	return open_at(config->credentials_directory, "", name, path, ret_fd);
}

/* Up to `max` bytes; one more tells the caller that there is more. */
static int read_all(int fd, char *bytes, size_t max, size_t *ret_len)
{
	size_t len = 0;

	while (len < max) {
		ssize_t n = read(fd, bytes + len, max - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	*ret_len = len;
	return 0;
}

static const char *file_check(int fd)
{
	struct stat status;

	if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
		return N_("is not a regular file; replace it by one");
	if (status.st_mode & S_IRWXO)
		return N_("is open to others; chmod 0600 it");
	return NULL;
}

/* Cuts the newlines at the end, which every editor makes. */
static const char *text_check(const char *text, size_t *len)
{
	while (*len && (text[*len - 1] == '\n' || text[*len - 1] == '\r'))
		(*len)--;
	if (*len == 0)
		return N_("is empty; write the key into it");
	for (size_t i = 0; i < *len; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7F)
			return N_("has a control character in it; write one line with the key");
	return NULL;
}

/* *ret_wrong is what is said about the file when -EINVAL. */
static int read_secret(int fd, char *bytes, char **ret_secret, const char **ret_wrong)
{
	const size_t scheme = strlen(SCHEME);
	size_t len = 0;
	int r;

	*ret_wrong = file_check(fd);
	if (*ret_wrong)
		return -EINVAL;
	r = read_all(fd, bytes, SECRET_MAX_BYTES + 1, &len);
	if (r < 0)
		return r;
	*ret_wrong = len > SECRET_MAX_BYTES
			     ? N_("is larger than 64 KiB; write only the key into it")
			     : text_check(bytes, &len);
	if (*ret_wrong)
		return -EINVAL;
	*ret_secret = malloc(scheme + len + 1);
	if (!*ret_secret)
		return -ENOMEM;
	memcpy(*ret_secret, SCHEME, scheme);
	memcpy(*ret_secret + scheme, bytes, len);
	(*ret_secret)[scheme + len] = '\0';
	return 0;
}

static int load_one(const struct config *config, struct backend_config *backend, char *bytes,
		    struct buf *error)
{
	const char *wrong = NULL;
	char path[PATH_MAX];
	int fd = -1, r = open_secret(config, backend->credential, path, &fd);

	if (r == 0) {
		r = read_secret(fd, bytes, &backend->authorization, &wrong);
		close(fd);
	}
	if (r == 0)
		return 0;
	if (r == -ENOMEM)
		return config_error_memory(error);
	if (wrong)
		return config_error(error, backend->origin,
				    "the credential of the backend \"%s\" in %s %s", backend->name,
				    path, _(wrong));
	/* The service manager's copies are made at a start, from a place that only it can read. */
	return config_error(error, backend->origin,
			    "the credential of the backend \"%s\" in %s cannot be read: %s; "
			    "put the key into that file%s",
			    backend->name, path, strerror(-r),
			    getenv("CREDENTIALS_DIRECTORY") ? _(" and restart the service") : "");
}

int secrets_load(struct config *config, struct buf *error)
{
	char *bytes = malloc(SECRET_MAX_BYTES + 1);
	int r = 0;

	if (!bytes)
		return config_error_memory(error);
	for (size_t i = 0; r == 0 && i < config->n_backends; i++)
		if (config->backends[i].credential)
			r = load_one(config, &config->backends[i], bytes, error);
	explicit_bzero(bytes, SECRET_MAX_BYTES + 1);
	free(bytes);
	return r;
}
