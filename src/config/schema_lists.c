/* SPDX-License-Identifier: Apache-2.0 */
/* Values that are lists, but for lists of groups. */
#include <stdio.h>

#include "base/clock.h"
#include "config/config_error.h"
#include "config/schema_assignment.h"
#include "config/schema_field.h"
#include "config/schema_set.h"

static int check_count(const struct assignment *a)
{
	uint64_t min, max;

	if (a->value->kind != VALUE_LIST)
		return assignment_refuse_type(a);
	schema_range(a->option, &min, &max);
	if (a->value->n_elements < min)
		return assignment_refuse(a, "is empty");
	if (a->value->n_elements > max)
		return assignment_refuse_saying(a, "has too many elements; remove some");
	return 0;
}

/* Each element is a text of its own, and told by its own place. */
int assignment_set_texts(const struct assignment *a, void *field)
{
	struct {
		void *pointer;
		size_t count;
	} texts = {NULL, 0};
	int r = check_count(a);

	for (size_t i = 0; r == 0 && i < a->value->n_elements; i++) {
		struct option element = *a->option;
		struct assignment one = {&element, &a->value->elements[i], a->error};
		void *text = field_append(&texts, sizeof(char *));

		element.min = "1";
		element.max = "256";
		r = text ? assignment_set_text(&one, text) : config_error_memory(a->error);
	}
	if (r < 0) {
		field_free_texts(&texts);
		return r;
	}
	field_free_texts(field);
	field_set_pointer(field, texts.pointer);
	field_set_count(field, texts.count);
	return 0;
}

/* The default is written as words with blanks between them. */
static int flags_of_text(const struct assignment *a, unsigned *ret_flags)
{
	struct str rest = str_of(a->value->text);
	unsigned flags = 0;

	while (rest.p) {
		struct str word = str_split(&rest, ' ');
		char text[OPTION_NAME_MAX];
		struct config_value value = {.kind = VALUE_TEXT, .text = text};
		unsigned position;

		snprintf(text, sizeof(text), "%.*s", (int)word.n, word.p);
		if (config_value_word(&value, a->option->unit, &position) < 0)
			return assignment_refuse_type(a);
		flags |= 1u << position;
	}
	*ret_flags = flags;
	return 0;
}

int assignment_set_flags(const struct assignment *a, void *field)
{
	unsigned flags = 0, position;
	int r;

	if (a->value->kind == VALUE_TEXT)
		return flags_of_text(a, field);
	r = check_count(a);
	if (r < 0)
		return r;
	for (size_t i = 0; i < a->value->n_elements; i++) {
		struct assignment one = {a->option, &a->value->elements[i], a->error};

		if (config_value_word(one.value, a->option->unit, &position) < 0)
			return assignment_refuse_type(&one);
		flags |= 1u << position;
	}
	*(unsigned *)field = flags;
	return 0;
}

/* One element of a set of buckets: above the one before it. */
static int read_bound(const struct assignment *a, const uint64_t *before, uint64_t *ret_bound)
{
	if (config_value_duration(a->value, ret_bound) < 0)
		return assignment_refuse(a, "has an element that is no positive number");
	if (*ret_bound <= (before ? *before : 0))
		return assignment_refuse(a, "does not ascend from above 0");
	/* The unit of what is counted is "whole numbers". */
	if (a->option->unit[0] && *ret_bound % NS_PER_SEC != 0)
		return assignment_refuse(a, "has an element that is no whole number");
	return 0;
}

int assignment_set_bounds(const struct assignment *a, void *field)
{
	struct config_bounds bounds = {NULL, 0};
	int r = check_count(a);

	for (size_t i = 0; r == 0 && i < a->value->n_elements; i++) {
		struct assignment one = {a->option, &a->value->elements[i], a->error};
		uint64_t *bound = field_append(&bounds, sizeof(*bound));

		r = bound ? read_bound(&one, i ? bound - 1 : NULL, bound)
			  : config_error_memory(a->error);
	}
	if (r < 0) {
		free(bounds.nano);
		return r;
	}
	free(field_pointer(field));
	*(struct config_bounds *)field = bounds;
	return 0;
}
