/* SPDX-License-Identifier: Apache-2.0 */
#include "config/schema_set.h"

#include <errno.h>
#include <stdio.h>

#include "base/glob.h"
#include "base/i18n.h"
#include "config/config_error.h"
#include "config/endpoint.h"
#include "config/schema_assignment.h"
#include "config/schema_field.h"

#define ALPHANUMERIC "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

/* Of a value that is quoted: what stands behind it should be read, too. */
enum { QUOTED_MAX_BYTES = 80 };

typedef int setter_fn(const struct assignment *a, void *field);

static bool has_words(enum option_type type)
{
	return type == OPTION_WORD || type == OPTION_CHOICE || type == OPTION_EITHER ||
	       type == OPTION_FLAGS;
}

int assignment_refuse(const struct assignment *a, const char *wrong)
{
	const struct option *option = a->option;
	char name[OPTION_NAME_MAX];

	return config_error(a->error, a->value->origin, "%s %s; %s%s", schema_name(option, name),
			    _(wrong), schema_type_advice(option->type),
			    has_words(option->type) ? option->unit : "");
}

int assignment_refuse_saying(const struct assignment *a, const char *wrong)
{
	char name[OPTION_NAME_MAX];

	return config_error(a->error, a->value->origin, "%s %s", schema_name(a->option, name),
			    _(wrong));
}

/* Can a string be right for this type at all? */
static bool takes_string(enum option_type type)
{
	return type == OPTION_SIZE || type == OPTION_OCTAL || has_words(type);
}

int assignment_refuse_type(const struct assignment *a)
{
	enum value_kind kind = a->value->kind;
	char wrong[QUOTED_MAX_BYTES + 64];

	if (kind == VALUE_TEXT || (kind == VALUE_STRING && takes_string(a->option->type))) {
		const char *text = a->value->text;

		snprintf(wrong, sizeof(wrong), _("cannot be \"%.*s\""),
			 (int)utf8_cut(str_of(text), QUOTED_MAX_BYTES), text);
		return assignment_refuse(a, wrong);
	}
	snprintf(wrong, sizeof(wrong), _("cannot be %s"), config_value_kind_name(kind));
	return assignment_refuse(a, wrong);
}

static int refuse_range(const struct assignment *a)
{
	const struct option *option = a->option;
	char name[OPTION_NAME_MAX];

	return config_error(a->error, a->value->origin,
			    "%s is out of range; choose from %s to %s%s%s",
			    schema_name(option, name), option->min, option->max,
			    *option->unit ? " " : "", option->unit);
}

static int to_number(enum option_type type, const struct config_value *value, uint64_t *ret_number)
{
	switch (type) {
	case OPTION_SIZE:
		return config_value_size(value, ret_number);
	case OPTION_DURATION:
	case OPTION_PRICE:
	case OPTION_SHARE:
		return config_value_duration(value, ret_number);
	case OPTION_OCTAL:
		return config_value_octal(value, ret_number);
	default:
		return config_value_count(value, ret_number);
	}
}

void schema_range(const struct option *option, uint64_t *ret_min, uint64_t *ret_max)
{
	const struct config_value low = {.kind = VALUE_TEXT, .text = option->min};
	const struct config_value high = {.kind = VALUE_TEXT, .text = option->max};

	if (to_number(option->type, &low, ret_min) < 0)
		*ret_min = 0;
	if (to_number(option->type, &high, ret_max) < 0)
		*ret_max = UINT64_MAX;
}

static int ranged_number(const struct assignment *a, uint64_t *ret_number)
{
	uint64_t number, min, max;
	int r = to_number(a->option->type, a->value, &number);

	schema_range(a->option, &min, &max);
	if (r == -ERANGE || (r == 0 && (number < min || number > max)))
		return refuse_range(a);
	if (r < 0)
		return assignment_refuse_type(a);
	*ret_number = number;
	return 0;
}

static int set_number(const struct assignment *a, void *field)
{
	return ranged_number(a, field);
}

static int set_octal(const struct assignment *a, void *field)
{
	uint64_t mode = 0;
	int r = ranged_number(a, &mode);

	if (r == 0)
		*(unsigned *)field = (unsigned)mode;
	return r;
}

static int set_bool(const struct assignment *a, void *field)
{
	return config_value_bool(a->value, field) < 0 ? assignment_refuse_type(a) : 0;
}

