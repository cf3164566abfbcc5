/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nexusd whose resolver reads $NEXUSD_TEST_HOSTS, lines of "name address address ...", anew for
 * each question: names come and go as a test writes them. The linker leads nexusd's own calls of
 * getaddrinfo(3) here (--wrap), not those of libcurl.
 */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "daemon/daemon.h"

int __real_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
		       struct addrinfo **ret_found);
int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
		       struct addrinfo **ret_found);

/* The C library's freeaddrinfo() frees a list link by link, whoever made it one. */
static int list_addresses(struct str words, const char *port, const struct addrinfo *hints,
			  struct addrinfo **ret_found)
{
	struct addrinfo *found = NULL, **end = &found;
	int r = EAI_NONAME;

	while (words.p) {
		char *word = str_dup(str_split(&words, ' '));

		r = word ? __real_getaddrinfo(word, port, hints, end) : EAI_MEMORY;
		free(word);
		if (r != 0)
			break;
		end = &(*end)->ai_next;
	}
	if (r == 0)
		*ret_found = found;
	else if (found)
		freeaddrinfo(found);
	return r;
}

static int look_up(FILE *file, const char *host, const char *port, const struct addrinfo *hints,
		   struct addrinfo **ret_found)
{
	char line[1024];

	while (fgets(line, sizeof(line), file)) {
		struct str words = {line, strcspn(line, "\n")};

		if (str_eq(str_split(&words, ' '), str_of(host)))
			return list_addresses(words, port, hints, ret_found);
	}
	return EAI_NONAME;
}

int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
		       struct addrinfo **ret_found)
{
	FILE *file;
	int r;

	/* What is written in digits is no name. */
	if (strspn(host, "0123456789.") == strlen(host))
		return __real_getaddrinfo(host, port, hints, ret_found);
	file = fopen(getenv("NEXUSD_TEST_HOSTS"), "re");
	if (!file)
		return EAI_AGAIN;
	r = look_up(file, host, port, hints, ret_found);
	fclose(file);
	return r;
}

int main(int argc, char **argv)
{
	struct daemon_options options = {.argv = argv};

	if (argc != 3 || strcmp(argv[1], "-c") != 0)
		return 2;
	options.config_path = argv[2];
	log_init(LOG_JOURNAL_SOCKET);
	return daemon_run(&options);
}
