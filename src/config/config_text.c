/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libconfig 1.5 and 1.7 alike. Its getters return 0 for a value of another type, so
 * config_setting_type() is asked first, always.
 */
#include "config/config_text.h"

#include <errno.h>
#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/i18n.h"
#include "config/config_error.h"
#include "config/config_value.h"
#include "config/schema_object.h"
#include "config/schema_set.h"

/* A group being read into an object; a nested group has the same object and a longer path. */
struct reading {
	struct config_draft *draft;
	const char *file;
	enum schema_scope scope;
	void *object;
	struct config_origin *given; /* by schema_index(); line 0: not yet */
};

static struct config_origin origin_of(const struct reading *reading,
				      const config_setting_t *setting)
{
	return (struct config_origin){reading->file, config_setting_source_line(setting)};
}

static bool is_list(const config_setting_t *setting)
{
	int type = config_setting_type(setting);

	return type == CONFIG_TYPE_LIST || type == CONFIG_TYPE_ARRAY;
}

/* Of a list or a group only what it is: set_from_list() and read_groups() look into them. */
static struct config_value scalar_of(const struct reading *reading, const config_setting_t *setting)
{
	struct config_value value = {.kind = VALUE_GROUP, .origin = origin_of(reading, setting)};

	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_INT:
		value.kind = VALUE_INTEGER;
		value.integer = config_setting_get_int(setting);
		break;
	case CONFIG_TYPE_INT64:
		value.kind = VALUE_INTEGER;
		value.integer = config_setting_get_int64(setting);
		break;
	case CONFIG_TYPE_FLOAT:
		value.kind = VALUE_REAL;
		value.real = config_setting_get_float(setting);
		break;
	case CONFIG_TYPE_BOOL:
		value.kind = VALUE_BOOL;
		value.boolean = config_setting_get_bool(setting);
		break;
	case CONFIG_TYPE_STRING:
		value.kind = VALUE_STRING;
		value.text = config_setting_get_string(setting);
		if (!value.text)
			value.text = "";
		break;
	case CONFIG_TYPE_ARRAY:
	case CONFIG_TYPE_LIST:
		value.kind = VALUE_LIST;
		break;
	default:
		break;
	}
	return value;
}

static int set_from_scalar(const struct reading *reading, const struct option *option,
			   const config_setting_t *setting)
{
	struct config_value value = scalar_of(reading, setting);

	return schema_set(option, reading->object, &value, reading->draft->error);
}

static int set_from_list(const struct reading *reading, const struct option *option,
			 const config_setting_t *setting)
{
	unsigned n = (unsigned)config_setting_length(setting);
	struct config_value *elements = calloc(n ? n : 1, sizeof(*elements));
	struct config_value list = {.kind = VALUE_LIST, .origin = origin_of(reading, setting)};
	int r;

	if (!elements)
		return config_error_memory(reading->draft->error);
	for (unsigned i = 0; i < n; i++)
		elements[i] = scalar_of(reading, config_setting_get_elem(setting, i));
	list.elements = elements;
	list.n_elements = n;
	r = schema_set(option, reading->object, &list, reading->draft->error);
	free(elements);
	return r;
}

static int read_group(const struct reading *reading, const char *group_path,
		      const config_setting_t *group);

static int check_required(const struct reading *reading, struct config_origin origin)
{
	for (size_t i = 0; i < SCHEMA_COUNT; i++) {
		const struct option *option = schema_at(i);
		char name[OPTION_NAME_MAX];

		if (option->scope != reading->scope || option->initial || reading->given[i].line)
			continue;
		return config_error(reading->draft->error, origin, "%s is missing; add it",
				    schema_name(option, name));
	}
	return 0;
}

/* One element of a list of groups. A model may also be written as its bare id. */
static int read_element(const struct reading *parent, const struct option *groups,
			const config_setting_t *setting)
{
	struct config_origin given[SCHEMA_COUNT] = {{NULL, 0}};
	struct reading reading = *parent;
	int type = config_setting_type(setting), r;

	reading.scope = schema_element_scope(groups);
	reading.given = given;
	if (type != CONFIG_TYPE_GROUP &&
	    (type != CONFIG_TYPE_STRING || reading.scope != SCOPE_MODEL))
		return set_from_scalar(parent, groups, setting);
	r = schema_object_append(groups, parent->object, origin_of(parent, setting),
				 parent->draft->error, &reading.object);
	if (r < 0)
		return r;
	if (type == CONFIG_TYPE_STRING)
		return set_from_scalar(&reading, schema_find(reading.scope, STR_LITERAL("id")),
				       setting);
	r = read_group(&reading, "", setting);
	return r < 0 ? r : check_required(&reading, origin_of(parent, setting));
}

