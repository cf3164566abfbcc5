/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/provider.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "metrics/label.h"
#include "metrics/registry_state.h"

/* Of one family, whatever metrics.max_series_per_family allows: with it the other two are out of
 * reach. */
#define MAX_FAMILY_ITEMS ((size_t)1 << 16)
#define MAX_ITEMS        (N_METRICS * (MAX_FAMILY_ITEMS + 1))
#define MAX_BYTES        ((size_t)1 << 28)

int registry_provide(struct registry *registry, enum metric metric,
		     void (*collect)(void *context, provider_emit_fn *emit, void *emitter),
		     void *context)
{
	assert(metric_row(metric)->source == SOURCE_LIVE && !registry->providers[metric].collect);
	registry->providers[metric] = (struct provider){collect, context};
	return 0;
}

struct emitter {
	struct provided_set *set;
	enum metric metric;
	bool raw;
	size_t room;    /* for so many further items */
	size_t n_other; /* label sets for which there was none: they share the item behind them */
	int error;      /* the first one; all that follows is dropped */
};

static int keep(struct emitter *emitter, const struct str *values, int64_t value)
{
	struct buf *bytes = &emitter->set->bytes;
	struct provided item = {.value = value, .values_at = bytes->len};
	int r;

	for (size_t i = 0; i < metric_row(emitter->metric)->n_labels; i++) {
		item.value_bytes[i] = values[i].n;
		r = buf_append_str(bytes, values[i]);
		if (r < 0)
			return r;
	}
	item.labels_at = bytes->len;
	r = label_write_all(bytes, emitter->metric, values, emitter->raw);
	if (r < 0)
		return r;
	item.labels_bytes = bytes->len - item.labels_at;
	return buf_append(&emitter->set->items, &item, sizeof(item));
}

static size_t n_items(const struct provided_set *set)
{
	return set->items.len / sizeof(struct provided);
}

static struct provided *items_of(const struct provided_set *set)
{
	return (struct provided *)(void *)set->items.data;
}

/* Equal label sets, or those that share an item: an info is 1 however many it stands for. */
static void add(struct provided *item, enum metric metric, int64_t value)
{
	if (metric_row(metric)->kind == KIND_GAUGE)
		item->value += value;
}

static int keep_as_other(struct emitter *emitter, int64_t value)
{
	struct provided_set *set = emitter->set;
	struct str others[METRIC_MAX_LABELS];

	if (emitter->n_other++ > 0) {
		add(&items_of(set)[n_items(set) - 1], emitter->metric, value);
		return 0;
	}
	for (size_t i = 0; i < METRIC_MAX_LABELS; i++)
		others[i] = STR_LITERAL("_other");
	return keep(emitter, others, value);
}

static void emit(void *context, const struct str *values, int64_t value)
{
	struct emitter *emitter = context;

	if (emitter->error < 0)
		return;
	if (emitter->room == 0) {
		emitter->error = keep_as_other(emitter, value);
	} else {
		emitter->error = keep(emitter, values, value);
		emitter->room--;
	}
}

static struct str labels_of(const struct provided_set *set, const struct provided *item)
{
	return provider_text(set, item->labels_at, item->labels_bytes);
}

/* The slot of the item with this text, or the empty one (0) where it belongs. */
static uint32_t *find_slot(uint32_t *slots, size_t n_slots, const struct provided_set *set,
			   struct str labels)
{
	size_t i = (size_t)hash_bytes(set->seed, labels.p, labels.n);

	for (i &= n_slots - 1; slots[i]; i = (i + 1) & (n_slots - 1))
		if (str_eq(labels_of(set, provider_item(set, slots[i] - 1)), labels))
			break;
	return &slots[i];
}

/* Adds up the items from `first` on whose texts are equal, in place. */
static int merge(struct provided_set *set, size_t first, enum metric metric)
{
	struct provided *items = items_of(set);
	size_t n = n_items(set), kept = first, n_slots = 16;
	uint32_t *slots;

	while (n_slots < 2 * (n - first))
		n_slots *= 2;
	slots = calloc(n_slots, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (size_t i = first; i < n; i++) {
		uint32_t *slot = find_slot(slots, n_slots, set, labels_of(set, &items[i]));

		if (*slot == 0) {
			items[kept++] = items[i];
			*slot = (uint32_t)kept;
		} else {
			add(&items[*slot - 1], metric, items[i].value);
		}
	}
	set->items.len = kept * sizeof(*items);
	free(slots);
	return 0;
}

/* What a peer can make grow, models and addresses, is behind labels. */
static size_t family_room(const struct registry *registry, enum metric metric)
{
	const struct registry_options *options = &registry->options;
	size_t room = options->max_series_per_family;

	if (metric_row(metric)->n_labels == 0)
		return 1;
	if (room > options->max_series)
		room = options->max_series;
	return room < MAX_FAMILY_ITEMS ? room : MAX_FAMILY_ITEMS;
}

static int collect_family(struct registry *registry, enum metric metric, bool merged,
			  struct provided_set *set)
{
	const struct provider *provider = &registry->providers[metric];
	struct emitter emitter = {
		.set = set,
		.metric = metric,
		.raw = registry->options.raw_labels,
		.room = family_room(registry, metric),
	};
	size_t first = n_items(set);

	provider->collect(provider->context, emit, &emitter);
	if (emitter.n_other > 0)
		registry_overflow(registry, metric, emitter.n_other);
	if (emitter.error == 0 && merged && n_items(set) > first + 1)
		emitter.error = merge(set, first, metric);
	return emitter.error;
}

int provider_collect(struct registry *registry, const bool *only, bool merged,
		     struct provided_set *set)
{
	set->seed = registry->seed;
	buf_init(&set->items, MAX_ITEMS * sizeof(struct provided));
	buf_init(&set->bytes, MAX_BYTES);
	for (int metric = 0; metric < N_METRICS; metric++) {
		set->first[metric] = n_items(set);
		if (registry->providers[metric].collect && (!only || only[metric]) &&
		    collect_family(registry, (enum metric)metric, merged, set) < 0)
			return -ENOMEM;
	}
	set->first[N_METRICS] = n_items(set);
	return 0;
}

void provider_done(struct provided_set *set)
{
	buf_done(&set->items);
	buf_done(&set->bytes);
}
