/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config_text.h"

#include "tests/unit/config_fixture.h"

static void parse_bad(const char *text, const char *line)
{
	struct result result;

	parse(&result, text);
	is_text(error_of(&result), line, "%s", line);
	ok(result.r == -EINVAL && !result.config, "and nothing else");
	done(&result);
}

#define BOUNDS_ADVICE "write ascending numbers such as ( 0.1, 0.5, 1 )"
#define BACKEND(more) "backends = ( { name = \"a\"; type = \"vllm\"; " more " } );"
#define URL           "url = \"http://h\";"
#define ALIAS(a, b)   "{ name = \"" a "\"; model = \"" b "\"; }"

#define POLICY(more) "routing: { policies = ( { " more " } ); };"
#define GLOB_ADVICE                                                                             \
	"write a name with * for any characters, ? for one, [a-c] for one of some, [!a-c] for " \
	"one of the others"

#define RECEIVER_ADVICE "write udp://127.0.0.1:8125, tcp://host:port or unixgram:///path"
#define TAKEN_PATH                                                                \
	"t.conf:1: metrics.path is a path of nexusd's own, as all below /v1 and " \
	"/admin are; choose another one"
#define TAG_LINE                                                                 \
	"t.conf:1: statsd.tags has an element that is no key:value of letters, " \
	"digits and _ - .; write such as [ \"dc:fra1\" ]"

#define FORTY  "0123456789012345678901234567890123456789"
#define EIGHTY FORTY FORTY
#define LONG   EIGHTY EIGHTY FORTY

