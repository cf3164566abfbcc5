/* SPDX-License-Identifier: Apache-2.0 */
#include "config/schema_object.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/config_error.h"
#include "config/schema_field.h"
#include "config/schema_set.h"

/* What schema_field.h takes for granted about config.h. */
#define COUNT_FOLLOWS(type, list, count)                                              \
	static_assert(offsetof(type, count) == offsetof(type, list) + sizeof(void *), \
		      "the count follows its list")
COUNT_FOLLOWS(struct config, listeners, n_listeners);
COUNT_FOLLOWS(struct config, cors_origins, n_cors_origins);
COUNT_FOLLOWS(struct config, backends, n_backends);
COUNT_FOLLOWS(struct config, routing.aliases, routing.n_aliases);
COUNT_FOLLOWS(struct config, routing.fallbacks, routing.n_fallbacks);
COUNT_FOLLOWS(struct config, routing.policies, routing.n_policies);
COUNT_FOLLOWS(struct config, prices, n_prices);
COUNT_FOLLOWS(struct config, statsd.tags, statsd.n_tags);
COUNT_FOLLOWS(struct config, statsd.allow, statsd.n_allow);
COUNT_FOLLOWS(struct config, statsd.deny, statsd.n_deny);
COUNT_FOLLOWS(struct config_bounds, nano, n);
COUNT_FOLLOWS(struct backend_config, models, n_models);
COUNT_FOLLOWS(struct fallback_config, to, n_to);
#define BEGINS_WITH_ORIGIN(type) static_assert(offsetof(type, origin) == 0, "the origin is first")
BEGINS_WITH_ORIGIN(struct listener_config);
BEGINS_WITH_ORIGIN(struct backend_config);
BEGINS_WITH_ORIGIN(struct model_config);
BEGINS_WITH_ORIGIN(struct alias_config);
BEGINS_WITH_ORIGIN(struct fallback_config);
BEGINS_WITH_ORIGIN(struct policy_config);
BEGINS_WITH_ORIGIN(struct price_config);

static bool has_default(const struct option *option)
{
	return option->type != OPTION_GROUPS && option->initial && *option->initial;
}

int schema_object_init(enum schema_scope scope, void *object)
{
	struct buf error;
	int r = 0;

	buf_init(&error, CONFIG_PLACE_MAX);
	for (size_t i = 0; i < SCHEMA_COUNT && r == 0; i++) {
		const struct option *option = schema_at(i);
		const struct config_value value = {.kind = VALUE_TEXT, .text = option->initial};

		if (option->scope == scope && has_default(option))
			r = schema_set(option, object, &value, &error);
	}
	buf_done(&error);
	assert(r != -EINVAL); /* a default that its own row refuses */
	return r;
}

int schema_object_append(const struct option *groups, void *object, struct config_origin origin,
			 struct buf *error, void **ret_element)
{
	enum schema_scope scope = schema_element_scope(groups);
	void *field = field_of(groups, object), *element;
	char name[OPTION_NAME_MAX];
	uint64_t min, max;

	schema_range(groups, &min, &max);
	if (field_count(field) >= max)
		return config_error(error, origin, "%s has more than %s groups; remove some",
				    schema_name(groups, name), groups->max);
	element = field_append(field, schema_object_size(scope));
	if (!element || schema_object_init(scope, element) < 0)
		return config_error_memory(error);
	*(struct config_origin *)element = origin;
	*ret_element = element;
	return 0;
}

static bool is_equal_text(const char *one, const char *other)
{
	return one == other || (one && other && strcmp(one, other) == 0);
}

static bool is_equal_texts(const void *one, const void *other)
{
	char *const *texts = field_pointer(one), *const *others = field_pointer(other);

	if (field_count(one) != field_count(other))
		return false;
	for (size_t i = 0; i < field_count(one); i++)
		if (!is_equal_text(texts[i], others[i]))
			return false;
	return true;
}

static bool is_equal_bounds(const struct config_bounds *one, const struct config_bounds *other)
{
	return one->n == other->n &&
	       (one->n == 0 || memcmp(one->nano, other->nano, one->n * sizeof(*one->nano)) == 0);
}

static bool is_equal_object(enum schema_scope scope, const void *one, const void *other)
{
	for (size_t i = 0; i < SCHEMA_COUNT; i++) {
		const struct option *option = schema_at(i);

		if (option->scope == scope && !schema_object_is_equal(option, one, other))
			return false;
	}
	return true;
}

static bool is_equal_groups(const struct option *option, const void *one, const void *other)
{
	enum schema_scope scope = schema_element_scope(option);
	size_t size = schema_object_size(scope);
	const char *items = field_pointer(one), *others = field_pointer(other);

	if (field_count(one) != field_count(other))
		return false;
	for (size_t i = 0; i < field_count(one); i++)
		if (!is_equal_object(scope, items + i * size, others + i * size))
			return false;
	return true;
}

bool schema_object_is_equal(const struct option *option, const void *one, const void *other)
{
	const void *a = field_of_const(option, one), *b = field_of_const(option, other);

	if (option->type == OPTION_GROUPS)
		return is_equal_groups(option, a, b);
	if (field_is_texts(option))
		return is_equal_texts(a, b);
	if (option->type == OPTION_BOUNDS)
		return is_equal_bounds(a, b);
	if (field_is_text(option))
		return is_equal_text(field_pointer(a), field_pointer(b));
	return memcmp(a, b, option->size) == 0;
}

static void free_groups(const struct option *option, void *field)
{
	enum schema_scope scope = schema_element_scope(option);
	char *items = field_pointer(field);

	for (size_t i = 0; i < field_count(field); i++)
		schema_object_done(scope, items + i * schema_object_size(scope));
	free(items);
}

void schema_object_done(enum schema_scope scope, void *object)
{
	for (size_t i = 0; i < SCHEMA_COUNT; i++) {
		const struct option *option = schema_at(i);
		void *field = field_of(option, object);

		if (option->scope != scope)
			continue;
		if (option->type == OPTION_GROUPS)
			free_groups(option, field);
		else if (field_is_texts(option))
			field_free_texts(field);
		else if (field_is_text(option) || option->type == OPTION_BOUNDS)
			free(field_pointer(field));
	}
}