static int set_tristate(const struct assignment *a, void *field)
{
	bool known;

	if (config_value_bool(a->value, &known) < 0)
		return assignment_refuse_type(a);
	*(enum tristate *)field = known ? TRISTATE_YES : TRISTATE_NO;
	return 0;
}

static int set_choice(const struct assignment *a, void *field)
{
	return config_value_word(a->value, a->option->unit, field) < 0 ? assignment_refuse_type(a)
								       : 0;
}

static int set_either(const struct assignment *a, void *field)
{
	unsigned position;

	if (config_value_word(a->value, a->option->unit, &position) < 0)
		return assignment_refuse_type(a);
	*(bool *)field = position > 0;
	return 0;
}

static int replace_text(const struct assignment *a, void *field, char *text)
{
	if (!text)
		return config_error_memory(a->error);
	free(field_pointer(field));
	field_set_pointer(field, text);
	return 0;
}

static int set_word(const struct assignment *a, void *field)
{
	unsigned position;

	if (config_value_word(a->value, a->option->unit, &position) < 0)
		return assignment_refuse_type(a);
	return replace_text(a, field, str_dup(str_of(a->value->text)));
}

static bool is_printable(struct str text)
{
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7F)
			return false;
	return utf8_is_valid(text);
}

/* Names appear in headers, labels, file names and logs: nothing in them may need quoting. */
static bool is_name(const char *text)
{
	return strspn(text, ALPHANUMERIC) > 0 && text[strspn(text, ALPHANUMERIC "._-")] == '\0';
}

static int set_url(const struct assignment *a, void *field)
{
	const char *wrong;
	char *url;
	int r = endpoint_url_parse(str_of(a->value->text), &url, &wrong);

	if (r == -EINVAL)
		return assignment_refuse_saying(a, wrong);
	return replace_text(a, field, r < 0 ? NULL : url);
}

/* Where the metrics path cannot be: what nexusd itself serves there, or may one day. */
static bool is_reserved(struct str path)
{
	return str_has_prefix(path, STR_LITERAL("/v1/")) ||
	       str_has_prefix(path, STR_LITERAL("/admin/")) ||
	       str_eq(path, STR_LITERAL("/health")) || str_eq(path, STR_LITERAL("/livez")) ||
	       str_eq(path, STR_LITERAL("/readyz"));
}

static int set_route(const struct assignment *a, void *field)
{
	const char *text = a->value->text;
	char *path;

	if (text[strspn(text, ALPHANUMERIC "-._~/")])
		return assignment_refuse(
			a, "has a character other than letters, digits and - . _ ~ /");
	if (asprintf(&path, "%s%s", text[0] == '/' ? "" : "/", text) < 0)
		return config_error_memory(a->error);
	if (is_reserved(str_of(path))) {
		free(path);
		return assignment_refuse_saying(a,
						"is a path of nexusd's own, as all below /v1 and "
						"/admin are; choose another one");
	}
	return replace_text(a, field, path);
}

static bool is_session_key(struct str text)
{
	struct str name = text, kind = str_split(&name, ':');

	if (!name.p)
		return str_eq(kind, STR_LITERAL("user")) || str_eq(kind, STR_LITERAL("prefix"));
	/* The field names of RFC 9110, section 5.1. */
	return str_eq(kind, STR_LITERAL("header")) && name.n > 0 &&
	       !name.p[strspn(name.p, ALPHANUMERIC "!#$%&'*+-.^_`|~")];
}

static bool is_origin(struct str text)
{
	return str_eq(text, STR_LITERAL("*")) || endpoint_is_origin(text);
}

/* key:value; nothing in it may mean something in any dialect of StatsD. */
static bool is_tag(const char *text)
{
	static const char allowed[] = ALPHANUMERIC "_-.";
	size_t key = strspn(text, allowed), value;

	if (key == 0 || text[key] != ':')
		return false;
	value = strspn(text + key + 1, allowed);
	return value > 0 && text[key + 1 + value] == '\0';
}