static const struct {
	const char *text, *line;
} bad[] = {
	/* syntax */
	{"workers = 1\nworkers = 2;\n",
	 "t.conf:2: duplicate setting name; correct this line or the one before it"},
	{"\n\nworkers 3;", "t.conf:3: syntax error; correct this line or the one before it"},
	{"log: {\n level = \"info\n};\n",
	 "t.conf:4: syntax error; correct this line or the one before it"},
	{"a = [ 1, \"x\" ];",
	 "t.conf:1: mismatched element type in array; correct this line or the one before it"},
	{"workers = 1;\n\t @include \"/etc/passwd\"\n",
	 "t.conf:2: @include is not supported; put the file into conf.d"},
	/* names */
	{"worker = 1;", "t.conf:1: unknown option worker; nexusd.conf(5) lists all of them"},
	{"limits: {\n max_bdy = 1;\n};",
	 "t.conf:2: unknown option limits.max_bdy; nexusd.conf(5) lists all of them"},
	{"routing: { weights: { speed = 1; }; };",
	 "t.conf:1: unknown option routing.weights.speed; nexusd.conf(5) lists all of them"},
	{BACKEND(URL "size = 3;"),
	 "t.conf:1: unknown option backends.size; nexusd.conf(5) lists all of them"},
	{BACKEND(URL "models = ( { id = \"m\"; size = 7; } );"),
	 "t.conf:1: unknown option backends.models.size; nexusd.conf(5) lists all of them"},
	{"a_name_that_is_longer_than_any_option_of_nexusd_could_ever_sensibly_be: { x = 1; };",
	 "t.conf:1: unknown option "
	 "a_name_that_is_longer_than_any_option_of_nexusd_could_ever_sens; "
	 "nexusd.conf(5) lists all of them"},
	/* types */
	{"workers = \"4\";", "t.conf:1: workers cannot be a string; write a whole number"},
	{"workers = 4.0;",
	 "t.conf:1: workers cannot be a number with decimals; write a whole number"},
	{"workers = true;", "t.conf:1: workers cannot be true or false; write a whole number"},
	{"workers = [ 1 ];", "t.conf:1: workers cannot be a list; write a whole number"},
	{"workers: { };", "t.conf:1: workers cannot be a group; write a whole number"},
	{"limits = 3;",
	 "t.conf:1: limits cannot be a number; write a group such as limits: { ... };"},
	{"routing: { weights = ( ); };",
	 "t.conf:1: routing.weights cannot be a list; write a group such as weights: { ... };"},
	{"limits: { max_body = \"10X\"; };",
	 "t.conf:1: limits.max_body cannot be \"10X\"; "
	 "write bytes, or a number with K, M or G such as \"10M\""},
	{"limits: { max_body = \"\"; };",
	 "t.conf:1: limits.max_body cannot be \"\"; "
	 "write bytes, or a number with K, M or G such as \"10M\""},
	{"limits: { max_body = 1.5; };",
	 "t.conf:1: limits.max_body cannot be a number with decimals; "
	 "write bytes, or a number with K, M or G such as \"10M\""},
	{"timeouts: { head = \"10s\"; };",
	 "t.conf:1: timeouts.head cannot be a string; write seconds such as 30 or 0.25"},
	{"allow_unauthenticated = 1;",
	 "t.conf:1: allow_unauthenticated cannot be a number; write true or false"},
	{"log: { level = \"loud\"; };", "t.conf:1: log.level cannot be \"loud\"; "
					"write one of: error warning notice info debug"},
	{"log: { level = 3; };", "t.conf:1: log.level cannot be a number; "
				 "write one of: error warning notice info debug"},
	{"metrics: { label_values = \"rare\"; };",
	 "t.conf:1: metrics.label_values cannot be \"rare\"; "
	 "write one of: sanitized raw"},
	{"backends = ( { name = \"a\"; type = \"anthropic\"; } );",
	 "t.conf:1: backends.type cannot be \"anthropic\"; "
	 "write one of: demo ollama vllm sglang llamacpp lmstudio exo generic openai"},
	{"credentials_directory = 7;", "t.conf:1: credentials_directory cannot be a number; "
				       "write an absolute path in double quotes"},
	{"listeners = \"127.0.0.1:8000\";",
	 "t.conf:1: listeners cannot be a string; "
	 "write a list of groups such as ( { name = \"one\"; } )"},
	{"listeners: { };", "t.conf:1: listeners cannot be a group; "
			    "write a list of groups such as ( { name = \"one\"; } )"},
	{"listeners = ( \"127.0.0.1:8000\" );",
	 "t.conf:1: listeners cannot be a string; "
	 "write a list of groups such as ( { name = \"one\"; } )"},
	{BACKEND(URL "models = ( 3 );"), "t.conf:1: backends.models cannot be a number; "
					 "write a list of groups such as ( { name = \"one\"; } )"},
	{BACKEND(URL "models = ( { id = \"m\"; tools = 1; } );"),
	 "t.conf:1: backends.models.tools cannot be a number; write true or false"},
	{"routing: { fallbacks = ( { model = \"m\"; to = \"n\"; } ); };",
	 "t.conf:1: routing.fallbacks.to cannot be a string; "
	 "write a list such as [ \"one\", \"two\" ]"},
	{"routing: { fallbacks = ( { model = \"m\"; to = [ 1 ]; } ); };",
	 "t.conf:1: routing.fallbacks.to cannot be a number; "
	 "write a list such as [ \"one\", \"two\" ]"},
	/* patterns */
	{POLICY("match = \"gpt-[45\";"),
	 "t.conf:1: routing.policies.match is no pattern; " GLOB_ADVICE},
	{POLICY("match = \"{a,b}*\";"),
	 "t.conf:1: routing.policies.match is no pattern; " GLOB_ADVICE},
	{POLICY("match = \"[^x]*\";"),
	 "t.conf:1: routing.policies.match is no pattern; " GLOB_ADVICE},
	{POLICY("match = \"\";"), "t.conf:1: routing.policies.match is empty; " GLOB_ADVICE},
	{POLICY("zone = \"open\";"), "t.conf:1: routing.policies.match is missing; add it"},
	{POLICY("match = \"*\"; zone = \"secret\";"),
	 "t.conf:1: routing.policies.zone cannot be \"secret\"; "
	 "write one of: open restricted"},
	{POLICY("match = \"*\"; min_tier = 101;"),
	 "t.conf:1: routing.policies.min_tier is out of range; choose from 0 to 100"},
	{"routing: { policies = ( { match = \"a*\"; },\n{ match = \"a*\"; } ); };",
	 "t.conf:2: the policy for \"a*\" exists already at t.conf:1; rename or remove one"},
	{"prices = ( { model = \"[a\"; prompt = 1; } );",
	 "t.conf:1: prices.model is no pattern; " GLOB_ADVICE},
	{"routing: { session_key = \"cookie\"; };",
	 "t.conf:1: routing.session_key is not understood; write user, prefix, or header: and a "
	 "name"},
	{"routing: { session_key = \"header:\"; };",
	 "t.conf:1: routing.session_key is not understood; write user, prefix, or header: and a "
	 "name"},
	{"routing: { session_key = \"header:a b\"; };",
	 "t.conf:1: routing.session_key is not understood; write user, prefix, or header: and a "
	 "name"},
	{"routing: { session_key = \"user:x\"; };",
	 "t.conf:1: routing.session_key is not understood; write user, prefix, or header: and a "
	 "name"},
	{BACKEND(URL "zone = \"closed\";"), "t.conf:1: backends.zone cannot be \"closed\"; "
					    "write one of: restricted open"},
	{BACKEND(URL "tier = 0;"), "t.conf:1: backends.tier is out of range; choose from 1 to 100"},
	/* ranges */
	{"workers = -1;", "t.conf:1: workers is out of range; choose from 0 to 1024 threads"},
	{"workers = 1025;", "t.conf:1: workers is out of range; choose from 0 to 1024 threads"},
	{"workers = 99999999999;",
	 "t.conf:1: workers is out of range; choose from 0 to 1024 threads"},
	{"limits: { max_body = \"2G\"; };",
	 "t.conf:1: limits.max_body is out of range; choose from 1 to 1G bytes"},
	{"limits: { max_body = \"17179869184G\"; };",
	 "t.conf:1: limits.max_body is out of range; choose from 1 to 1G bytes"},
	{"timeouts: { head = 0; };",
	 "t.conf:1: timeouts.head is out of range; choose from 0.001 to 86400 seconds"},
	{"timeouts: { head = 1e300; };",
	 "t.conf:1: timeouts.head is out of range; choose from 0.001 to 86400 seconds"},
	{"timeouts: { head = -0.5; };",
	 "t.conf:1: timeouts.head is out of range; choose from 0.001 to 86400 seconds"},
	{"health: { failures = 0; };",
	 "t.conf:1: health.failures is out of range; choose from 1 to 1000 checks"},
	{"listeners = ( { address = \"unix:/s\"; mode = \"1777\"; } );",
	 "t.conf:1: listeners.mode is out of range; choose from 0 to 0777"},
	{"listeners = ( { address = \"unix:/s\"; mode = \"0689\"; } );",
	 "t.conf:1: listeners.mode cannot be \"0689\"; "
	 "write octal digits in double quotes such as \"0660\""},
	{"listeners = ( { address = \"unix:/s\"; mode = 0660; } );",
	 "t.conf:1: listeners.mode cannot be a number; "
	 "write octal digits in double quotes such as \"0660\""},
	/* texts */
	{BACKEND("url = \"ftp://h\";"), "t.conf:1: backends.url is no http or https URL; "
					"write one such as http://127.0.0.1:8000"},
	{BACKEND("url = \"http://me:secret@h\";"),
	 "t.conf:1: backends.url holds a user name or password; "
	 "name a file with credential instead"},
	{BACKEND("url = \"http://h/?key=secret\";"),
	 "t.conf:1: backends.url has a query or a fragment; remove it"},
	{"backends = ( { name = \"a b\"; type = \"demo\"; } );",
	 "t.conf:1: backends.name has a character that is not allowed in a name; "
	 "write letters, digits and . _ - in double quotes"},
	{"backends = ( { name = \"\"; type = \"demo\"; } );",
	 "t.conf:1: backends.name is empty; "
	 "write letters, digits and . _ - in double quotes"},
	{BACKEND(URL "credential = \"../shadow\";"),
	 "t.conf:1: backends.credential has a character that is not allowed in a name; "
	 "write letters, digits and . _ - in double quotes"},
	{BACKEND(URL "credential = \".hidden\";"),
	 "t.conf:1: backends.credential has a character that is not allowed in a name; "
	 "write letters, digits and . _ - in double quotes"},
	{BACKEND(URL "ca_file = \"ca.pem\";"),
	 "t.conf:1: backends.ca_file does not begin with a slash; "
	 "write an absolute path in double quotes"},
	{BACKEND(URL "models = [ \"a\\nb\" ];"),
	 "t.conf:1: backends.models.id has a control character or is not UTF-8; remove it"},
	{BACKEND(URL "models = [ \"a\\xFFb\" ];"),
	 "t.conf:1: backends.models.id has a control character or is not UTF-8; remove it"},
	{BACKEND(URL "models = [ \"\" ];"),
	 "t.conf:1: backends.models.id is empty; write a text in double quotes"},
	{"routing: { fallbacks = ( { model = \"m\"; to = [ \"\" ]; } ); };",
	 "t.conf:1: routing.fallbacks.to is empty; write a list such as [ \"one\", \"two\" ]"},
	{"routing: { fallbacks = ( { model = \"m\"; to = [ ]; } ); };",
	 "t.conf:1: routing.fallbacks.to is empty; write a list such as [ \"one\", \"two\" ]"},
	{"metrics: { buckets: { duration = ( 0.5, 0.1 ); }; };",
	 "t.conf:1: metrics.buckets.duration does not ascend from above 0; " BOUNDS_ADVICE},
	{"metrics: { buckets: { tokens = [ 0, 1 ]; }; };",
	 "t.conf:1: metrics.buckets.tokens does not ascend from above 0; " BOUNDS_ADVICE},
	{"metrics: { buckets: { tokens = [ 0.5, 1.0 ]; }; };",
	 "t.conf:1: metrics.buckets.tokens has an element that is no whole number; " BOUNDS_ADVICE},
	{"metrics: { buckets: { gateway = ( \"a\" ); }; };",
	 "t.conf:1: metrics.buckets.gateway has an element that is no positive "
	 "number; " BOUNDS_ADVICE},
	{"metrics: { buckets: { gateway = ( -1, 1 ); }; };",
	 "t.conf:1: metrics.buckets.gateway has an element that is no positive "
	 "number; " BOUNDS_ADVICE},
	{"metrics: { buckets: { gateway = ( ); }; };",
	 "t.conf:1: metrics.buckets.gateway is empty; " BOUNDS_ADVICE},
	{"metrics: { buckets: { gateway = 1; }; };",
	 "t.conf:1: metrics.buckets.gateway cannot be a number; " BOUNDS_ADVICE},
	{"listeners = ( { address = \"127.0.0.1\"; } );",
	 "t.conf:1: listeners.address has no port; "
	 "write 127.0.0.1:8000, [::1]:8000 or unix:/path"},
	{"listeners = ( { address = \"127.0.0.1:0\"; faces = [ ]; } );",
	 "t.conf:1: listeners.faces is empty; write a list of some of: api metrics admin"},
	{"listeners = ( { address = \"127.0.0.1:0\"; faces = [ \"api\", \"root\" ]; } );",
	 "t.conf:1: listeners.faces cannot be \"root\"; "
	 "write a list of some of: api metrics admin"},
	{"listeners = ( { address = \"127.0.0.1:0\"; faces = [ \"api\" \"metrics\" ]; } );",
	 "t.conf:1: listeners.faces cannot be \"apimetrics\"; "
	 "write a list of some of: api metrics admin"},
	{"log: { level = \"" LONG "\"; };", "t.conf:1: log.level cannot be \"" EIGHTY "\"; "
					    "write one of: error warning notice info debug"},
	{"listeners = ( { address = \"127.0.0.1:0\"; faces = \"api\"; } );",
	 "t.conf:1: listeners.faces cannot be \"api\"; "
	 "write a list of some of: api metrics admin"},
	{"listeners = ( { address = \"127.0.0.1:1\"; faces = [ \"api\", \"admin\" ]; } );",
	 "t.conf:1: the listener 127.0.0.1:1 would let anybody reload and drain; give the face "
	 "admin "
	 "to a unix socket, whose permissions say who may"},
	{"metrics: { path = \"/admin/status\"; };", TAKEN_PATH},
	{"metrics: { path = \"/v1/models/x\"; };", TAKEN_PATH},
	{"metrics: { path = \"health\"; };", TAKEN_PATH},
	{"metrics: { path = \"/a?b\"; };",
	 "t.conf:1: metrics.path has a character other than letters, digits and - . _ ~ /; "
	 "write a path such as \"/metrics\""},
	{"statsd: { address = \"127.0.0.1:8125\"; };",
	 "t.conf:1: statsd.address has no known transport; " RECEIVER_ADVICE},
	{"statsd: { address = \"udp://h\"; };",
	 "t.conf:1: statsd.address has no valid port; " RECEIVER_ADVICE},
	{"statsd: { dialect = \"etsy\"; };",
	 "t.conf:1: statsd.dialect cannot be \"etsy\"; "
	 "write one of: plain graphite dogstatsd influx carbon"},
	{"statsd: { max_packet = 1023; };",
	 "t.conf:1: statsd.max_packet is out of range; choose from 1K to 65000 bytes"},
	{"statsd: { prefix = \"a b\"; };",
	 "t.conf:1: statsd.prefix has a character that is not allowed in a name; "
	 "write letters, digits and . _ - in double quotes"},
	/* the whole */
	{"statsd: { dialect = \"carbon\"; address = \"unixgram:///run/x\"; };",
	 "t.conf:1: carbon listens on no unix socket; set statsd.address to tcp://host:2003, or "
	 "choose another statsd.dialect"},
	{"statsd: { tags = [ \"a:b\" ]; };",
	 "t.conf:1: statsd.tags cannot be said in this dialect; remove them, or choose graphite, "
	 "dogstatsd or influx"},
	{"statsd: { dialect = \"influx\"; tags = [ \"a:b\", \"a:b,c\" ]; };", TAG_LINE},
	{"statsd: { dialect = \"influx\"; tags = [ \"ab\" ]; };", TAG_LINE},
	{"statsd: { dialect = \"graphite\"; tags = [ \":b\" ]; };", TAG_LINE},
	{"statsd: { dialect = \"graphite\"; tags = [ \"a:\" ]; };", TAG_LINE},
	{"statsd: { dialect = \"graphite\"; tags = [ \"a:b:c\" ]; };", TAG_LINE},
	{"statsd: {\n dialect = \"graphite\";\n tags = [ \"a:" LONG "\", \"b:" LONG "\" ]; };",
	 "t.conf:3: statsd.tags are too long; shorten them to 320 bytes in all"},
	{"statsd: { allow = [ \"nexus_*\",\n\"[a\" ]; };",
	 "t.conf:2: statsd.allow has an element that is no pattern; "
	 "write patterns such as [ \"nexus_*\" ]"},
	{"statsd: { deny = \"*_info\"; };",
	 "t.conf:1: statsd.deny cannot be a string; write patterns such as [ \"nexus_*\" ]"},
	{"cors_origins = [ \"https://a.example\",\n\"https://b.example/path\" ];",
	 "t.conf:2: cors_origins has an element that no browser sends as an origin; "
	 "write such as [ \"https://chat.example.org\" ], or [ \"*\" ]"},
	{"cors_origins = \"*\";", "t.conf:1: cors_origins cannot be a string; "
				  "write such as [ \"https://chat.example.org\" ], or [ \"*\" ]"},
	{"listeners = ( {\n faces = [ \"api\" ]; } );",
	 "t.conf:1: listeners.address is missing; add it"},
	{"backends = ( { name = \"a\"; } );", "t.conf:1: backends.type is missing; add it"},
	{"routing: { aliases = ( { name = \"a\"; } ); };",
	 "t.conf:1: routing.aliases.model is missing; add it"},
	{"routing: { fallbacks = ( { model = \"a\"; } ); };",
	 "t.conf:1: routing.fallbacks.to is missing; add it"},
	{"backends = (\n{ name = \"a\"; type = \"demo\"; },\n{ name = \"a\"; type = \"ollama\"; } "
	 ");",
	 "t.conf:3: the backend \"a\" exists already at t.conf:2; rename or remove one"},
	{"listeners = (\n{ address = \"127.0.0.1:80\"; },\n{ address = \"127.0.0.1:80\"; } );",
	 "t.conf:3: the listener \"127.0.0.1:80\" exists already at t.conf:2; "
	 "rename or remove one"},
	{"routing: { aliases = (\n" ALIAS("a", "m") ",\n" ALIAS("a", "n") " ); };",
	 "t.conf:3: the alias \"a\" exists already at t.conf:2; rename or remove one"},
	{BACKEND(URL "models = [ \"m\",\n\"n\",\n\"m\" ];"),
	 "t.conf:3: the model \"m\" exists already at t.conf:1; rename or remove one"},
	{"routing: { fallbacks = ( { model = \"m\"; to = [ \"n\" ]; },\n"
	 "{ model = \"m\"; to = [ \"o\" ]; } ); };",
	 "t.conf:2: the fallback of \"m\" exists already at t.conf:1; rename or remove one"},
	{"routing: { fallbacks = ( { model = \"m\"; to = [ \"n\", \"m\" ]; } ); };",
	 "t.conf:1: the fallback of \"m\" is that model itself; remove it from the list"},
	{"routing: { aliases = ( " ALIAS("a", "a") " ); };",
	 "t.conf:1: the alias \"a\" goes round in a circle; let it end at a model"},
	{"routing: { aliases = ( " ALIAS("x", "a") ",\n" ALIAS("a", "b") ",\n" ALIAS("b",
										     "a") " ); };",
	 "t.conf:1: the alias \"x\" goes round in a circle; let it end at a model"},
	{"routing: { aliases = ( " ALIAS("a", "b") "," ALIAS("b", "c") "," ALIAS(
		 "c", "d") "," ALIAS("d", "m") " ); };",
	 "t.conf:1: the alias \"a\" leads over more than 3 aliases; name the model itself"},
	{BACKEND(URL "models = [ \"m\" ];") "\nrouting: { aliases = ( " ALIAS("m", "n") " ); };",
	 "t.conf:2: the alias \"m\" hides the model at t.conf:1; rename it"},
	{BACKEND(""), "t.conf:1: the backend \"a\" has no url; add one such as "
		      "url = \"http://127.0.0.1:8000\""},
	{BACKEND("url = \"\";"), "t.conf:1: the backend \"a\" has no url; add one such as "
				 "url = \"http://127.0.0.1:8000\""},
	{BACKEND(URL "credential = \"k\"; forward_authorization = true;"),
	 "t.conf:1: the backend \"a\" has both credential and forward_authorization; remove one"},
	{"backends = ( { name = \"a\"; type = \"demo\"; " URL " } );",
	 "t.conf:1: the backend \"a\" is a demo without url or credential; remove them"},
	{"backends = ( { name = \"none\"; type = \"demo\"; } );",
	 "t.conf:1: a backend cannot be called \"none\"; rename it"},
	{"\nlisteners = ( { address = \"0.0.0.0:8000\"; } );",
	 "t.conf:2: the listener 0.0.0.0:8000 would serve anybody without a key; bind it to "
	 "127.0.0.1, ask for certificates with tls.client_ca, or set allow_unauthenticated = true "
	 "if something in front of it checks who asks"},
	{"listeners = ( { address = \"[::1]:1\"; tls: { key = \"/k\"; }; } );",
	 "t.conf:1: the listener [::1]:1 has only one of tls.certificate and tls.key; add the "
	 "other"},
	{"listeners = ( { address = \"[::1]:1\"; tls: { client_ca = \"/c\"; }; } );",
	 "t.conf:1: the listener [::1]:1 has tls.client_ca, but no certificate of its own; add "
	 "tls.certificate and tls.key"},
	{"listeners = ( { address = \"127.0.0.1:9090\"; faces = [ \"metrics\" ]; } );",
	 "t.conf:1: no listener has the face api; add it to the faces of one"},
	{"listeners = ( );", "t.conf:1: no listener has the face api; add it to the faces of one"},
};

