/* SPDX-License-Identifier: Apache-2.0 */
/* Where a configuration comes from: the main file, conf.d beside it, the environment. */
#include "config/config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/i18n.h"
#include "config/config_draft.h"
#include "config/config_error.h"
#include "config/config_text.h"
#include "config/schema_set.h"
#include "config/secrets.h"

#ifndef NEXUSD_SYSCONFDIR
#define NEXUSD_SYSCONFDIR "/etc/nexusd"
#endif

#define DEFAULT_FILE NEXUSD_SYSCONFDIR "/nexusd.conf"
#define SUFFIX       ".conf"

enum { FILES_MAX = 1000, VARIABLE_MAX = OPTION_NAME_MAX + 8 };

static int refuse_file(const struct config_draft *draft, const char *name, int reason,
		       const char *advice)
{
	const struct config_origin origin = {name, 0};

	return config_error(draft->error, origin, "cannot be read: %s; %s", strerror(reason),
			    _(advice));
}

/* One byte above the ceiling is read, too, so that config_text_read() sees it is too much. */
static int read_stream(const struct config_draft *draft, const char *name, int fd, struct buf *text)
{
	const size_t step = 16384;

	while (text->len <= CONFIG_TEXT_MAX) {
		char *tail;
		ssize_t n;

		if (buf_reserve(text, step, &tail) < 0)
			return config_error_memory(draft->error);
		n = read(fd, tail, step);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return refuse_file(draft, name, errno, "name a readable file");
		if (n == 0)
			break;
		buf_commit(text, (size_t)n);
	}
	return 0;
}

/* A pipe would hang the start or, worse, a reload; /dev/null is a way to say "no file". */
static int check_kind(const struct config_draft *draft, const char *name, int fd)
{
	const struct config_origin origin = {name, 0};
	struct stat status;

	if (fstat(fd, &status) < 0)
		return refuse_file(draft, name, errno, "name a readable file");
	if (!S_ISREG(status.st_mode) && !S_ISCHR(status.st_mode))
		return config_error(draft->error, origin, "not a regular file; name one");
	return 0;
}

static int read_file(struct config_draft *draft, const char *path)
{
	struct buf text;
	const char *name;
	int fd, r = config_draft_name(draft, path, &name);

	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return refuse_file(draft, name, errno, "name a readable file");
	buf_init(&text, CONFIG_TEXT_MAX + (1 << 16));
	r = check_kind(draft, name, fd);
	if (r == 0)
		r = read_stream(draft, name, fd, &text);
	if (r == 0)
		r = config_text_read(draft, name, buf_str(&text));
	buf_done(&text);
	close(fd);
	return r;
}

static int is_fragment(const struct dirent *entry)
{
	size_t n = strlen(entry->d_name), suffix = strlen(SUFFIX);

	return entry->d_name[0] != '.' && n > suffix &&
	       strcmp(entry->d_name + n - suffix, SUFFIX) == 0;
}

/* By bytes: the order must not depend on who starts nexusd in which locale. */
static int compare_names(const struct dirent **one, const struct dirent **other)
{
	return strcmp((*one)->d_name, (*other)->d_name);
}

static int read_fragment(struct config_draft *draft, const char *directory, const char *name)
{
	char *path;
	int r;

	if (asprintf(&path, "%s/%s", directory, name) < 0)
		return config_error_memory(draft->error);
	r = read_file(draft, path);
	free(path);
	return r;
}

