/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config_value.h"

#include <errno.h>

#include "base/clock.h"
#include "base/i18n.h"
#include "base/str.h"

const char *config_value_kind_name(enum value_kind kind)
{
	static const char *const names[] = {
		/* TRANSLATORS: what a value cannot be */
		[VALUE_TEXT] = N_("a text"),        [VALUE_STRING] = N_("a string"),
		[VALUE_INTEGER] = N_("a number"),   [VALUE_REAL] = N_("a number with decimals"),
		[VALUE_BOOL] = N_("true or false"), [VALUE_LIST] = N_("a list"),
		[VALUE_GROUP] = N_("a group"),
	};

	return _(names[kind]);
}

const char *config_value_text(const struct config_value *value)
{
	return value->kind == VALUE_TEXT || value->kind == VALUE_STRING ? value->text : NULL;
}

static int integer_to_u64(long long integer, uint64_t *ret_value)
{
	if (integer < 0)
		return -ERANGE;
	*ret_value = (uint64_t)integer;
	return 0;
}

int config_value_count(const struct config_value *value, uint64_t *ret_count)
{
	if (value->kind == VALUE_INTEGER)
		return integer_to_u64(value->integer, ret_count);
	if (value->kind == VALUE_TEXT)
		return str_to_u64(str_of(value->text), ret_count);
	return -EINVAL;
}

static unsigned suffix_shift(char suffix)
{
	switch (suffix) {
	case 'K':
	case 'k':
		return 10;
	case 'M':
	case 'm':
		return 20;
	case 'G':
	case 'g':
		return 30;
	default:
		return 0;
	}
}

int config_value_size(const struct config_value *value, uint64_t *ret_bytes)
{
	const char *text = config_value_text(value);
	struct str digits = str_of(text);
	uint64_t number;
	unsigned shift;
	int r;

	if (value->kind == VALUE_INTEGER)
		return integer_to_u64(value->integer, ret_bytes);
	if (!text || digits.n == 0)
		return -EINVAL;
	shift = suffix_shift(text[digits.n - 1]);
	if (shift)
		digits.n--;
	r = str_to_u64(digits, &number);
	if (r < 0)
		return r;
	if (number > UINT64_MAX >> shift)
		return -ERANGE;
	*ret_bytes = number << shift;
	return 0;
}

/* Decimals of a second to nanoseconds, without the error of a detour through floating point. */
static int fraction_to_ns(struct str decimals, uint64_t *ret_ns)
{
	uint64_t ns;
	int r;

	if (decimals.n > 9)
		return -EINVAL;
	r = str_to_u64(decimals, &ns);
	if (r < 0)
		return r;
	for (size_t n = decimals.n; n < 9; n++)
		ns *= 10;
	*ret_ns = ns;
	return 0;
}

static int seconds_to_ns(uint64_t seconds, uint64_t ns, uint64_t *ret_ns)
{
	if (__builtin_mul_overflow(seconds, NS_PER_SEC, &seconds) ||
	    __builtin_add_overflow(seconds, ns, &ns))
		return -ERANGE;
	*ret_ns = ns;
	return 0;
}

static int duration_of_text(const char *text, uint64_t *ret_ns)
{
	struct str decimals = str_of(text), whole = str_split(&decimals, '.');
	uint64_t seconds, ns = 0;
	int r = str_to_u64(whole, &seconds);

	if (r == 0 && decimals.p)
		r = fraction_to_ns(decimals, &ns);
	return r < 0 ? r : seconds_to_ns(seconds, ns, ret_ns);
}

int config_value_duration(const struct config_value *value, uint64_t *ret_ns)
{
	const double longest = 1e9; /* 30 years, far below what 64 bits of nanoseconds hold */
	uint64_t seconds;
	int r;

	switch (value->kind) {
	case VALUE_TEXT:
		return duration_of_text(value->text, ret_ns);
	case VALUE_INTEGER:
		r = integer_to_u64(value->integer, &seconds);
		return r < 0 ? r : seconds_to_ns(seconds, 0, ret_ns);
	case VALUE_REAL:
		/* Said this way round so that it catches a NaN. */
		if (!(value->real >= 0 && value->real <= longest))
			return -ERANGE;
		*ret_ns = (uint64_t)(value->real * (double)NS_PER_SEC + 0.5);
		return 0;
	default:
		return -EINVAL;
	}
}

int config_value_octal(const struct config_value *value, uint64_t *ret_mode)
{
	const char *text = config_value_text(value);
	uint64_t mode = 0;

	if (!text || !*text)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '7')
			return -EINVAL;
		if (mode > UINT64_MAX >> 3)
			return -ERANGE;
		mode = mode << 3 | (uint64_t)(*text - '0');
	}
	*ret_mode = mode;
	return 0;
}

static int bool_of_text(struct str text, bool *ret_bool)
{
	if (str_eq_nocase(text, STR_LITERAL("true")) || str_eq(text, STR_LITERAL("1")))
		*ret_bool = true;
	else if (str_eq_nocase(text, STR_LITERAL("false")) || str_eq(text, STR_LITERAL("0")))
		*ret_bool = false;
	else
		return -EINVAL;
	return 0;
}

int config_value_bool(const struct config_value *value, bool *ret_bool)
{
	if (value->kind == VALUE_TEXT)
		return bool_of_text(str_of(value->text), ret_bool);
	if (value->kind != VALUE_BOOL)
		return -EINVAL;
	*ret_bool = value->boolean;
	return 0;
}

int config_value_word(const struct config_value *value, const char *words, unsigned *ret_position)
{
	const char *text = config_value_text(value);
	struct str rest = str_of(words);

	if (!text)
		return -EINVAL;
	for (unsigned position = 0; rest.p; position++) {
		if (str_eq(str_split(&rest, ' '), str_of(text))) {
			*ret_position = position;
			return 0;
		}
	}
	return -EINVAL;
}