/* The rules that a type has beyond those of every text; NULL when kept. */
static const char *text_check(enum option_type type, const char *text)
{
	switch (type) {
	case OPTION_NAME:
		return is_name(text) ? NULL : N_("has a character that is not allowed in a name");
	case OPTION_GLOB:
		return glob_is_valid(str_of(text)) ? NULL : N_("is no pattern");
	case OPTION_GLOBS:
		return glob_is_valid(str_of(text)) ? NULL : N_("has an element that is no pattern");
	case OPTION_SESSION_KEY:
		return is_session_key(str_of(text)) ? NULL : N_("is not understood");
	case OPTION_ORIGINS:
		return is_origin(str_of(text))
			       ? NULL
			       : N_("has an element that no browser sends as an origin");
	case OPTION_TAGS:
		return is_tag(text) ? NULL
				    : N_("has an element that is no key:value of letters, "
					 "digits and _ - .");
	case OPTION_PATH:
		return text[0] == '/' ? NULL : N_("does not begin with a slash");
	default:
		return NULL;
	}
}

static int check_text(const struct assignment *a)
{
	const char *text = config_value_text(a->value), *wrong;
	uint64_t min, max;

	if (!text)
		return assignment_refuse_type(a);
	schema_range(a->option, &min, &max);
	if (strlen(text) < min)
		return assignment_refuse(a, "is empty");
	if (strlen(text) > max)
		return assignment_refuse_saying(a, "is too long; shorten it");
	if (!is_printable(str_of(text)))
		return assignment_refuse_saying(
			a, "has a control character or is not UTF-8; remove it");
	wrong = *text ? text_check(a->option->type, text) : NULL;
	return wrong ? assignment_refuse(a, wrong) : 0;
}

/* Where something is in the network; NULL when it is well written, or something else. */
static const char *place_check(enum option_type type, const char *text)
{
	struct endpoint_receiver receiver;

	if (type == OPTION_ADDRESS)
		return endpoint_address_check(text);
	return type == OPTION_RECEIVER ? endpoint_receiver_parse(text, &receiver) : NULL;
}

int assignment_set_text(const struct assignment *a, void *field)
{
	int r = check_text(a);
	const char *wrong;

	if (r < 0)
		return r;
	if (!*a->value->text) { /* allowed where the row's minimum is 0: none */
		free(field_pointer(field));
		field_set_pointer(field, NULL);
		return 0;
	}
	if (a->option->type == OPTION_URL)
		return set_url(a, field);
	if (a->option->type == OPTION_ROUTE)
		return set_route(a, field);
	wrong = place_check(a->option->type, a->value->text);
	if (wrong)
		return assignment_refuse_saying(a, wrong);
	return replace_text(a, field, str_dup(str_of(a->value->text)));
}

static int set_groups(const struct assignment *a, UNUSED void *field)
{
	return assignment_refuse_type(a);
}

int schema_set(const struct option *option, void *object, const struct config_value *value,
	       struct buf *error)
{
	static setter_fn *const setters[] = {
		[OPTION_STRING] = assignment_set_text,
		[OPTION_NAME] = assignment_set_text,
		[OPTION_GLOB] = assignment_set_text,
		[OPTION_PATH] = assignment_set_text,
		[OPTION_ROUTE] = assignment_set_text,
		[OPTION_URL] = assignment_set_text,
		[OPTION_ADDRESS] = assignment_set_text,
		[OPTION_RECEIVER] = assignment_set_text,
		[OPTION_SESSION_KEY] = assignment_set_text,
		[OPTION_WORD] = set_word,
		[OPTION_CHOICE] = set_choice,
		[OPTION_EITHER] = set_either,
		[OPTION_FLAGS] = assignment_set_flags,
		[OPTION_STRINGS] = assignment_set_texts,
		[OPTION_GLOBS] = assignment_set_texts,
		[OPTION_ORIGINS] = assignment_set_texts,
		[OPTION_TAGS] = assignment_set_texts,
		[OPTION_BOUNDS] = assignment_set_bounds,
		[OPTION_SIZE] = set_number,
		[OPTION_DURATION] = set_number,
		[OPTION_COUNT] = set_number,
		[OPTION_PRICE] = set_number,
		[OPTION_SHARE] = set_number,
		[OPTION_OCTAL] = set_octal,
		[OPTION_BOOL] = set_bool,
		[OPTION_TRISTATE] = set_tristate,
		[OPTION_GROUPS] = set_groups,
	};
	const struct assignment a = {option, value, error};

	return setters[option->type](&a, field_of(option, object));
}
