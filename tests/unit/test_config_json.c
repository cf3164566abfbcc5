/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration as JSON, and as the text that nexusctl makes of that. */
#include "config/config_json.h"

#include <stdlib.h>

#include "base/jsonx.h"
#include "ctl/libconfig_text.h"
#include "tap.h"

static struct json_object *document_of(const char *text)
{
	struct json_object *document = NULL;
	struct config *config = NULL;
	struct buf error, json;

	buf_init(&error, 4096);
	buf_init(&json, 1 << 20);
	if (config_parse_text("t.conf", str_of(text), &config, &error) == 0 &&
	    config_json_write(config, &json) == 0)
		document = jsonx_parse(buf_str(&json));
	ok(document != NULL, "a document: %.*s", (int)error.len, error.len ? error.data : "");
	config_unref(config);
	buf_done(&json);
	buf_done(&error);
	return document;
}

static struct json_object *member(struct json_object *object, const char *path)
{
	struct str rest = str_of(path);
	char name[64];

	while (rest.p) {
		struct str one = str_split(&rest, '.');

		snprintf(name, sizeof(name), "%.*s", (int)one.n, one.p);
		object = jsonx_get(object, name);
	}
	return object;
}

static const char *const text =
	"listeners = ( { address = \"127.0.0.1:1\"; },"
	"  { address = \"unix:/run/x\"; faces = [ \"metrics\", \"admin\" ]; mode = \"0600\"; } );"
	"limits: { max_body = 5000; max_header = \"16K\"; };"
	"timeouts: { head = 0.25; drain = 0; total = 90.5; };"
	"backends = ( { name = \"x\"; type = \"openai\"; url = \"https://h\"; credential = \"k\";"
	"    models = ( { id = \"a\\\\\\\"b\"; vision = false; tools = true; }, \"c\" ); } );"
	"routing: { strategy = \"random\"; fallbacks = ( { model = \"a\"; to = [ \"c\", \"d\" ]; } "
	"); policies = ( { match = \"a*\"; zone = \"restricted\"; } ); };"
	"prices = ( { model = \"*\"; prompt = 0.15; completion = 1000000; } );"
	"metrics: { label_values = \"raw\"; buckets: { duration = ( 0.1, 1, 2.000000001 ); }; };"
	"statsd: { dialect = \"influx\"; tags = [ \"a:b\" ]; };";

static const struct {
	const char *path, *json;
} values[] = {
	{"listeners",
	 "[{\"address\":\"127.0.0.1:1\",\"faces\":[\"api\",\"metrics\"],\"mode\":\"0660\"},"
	 "{\"address\":\"unix:/run/x\",\"faces\":[\"metrics\",\"admin\"],"
	 "\"mode\":\"0600\"}]"},
	{"limits", "{\"max_body\":5000,\"max_bodies\":\"1G\",\"max_header\":\"16K\","
		   "\"max_connections\":20000,\"max_connections_per_address\":0}"},
	{"timeouts.head", "0.25"},
	{"timeouts.drain", "0"},
	{"timeouts.total", "90.5"},
	{"timeouts.idle", "60"},
	{"backends",
	 "[{\"name\":\"x\",\"type\":\"openai\",\"url\":\"https://h\",\"max_concurrent\":0,"
	 "\"priority\":50,\"weight\":1,\"zone\":\"open\",\"tier\":1,"
	 "\"optional\":false,\"credential\":\"(hidden)\",\"forward_authorization\":false,"
	 "\"models\":[{\"id\":\"a\\\\\\\"b\",\"context_length\":0,\"vision\":false,"
	 "\"tools\":true},{\"id\":\"c\",\"context_length\":0}]}]"},
	{"routing.strategy", "\"random\""},
	{"routing.weights", "{\"priority\":50,\"load\":30,\"latency\":20}"},
	{"routing.aliases", "[]"},
	{"routing.fallbacks", "[{\"model\":\"a\",\"to\":[\"c\",\"d\"]}]"},
	{"routing.policies",
	 "[{\"match\":\"a*\",\"zone\":\"restricted\",\"min_tier\":0,\"strict\":false}]"},
	{"prices",
	 "[{\"model\":\"*\",\"prompt\":0.15,\"completion\":1000000,\"cached_prompt\":0}]"},
	{"metrics.label_values", "\"raw\""},
	{"metrics.naming", "\"classic\""},
	{"metrics.buckets", "{\"duration\":[0.1,1,2.000000001]}"},
	{"statsd.dialect", "\"influx\""},
	{"statsd.tags", "[\"a:b\"]"},
	{"allow_unauthenticated", "false"},
};

static void test_values(void)
{
	struct json_object *document = document_of(text);

	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		is_text(jsonx_text(member(document, values[i].path), false), values[i].json, "%s",
			values[i].path);
	jsonx_free(document);
}

/* malloc'ed; the name of the credential, which cannot be read again, replaced. */
static char *text_of(struct json_object *document)
{
	struct buf out;
	char *copy, *hidden;
	size_t n;

	buf_init(&out, 1 << 20);
	ok(libconfig_text_write(document, &out) == 0, "written");
	copy = buf_take(&out, &n);
	hidden = copy ? strstr(copy, CONFIG_HIDDEN) : NULL;
	if (hidden)
		memcpy(hidden, "-hidden-", sizeof(CONFIG_HIDDEN) - 1);
	if (hidden)
		hidden[0] = 'x';
	buf_done(&out);
	return copy;
}

static void test_text(void)
{
	static const char *const texts[] = {"", text};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct json_object *first = document_of(texts[i]), *second;
		char *written = text_of(first), *again;

		second = document_of(written);
		again = text_of(second);
		is_text(again, written, "what is written means the same");
		free(written);
		free(again);
		jsonx_free(first);
		jsonx_free(second);
	}
}

int main(void)
{
	test_values();
	test_text();
	return tap_done();
}