static void test_bad_texts(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		parse_bad(bad[i].text, bad[i].line);
}

/* Each path of routes.def but the metrics path itself; none has to be told twice. */
static void test_paths_of_routes(void)
{
	static const struct {
		const char *path, *flags;
	} routes[] = {
#define ROUTE(id, method, path, face, flags, handler, help) {path, #flags},
#include "api/routes.def"
#undef ROUTE
	};

	for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
		const char *path = routes[i].path;
		char *text;

		if (strstr(routes[i].flags, "SETTING"))
			continue;
		if (asprintf(&text, "metrics: { path = \"%.*s\"; };", (int)strcspn(path, "{"),
			     path) < 0)
			abort();
		parse_bad(text, TAKEN_PATH);
		free(text);
	}
}

static void parse_bytes(struct result *result, const char *name, struct str text, size_t max_line)
{
	*result = (struct result){0};
	buf_init(&result->error, max_line);
	result->r = config_parse_text(name, text, &result->config, &result->error);
}

static void test_nul(void)
{
	struct result result;

	parse_bytes(&result, "t.conf", STR_LITERAL("workers = 1;\n\0"), 4096);
	is_text(error_of(&result), "t.conf:2: a NUL byte; save it as plain text", "a NUL byte");
	done(&result);
}

static void test_sizes_of_texts(void)
{
	size_t n = CONFIG_TEXT_MAX;
	char *text = malloc(n + 2);
	struct result result;

	if (!text)
		return;
	memset(text, '\n', n + 1);
	text[n + 1] = '\0';
	parse(&result, text);
	is_text(error_of(&result), "t.conf: larger than 1 MiB; split it into files in conf.d",
		"1 MiB and one byte");
	done(&result);

	text[n] = '\0';
	parse(&result, text);
	is_int(result.r, 0, "exactly 1 MiB");
	done(&result);

	free(text);
}