static int read_directory(struct config_draft *draft, const char *directory)
{
	const struct config_origin origin = {directory, 0};
	struct dirent **entries;
	int n = scandir(directory, &entries, is_fragment, compare_names), r = 0;

	if (n < 0)
		return errno == ENOENT || errno == ENOTDIR
			       ? 0
			       : refuse_file(draft, directory, errno, "make it readable");
	if (n > FILES_MAX)
		r = config_error(draft->error, origin, "holds more than %d files; join some",
				 FILES_MAX);
	for (int i = 0; i < n; i++) {
		if (r == 0)
			r = read_fragment(draft, directory, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return r;
}

static int read_fragments(struct config_draft *draft, const char *main_file)
{
	const char *slash = strrchr(main_file, '/');
	char *directory;
	int r;

	r = slash ? asprintf(&directory, "%.*s/conf.d", (int)(slash - main_file), main_file)
		  : asprintf(&directory, "conf.d");
	if (r < 0)
		return config_error_memory(draft->error);
	r = read_directory(draft, directory);
	free(directory);
	return r;
}

static int read_variable(struct config_draft *draft, const struct option *option,
			 const char *variable)
{
	struct config_value value = {.kind = VALUE_TEXT, .text = getenv(variable)};
	size_t index = schema_index(option);
	char *name;

	/* Empty is how a composed environment says "not set". */
	if (!value.text || !*value.text)
		return 0;
	if (asprintf(&name, _("environment %s"), variable) < 0)
		return config_error_memory(draft->error);
	free(draft->variables[index]);
	draft->variables[index] = name;
	value.origin.file = name;
	draft->given[index] = value.origin;
	return schema_set(option, draft->config, &value, draft->error);
}

static void variable_of(const struct option *option, char variable[static VARIABLE_MAX])
{
	int n = snprintf(variable, VARIABLE_MAX, "NEXUSD_%s", option->path);

	for (int i = 0; i < n; i++) {
		if (variable[i] == '.')
			variable[i] = '_';
		else if (variable[i] >= 'a' && variable[i] <= 'z')
			variable[i] = (char)(variable[i] - 'a' + 'A');
	}
}

/* The names that other gateways use come first, so that ours win. */
static int read_environment(struct config_draft *draft)
{
	static const struct {
		const char *variable, *option;
	} customary[] = {
		{"METRICS_ENABLED", "metrics.enabled"},
		{"METRICS_PATH", "metrics.path"},
	};
	char variable[VARIABLE_MAX];
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(customary); i++)
		r = read_variable(draft, schema_find(SCOPE_ROOT, str_of(customary[i].option)),
				  customary[i].variable);
	for (size_t i = 0; r == 0 && i < SCHEMA_COUNT; i++) {
		const struct option *option = schema_at(i);

		if (option->scope != SCOPE_ROOT || !schema_is_scalar(option))
			continue;
		variable_of(option, variable);
		r = read_variable(draft, option, variable);
	}
	return r;
}

static int read_sources(struct config_draft *draft, const char *path)
{
	const char *main_file = path ? path : DEFAULT_FILE;
	int r = 0;

	if (path || access(main_file, F_OK) == 0)
		r = read_file(draft, main_file);
	if (r == 0)
		r = read_fragments(draft, main_file);
	return r < 0 ? r : read_environment(draft);
}

/* What is wrong with it; NULL: nothing. libcurl reads it on a loop's thread, which a pipe would
 * stop for good. */
static const char *find_fault(const char *path)
{
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	const char *fault = NULL;

	if (fd < 0 || fstat(fd, &status) < 0)
		fault = strerror(errno);
	else if (!S_ISREG(status.st_mode))
		fault = _("it is not a regular file");
	if (fd >= 0)
		close(fd);
	return fault;
}

/* Found at the first handshake otherwise, when nobody looks at the configuration any more. */
static int check_ca_files(const struct config *config, struct buf *error)
{
	for (size_t i = 0; i < config->n_backends; i++) {
		const struct backend_config *backend = &config->backends[i];
		const char *fault = backend->ca_file ? find_fault(backend->ca_file) : NULL;

		if (fault)
			return config_error(error, backend->origin,
					    "the ca_file of the backend \"%s\" cannot be read: %s; "
					    "name a readable file",
					    backend->name, fault);
	}
	return 0;
}

int config_load(const char *path, struct config **ret_config, struct buf *error)
{
	struct config_draft draft;
	int r = config_draft_init(&draft, error);

	if (r < 0)
		return r;
	r = read_sources(&draft, path);
	if (r == 0)
		r = config_draft_complete(&draft);
	if (r == 0)
		r = check_ca_files(draft.config, error);
	if (r == 0)
		r = secrets_load(draft.config, error);
	if (r == 0)
		*ret_config = config_draft_take(&draft);
	config_draft_done(&draft);
	return r;
}

int config_parse_text(const char *name, struct str text, struct config **ret_config,
		      struct buf *error)
{
	struct config_draft draft;
	const char *kept;
	int r = config_draft_init(&draft, error);

	if (r < 0)
		return r;
	r = config_draft_name(&draft, name, &kept);
	if (r == 0)
		r = config_text_read(&draft, kept, text);
	if (r == 0)
		r = config_draft_complete(&draft);
	if (r == 0)
		*ret_config = config_draft_take(&draft);
	config_draft_done(&draft);
	return r;
}
