/* SPDX-License-Identifier: Apache-2.0 */
#include "base/glob.h"

#include <stdlib.h>

#include "base/hash.h"
#include "tests/tap.h"

static const struct {
	const char *pattern, *text;
	bool fits;
} cases[] = {
	{"", "", true},
	{"", "a", false},
	{"gpt-4", "gpt-4", true},
	{"gpt-4", "gpt-4o", false},
	{"gpt-4", "gpt-", false},
	{"GPT-4", "gpt-4", false},
	{"*", "", true},
	{"*", "anything/at:all", true},
	{"**", "x", true},
	{"gpt-4*", "gpt-4", true},
	{"gpt-4*", "gpt-4o-mini", true},
	{"gpt-4*", "my-gpt-4", false},
	{"*:70b", "llama3:70b", true},
	{"*:70b", "llama3:70b-q4", false},
	{"meta-llama/*", "meta-llama/Llama-3.1/8B", true},
	{"*a*b*", "xxaxxbxx", true},
	{"*a*b*", "xxbxxaxx", false},
	{"*ab", "aab", true},
	{"*aab*", "aaab", true},
	{"a*a", "a", false},
	{"?", "", false},
	{"?", "a", true},
	{"?", "\xC3\xA4", true},
	{"?", "ab", false},
	{"??*", "a", false},
	{"?", "\xFF", true},
	{"gpt-[45]*", "gpt-5-nano", true},
	{"gpt-[45]*", "gpt-3.5", false},
	{"gpt-[!45]*", "gpt-3.5", true},
	{"gpt-[!45]*", "gpt-4", false},
	{"[a-cx-z]", "b", true},
	{"[a-cx-z]", "y", true},
	{"[a-cx-z]", "d", false},
	{"[*?]", "?", true},
	{"[*?]", "a", false},
	{"[\xC3\xA0-\xC3\xBF]", "\xC3\xA9", true},
	{"[\xC3\xA0-\xC3\xBF]", "z", false},
	{"[a!]", "!", true},
	{"[a^]", "^", true},
	{"^[a]", "^a", true},
	{"a.b", "axb", false},
	{"(a|b)", "a", false},
	{"*[0-9]b", "llama:70b", true},
};

static const char *const invalid[] = {
	"[",    "gpt-[45",     "a]",    "[]",  "[!]",       "[z-a]", "[-a]",
	"[a-]", "[[a]]",       "a\\*",  "{a}", "{gpt,o1}*", "[a-c-", "*[a-c-e]*",
	"\\",   "[[:alpha:]]", "[^x]*", "[^]", "[!^x]",     "[^-z]",
};

static void test_cases(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct str pattern = str_of(cases[i].pattern);

		ok(glob_is_valid(pattern), "\"%s\" is a pattern", cases[i].pattern);
		ok(glob_matches(pattern, str_of(cases[i].text)) == cases[i].fits, "it %s \"%s\"",
		   cases[i].fits ? "fits" : "does not fit", cases[i].text);
	}
	for (size_t i = 0; i < ARRAY_SIZE(invalid); i++) {
		struct str pattern = {invalid[i], strlen(invalid[i])};

		ok(!glob_is_valid(pattern), "\"%s\" is none", invalid[i]);
		ok(!glob_matches(pattern, pattern), "and fits nothing");
	}
}

/* The plainest way to say it, which takes ages for long patterns. */
static bool fits(const char *pattern, const char *text)
{
	if (*pattern == '*')
		return fits(pattern + 1, text) || (*text && fits(pattern, text + 1));
	if (!*pattern || !*text)
		return *pattern == *text;
	return (*pattern == '?' || *pattern == *text) && fits(pattern + 1, text + 1);
}

static void fill(struct hash_random *random, const char *letters, size_t n_letters, char out[8])
{
	size_t n = (size_t)hash_random_below(random, 8);

	for (size_t i = 0; i < n; i++)
		out[i] = letters[hash_random_below(random, n_letters)];
	out[n] = '\0';
}

static void test_against_the_definition(void)
{
	struct hash_random random;
	char pattern[8], text[8];
	unsigned n_wrong = 0, n_fit = 0;

	hash_random_init(&random, (struct hash_seed){7, 8});
	for (unsigned i = 0; i < 200000; i++) {
		fill(&random, "ab*?", 4, pattern);
		fill(&random, "ab", 2, text);
		n_fit += fits(pattern, text);
		n_wrong += glob_matches(str_of(pattern), str_of(text)) != fits(pattern, text);
	}
	is_u64(n_wrong, 0, "the same as the definition");
	ok(n_fit > 10000, "which was met often: %u", n_fit);
}

/* Would not end if each star tried all places. */
static void test_many_stars(void)
{
	char pattern[256], text[4096];

	for (size_t i = 0; i + 2 < sizeof(pattern); i += 2)
		memcpy(pattern + i, "*a", 2);
	pattern[sizeof(pattern) - 2] = 'b';
	memset(text, 'a', sizeof(text));
	ok(!glob_matches((struct str){pattern, sizeof(pattern) - 1},
			 (struct str){text, sizeof(text)}),
	   "a hundred stars are no work");
}

int main(void)
{
	test_cases();
	test_against_the_definition();
	test_many_stars();
	return tap_done();
}