/* libconfig's parser has a stack of its own: it has to refuse, not to overflow ours. */
static void test_nesting(void)
{
	static const struct {
		const char *first, *again;
	} texts[] = {{"", "a:{"}, {"a=", "("}};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		size_t first = strlen(texts[i].first), again = strlen(texts[i].again);
		char *text = calloc(1, CONFIG_TEXT_MAX + 1);
		struct result result;

		if (!text)
			return;
		memcpy(text, texts[i].first, first);
		for (size_t n = first; n + again <= CONFIG_TEXT_MAX; n += again)
			memcpy(text + n, texts[i].again, again);
		parse(&result, text);
		is_int(result.r, -EINVAL, "\"%s\" as often as it fits", texts[i].again);
		done(&result);
		free(text);
	}
}

static void test_one_line(void)
{
	struct result result;

	parse_bytes(&result, "a\nb.conf", STR_LITERAL("x = 1;"), 40);
	is_text(error_of(&result), "a?b.conf:1: unknown option x; nexusd.con",
		"control characters are replaced and the line is cut at the ceiling");
	done(&result);
}

int main(void)
{
	test_bad_texts();
	test_paths_of_routes();
	test_nul();
	test_sizes_of_texts();
	test_nesting();
	test_one_line();
	return tap_done();
}
