/* SPDX-License-Identifier: Apache-2.0 */
#include "config/secrets.h"

#include "tests/unit/config_files.h"

#define CREDENTIAL "main.conf:2: the credential of the backend \"a\" in credentials/key-a "

static const struct {
	const char *bytes;
	size_t n;
	mode_t mode;
	const char *line; /* NULL: taken as "sesame" */
} keys[] = {
	{"sesame", 6, 0600, NULL},
	{"sesame\n", 7, 0400, NULL},
	{"sesame\r\n\n", 9, 0640, NULL},
	{"sesame\n", 7, 0604, CREDENTIAL "is open to others; chmod 0600 it"},
	{"sesame\n", 7, 0601, CREDENTIAL "is open to others; chmod 0600 it"},
	{"", 0, 0600, CREDENTIAL "is empty; write the key into it"},
	{"\n", 1, 0600, CREDENTIAL "is empty; write the key into it"},
	{"ses\name", 7, 0600,
	 CREDENTIAL "has a control character in it; write one line with the key"},
	{"ses\0me", 6, 0600,
	 CREDENTIAL "has a control character in it; write one line with the key"},
};

static void expect_key(const char *what)
{
	struct result result;

	load_main(&result);
	is_text(short_error(&result), "", "%s", what);
	is_text(result.config ? result.config->backends[0].authorization : NULL, "Bearer sesame",
		"the header's value");
	done(&result);
}

static void write_main_with_credential(void)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "credentials_directory = \"%s/credentials\";\nbackends = ( { name = \"a\"; "
		 "type = \"openai\"; url = \"https://h\"; credential = \"key-a\"; } );\n",
		 root);
	write_text("main.conf", text);
}

static void test_credentials(void)
{
	static char large[64 * 1024 + 1];

	write_main_with_credential();
	unsetenv("CREDENTIALS_DIRECTORY");
	load_bad(CREDENTIAL "cannot be read: No such file or directory; "
			    "put the key into that file");
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		write_file("credentials/key-a", keys[i].bytes, keys[i].n, keys[i].mode);
		if (keys[i].line)
			load_bad(keys[i].line);
		else
			expect_key("a key");
	}
	memset(large, 'x', sizeof(large));
	write_file("credentials/key-a", large, sizeof(large), 0600);
	load_bad(CREDENTIAL "is larger than 64 KiB; write only the key into it");
	unlink(path_of("credentials/key-a"));
	mkdir(path_of("credentials/key-a"), 0700);
	load_bad(CREDENTIAL "is not a regular file; replace it by one");
	rmdir(path_of("credentials/key-a"));
	if (mkfifo(path_of("credentials/key-a"), 0600) == 0)
		load_bad(CREDENTIAL "is not a regular file; replace it by one");
	unlink(path_of("credentials/key-a"));
}

/* Where the service manager may have put it; the last one is ours. */
static const char *const places[] = {"passed/nexusd/key-a", "passed/nexusd_key-a", "passed/key-a"};

static void test_passed_credentials(void)
{
	setenv("CREDENTIALS_DIRECTORY", path_of("passed"), 1);
	load_bad(CREDENTIAL "cannot be read: No such file or directory; "
			    "put the key into that file and restart the service");
	write_file("passed/key-a", "", 0, 0600);
	load_bad("main.conf:2: the credential of the backend \"a\" in passed/key-a is empty; "
		 "write the key into it");
	unlink(path_of("passed/key-a"));
	write_file("credentials/key-a", "sesame", 6, 0600);
	expect_key("not passed, so from credentials_directory");
	write_file("credentials/key-a", "wrong", 5, 0600);
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		write_file(places[i], "sesame", 6, 0600);
		expect_key(places[i]);
		write_file(places[i], "wrong", 5, 0600);
	}
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		unlink(path_of(places[i]));
	unlink(path_of("credentials/key-a"));
	unsetenv("CREDENTIALS_DIRECTORY");
}

int main(void)
{
	if (!mkdtemp(root))
		return 1;
	make_folder("credentials");
	make_folder("passed");
	make_folder("passed/nexusd");
	test_credentials();
	test_passed_credentials();
	remove_root();
	return tap_done();
}
