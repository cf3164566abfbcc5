/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands in for libFuzzer in `make check`: feeds every file of the target's corpus,
 * tests/fuzz/corpus/NAME/ for the program fuzz_NAME, to LLVMFuzzerTestOneInput(), which aborts when
 * a property does not hold. Arguments, if any, are files to replay instead.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdlib.h>

#include "tests/tap.h"

enum { INPUT_MAX_BYTES = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy of exactly the file's size, so that the address sanitizer sees a read past its end. */
static uint8_t *read_input(const char *path, size_t *ret_size)
{
	static uint8_t whole[INPUT_MAX_BYTES];
	FILE *file = fopen(path, "rb");
	uint8_t *copy;

	if (!file)
		return NULL;
	*ret_size = fread(whole, 1, sizeof(whole), file);
	copy = ferror(file) ? NULL : malloc(*ret_size ? *ret_size : 1);
	if (copy && *ret_size)
		memcpy(copy, whole, *ret_size);
	fclose(file);
	return copy;
}

static void replay(const char *path)
{
	const char *name = strrchr(path, '/');
	uint8_t *data;
	size_t size;

	data = read_input(path, &size);
	if (data)
		LLVMFuzzerTestOneInput(data, size);
	ok(data, "%s", name ? name + 1 : path);
	free(data);
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void replay_folder(const char *folder)
{
	struct dirent **entries;
	int n = scandir(folder, &entries, is_visible, alphasort);

	ok(n > 0, "%s has inputs", folder);
	for (int i = 0; i < n; i++) {
		char *path;

		if (asprintf(&path, "%s/%s", folder, entries[i]->d_name) < 0)
			abort();
		replay(path);
		free(path);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
}

int main(int argc, char **argv)
{
	const char *source = getenv("NEXUSD_SOURCE");
	const char *name = strrchr(argv[0], '/');
	char folder[4096];

	name = name ? name + 1 : argv[0];
	if (strncmp(name, "fuzz_", strlen("fuzz_")) == 0)
		name += strlen("fuzz_");
	if (argc > 1) {
		for (int i = 1; i < argc; i++)
			replay(argv[i]);
	} else {
		snprintf(folder, sizeof(folder), "%s/tests/fuzz/corpus/%s", source ? source : ".",
			 name);
		replay_folder(folder);
	}
	return tap_done();
}
