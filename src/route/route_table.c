/* SPDX-License-Identifier: Apache-2.0 */
#include "route/route_table.h"

#include <assert.h>
#include <stdlib.h>

#include "base/map.h"
#include "route/model_state.h"

struct route_table *route_table_ref(struct route_table *table)
{
	int before = atomic_fetch_add_explicit(&table->references, 1, memory_order_relaxed);

	assert(before > 0);
	(void)before;
	return table;
}

struct route_table *route_table_unref(struct route_table *table)
{
	if (!table)
		return NULL;
	/* Release what this thread did with it; the last one acquires what all others did. */
	if (atomic_fetch_sub_explicit(&table->references, 1, memory_order_acq_rel) > 1)
		return NULL;
	/* One that was not built to its end is freed here, too: arrays may be missing. */
	for (size_t i = 0; table->models && i < table->n_models; i++) {
		model_state_unref(table->models[i].state);
		bundle_unref(table->models[i].unrouted);
		free(table->models[i].id);
	}
	for (size_t i = 0; table->backends && i < table->config->n_backends; i++)
		backend_unref(table->backends[i]);
	for (size_t i = 0; table->candidate_pool && i < table->n_pool; i++)
		bundle_unref(table->candidate_pool[i].bundle);
	bundle_unref(table->unknown);
	map_free(table->by_name);
	free(table->models);
	free(table->aliases);
	free(table->backends);
	free(table->candidate_pool);
	free(table->description_pool);
	free(table->fallback_pool);
	config_unref(table->config);
	free(table);
	return NULL;
}

bool route_table_keeps_models(const struct route_table *table, const struct route_table *previous)
{
	for (size_t i = 0; i < previous->n_models; i++) {
		const struct route_model *before = &previous->models[i];
		const struct route_model *now = route_table_find(table, str_of(before->id));

		if (before->n_candidates > 0 && (!now || now->n_candidates == 0))
			return false;
	}
	return true;
}

struct route_model *route_table_find(const struct route_table *table, struct str name)
{
	return map_find(table->by_name, name);
}

static int compare_alias(const void *name, const void *alias)
{
	return str_compare(*(const struct str *)name,
			   str_of(((const struct route_alias *)alias)->name));
}

struct demand route_table_demand(const struct route_table *table, const struct route_model *model,
				 struct str name)
{
	const struct route_alias *alias = bsearch(&name, table->aliases, table->n_aliases,
						  sizeof(*table->aliases), compare_alias);

	return alias ? demand_join(alias->demand, model->demand) : model->demand;
}