static int read_groups(const struct reading *reading, const struct option *option,
		       const config_setting_t *setting)
{
	unsigned n = (unsigned)config_setting_length(setting);
	int r = 0;

	for (unsigned i = 0; r == 0 && i < n; i++)
		r = read_element(reading, option, config_setting_get_elem(setting, i));
	return r;
}

static int read_option(const struct reading *reading, const struct option *option,
		       const config_setting_t *setting)
{
	reading->given[schema_index(option)] = origin_of(reading, setting);
	if (!is_list(setting))
		return set_from_scalar(reading, option, setting);
	if (option->type == OPTION_GROUPS)
		return read_groups(reading, option, setting);
	if (schema_is_scalar(option))
		return set_from_scalar(reading, option, setting);
	return set_from_list(reading, option, setting);
}

static int unknown_option(const struct reading *reading, const char *path,
			  const config_setting_t *setting)
{
	const char *list = schema_list(reading->scope);

	return config_error(reading->draft->error, origin_of(reading, setting),
			    "unknown option %s%s%s; nexusd.conf(5) lists all of them", list,
			    *list ? "." : "", path);
}

static int read_member(const struct reading *reading, const char *prefix,
		       const config_setting_t *setting)
{
	char path[OPTION_NAME_MAX];
	const struct option *option;

	if (snprintf(path, sizeof(path), "%s%s", prefix, config_setting_name(setting)) >=
	    (int)sizeof(path))
		return unknown_option(reading, path, setting);
	option = schema_find(reading->scope, str_of(path));
	if (option)
		return read_option(reading, option, setting);
	if (!schema_is_group(reading->scope, str_of(path)))
		return unknown_option(reading, path, setting);
	if (config_setting_type(setting) != CONFIG_TYPE_GROUP)
		return config_error(reading->draft->error, origin_of(reading, setting),
				    "%s cannot be %s; write a group such as %s: { ... };", path,
				    config_value_kind_name(scalar_of(reading, setting).kind),
				    config_setting_name(setting));
	return read_group(reading, path, setting);
}

/* Recursion ends with the schema: a group that it does not know is refused, not entered. */
static int read_group(const struct reading *reading, const char *group_path,
		      const config_setting_t *group)
{
	unsigned n = (unsigned)config_setting_length(group);
	char prefix[OPTION_NAME_MAX];
	int r = 0;

	snprintf(prefix, sizeof(prefix), "%s%s", group_path, *group_path ? "." : "");
	for (unsigned i = 0; r == 0 && i < n; i++)
		r = read_member(reading, prefix, config_setting_get_elem(group, i));
	return r;
}

static unsigned line_at(struct str text, const char *position)
{
	unsigned line = 1;

	for (const char *p = text.p; p < position; p++)
		line += *p == '\n';
	return line;
}

/* libconfig would open any file that a line beginning like this names, whatever its size. */
static bool is_include(struct str line)
{
	return str_has_prefix(str_trim(line), STR_LITERAL("@include"));
}

static int check_text(const struct config_draft *draft, const char *name, struct str text)
{
	struct config_origin origin = {name, 0};
	const char *nul = text.n ? memchr(text.p, '\0', text.n) : NULL;

	if (text.n > CONFIG_TEXT_MAX)
		return config_error(draft->error, origin,
				    "larger than 1 MiB; split it into files in conf.d");
	if (nul) {
		origin.line = line_at(text, nul);
		return config_error(draft->error, origin, "a NUL byte; save it as plain text");
	}
	while (text.p) {
		origin.line++;
		if (is_include(str_split(&text, '\n')))
			return config_error(draft->error, origin,
					    "@include is not supported; put the file into conf.d");
	}
	return 0;
}

static int syntax_error(const struct config_draft *draft, const char *name, const config_t *parser)
{
	int line = config_error_line(parser);
	const struct config_origin origin = {name, line > 0 ? (unsigned)line : 1};
	const char *text = config_error_text(parser);

	return config_error(draft->error, origin, "%s; correct this line or the one before it",
			    text ? _(text) : _("syntax error"));
}

int config_text_read(struct config_draft *draft, const char *name, struct str text)
{
	struct reading reading = {draft, name, SCOPE_ROOT, draft->config, draft->given};
	config_t parser;
	char *copy;
	int r = check_text(draft, name, text);

	if (r < 0)
		return r;
	copy = str_dup(text);
	if (!copy)
		return config_error_memory(draft->error);
	config_init(&parser);
	if (config_read_string(&parser, copy) == CONFIG_TRUE)
		r = read_group(&reading, "", config_root_setting(&parser));
	else
		r = syntax_error(draft, name, &parser);
	config_destroy(&parser);
	free(copy);
	return r;
}
