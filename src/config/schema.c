/* SPDX-License-Identifier: Apache-2.0 */
#include "config/schema.h"

#include <assert.h>
#include <stdio.h>

#include "base/attr.h"
#include "config/schema_field.h"

/* Never made: it gives each scope's struct a name that OPTION can build. */
struct objects {
#define X(id, type, list) type id;
	SCOPES(X)
#undef X
};
#define OBJECT(scope) (((struct objects *)NULL)->scope)

#define REQUIRED NULL

static const struct option options[] = {
#define OPTION(scope, path, type, field, initial, min, max, unit, reload, help) \
	{SCOPE_##scope,                                                         \
	 OPTION_##type,                                                         \
	 path,                                                                  \
	 offsetof(__typeof__(OBJECT(scope)), field),                            \
	 sizeof(OBJECT(scope).field),                                           \
	 initial,                                                               \
	 min,                                                                   \
	 max,                                                                   \
	 unit,                                                                  \
	 RELOAD_##reload,                                                       \
	 help},
#include "config/schema.def"
#undef OPTION
};

/* A row's type against the field it names. */
struct fields {
#define X(id, type, advice) type id;
	OPTION_TYPES(X)
#undef X
};
#define OPTION(scope, path, type, field, ...)                                               \
	static_assert(sizeof(OBJECT(scope).field) == sizeof(((struct fields *)NULL)->type), \
		      "the field of " path " does not suit its type");
#include "config/schema.def"
#undef OPTION

static const struct {
	const char *list;
	size_t size;
} scopes[] = {
#define X(id, type, list) [SCOPE_##id] = {list, sizeof(type)},
	SCOPES(X)
#undef X
};

const struct option *schema_at(size_t index)
{
	assert(index < SCHEMA_COUNT);
	return &options[index];
}

size_t schema_index(const struct option *option)
{
	return (size_t)(option - options);
}

const struct option *schema_find(enum schema_scope scope, struct str path)
{
	for (size_t i = 0; i < SCHEMA_COUNT; i++)
		if (options[i].scope == scope && str_eq(str_of(options[i].path), path))
			return &options[i];
	return NULL;
}

bool schema_is_group(enum schema_scope scope, struct str path)
{
	for (size_t i = 0; i < SCHEMA_COUNT; i++) {
		const struct option *option = &options[i];

		if (option->scope == scope && str_has_prefix(str_of(option->path), path) &&
		    option->path[path.n] == '.')
			return true;
	}
	return false;
}

bool schema_is_scalar(const struct option *option)
{
	return option->type != OPTION_GROUPS && option->type != OPTION_BOUNDS &&
	       option->type != OPTION_FLAGS && !field_is_texts(option);
}

const char *schema_name(const struct option *option, char name[static OPTION_NAME_MAX])
{
	const char *list = scopes[option->scope].list;

	snprintf(name, OPTION_NAME_MAX, "%s%s%s", list, *list ? "." : "", option->path);
	return name;
}

const char *schema_type_advice(enum option_type type)
{
	static const char *const advice[] = {
#define X(id, field, advice) [OPTION_##id] = advice,
		OPTION_TYPES(X)
#undef X
	};

	return _(advice[type]);
}

enum schema_scope schema_element_scope(const struct option *groups)
{
	char name[OPTION_NAME_MAX];
	size_t i = 0;

	schema_name(groups, name);
	while (strcmp(scopes[i].list, name) != 0) {
		i++;
		assert(i < ARRAY_SIZE(scopes)); /* every list of groups has a row in SCOPES */
	}
	return (enum schema_scope)i;
}

const char *schema_list(enum schema_scope scope)
{
	return scopes[scope].list;
}

size_t schema_object_size(enum schema_scope scope)
{
	return scopes[scope].size;
}
