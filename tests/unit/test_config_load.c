/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "tests/unit/config_files.h"

static void test_merging(void)
{
	struct result result;

	write_text("main.conf", "workers = 1; limits: { max_body = 5; };\n"
				"backends = ( { name = \"a\"; type = \"demo\"; } );\n");
	write_text("conf.d/20.conf", "workers = 3; limits: { max_header = 2000; };\n");
	write_text("conf.d/10.conf", "workers = 2; routing: { max_retries = 7; };\n"
				     "backends = ( { name = \"b\"; type = \"ollama\"; } );\n");
	write_text("conf.d/.hidden.conf", "nonsense");
	write_text("conf.d/note.txt", "nonsense");
	write_text("conf.d/30.conf~", "nonsense");
	load_main(&result);
	is_text(error_of(&result), "", "a main file and two fragments");
	if (result.config) {
		is_u64(result.config->workers, 3, "the last scalar wins");
		is_u64(result.config->limits.max_body, 5, "groups merge");
		is_u64(result.config->limits.max_header, 2000, "groups merge");
		is_u64(result.config->routing.max_retries, 7, "groups merge");
		is_u64(result.config->n_backends, 2, "lists append");
		is_text(result.config->backends[1].name, "b", "in the order of the names");
		is_u64(result.config->n_listeners, 1, "the built-in listener stays");
	}
	done(&result);

	write_text("conf.d/20.conf", "\nbackends = ( { name = \"a\"; type = \"demo\"; } );\n");
	load_bad("conf.d/20.conf:2: the backend \"a\" exists already at main.conf:2; "
		 "rename or remove one");
	write_text("conf.d/20.conf", "\nwrkers = 1;");
	load_bad("conf.d/20.conf:2: unknown option wrkers; nexusd.conf(5) lists all of them");
	write_text("conf.d/20.conf", "\n\ncors_origins = [ \"foo\" ];");
	load_bad("conf.d/20.conf:3: cors_origins has an element that no browser sends as an "
		 "origin; write such as [ \"https://chat.example.org\" ], or [ \"*\" ]");
	write_text("conf.d/20.conf", "\nstatsd: { interval = 1;\n tags = [ \"a:b\" ]; };");
	load_bad("conf.d/20.conf:3: statsd.tags cannot be said in this dialect; remove them, or "
		 "choose graphite, dogstatsd or influx");
	write_text("conf.d/20.conf", "\nlisteners = ( );");
	load_bad("conf.d/20.conf:2: no listener has the face api; add it to the faces of one");
	unlink(path_of("conf.d/20.conf"));
	mkdir(path_of("conf.d/20.conf"), 0700);
	load_bad("conf.d/20.conf: not a regular file; name one");
	rmdir(path_of("conf.d/20.conf"));
	if (mkfifo(path_of("conf.d/20.conf"), 0600) == 0)
		load_bad("conf.d/20.conf: not a regular file; name one");
	unlink(path_of("conf.d/20.conf"));
	if (symlink("nowhere", path_of("conf.d/20.conf")) == 0)
		load_bad("conf.d/20.conf: cannot be read: No such file or directory; "
			 "name a readable file");
	unlink(path_of("conf.d/20.conf"));
	unlink(path_of("conf.d/10.conf"));

	unlink(path_of("main.conf"));
	load_bad("main.conf: cannot be read: No such file or directory; name a readable file");
	load(&result, "/dev/null");
	is_int(result.r, 0, "/dev/null is an empty configuration");
	done(&result);
}

static const struct {
	const char *variable, *value, *line; /* line NULL: taken */
} variables[] = {
	{"NEXUSD_WORKERS", "7", NULL},
	{"NEXUSD_WORKERS", "", NULL},
	{"NEXUSD_WORKERS", "x",
	 "environment NEXUSD_WORKERS: workers cannot be \"x\"; "
	 "write a whole number"},
	{"NEXUSD_WORKERS", "-1",
	 "environment NEXUSD_WORKERS: workers cannot be \"-1\"; "
	 "write a whole number"},
	{"NEXUSD_WORKERS", "2000",
	 "environment NEXUSD_WORKERS: workers is out of range; choose from 0 to 1024 threads"},
	{"NEXUSD_LIMITS_MAX_BODY", "20M", NULL},
	{"NEXUSD_LIMITS_MAX_BODY", "20T",
	 "environment NEXUSD_LIMITS_MAX_BODY: limits.max_body cannot be \"20T\"; "
	 "write bytes, or a number with K, M or G such as \"10M\""},
	{"NEXUSD_TIMEOUTS_FIRST_BYTE", "0.5", NULL},
	{"NEXUSD_LOG_LEVEL", "debug", NULL},
	{"NEXUSD_LOG_LEVEL", "loud",
	 "environment NEXUSD_LOG_LEVEL: log.level cannot be \"loud\"; "
	 "write one of: error warning notice info debug"},
	{"NEXUSD_ROUTING_WEIGHTS_LOAD", "101",
	 "environment NEXUSD_ROUTING_WEIGHTS_LOAD: routing.weights.load is out of range; "
	 "choose from 0 to 100 percent"},
	{"METRICS_ENABLED", "FALSE", NULL},
	{"METRICS_ENABLED", "1", NULL},
	{"METRICS_ENABLED", "off",
	 "environment METRICS_ENABLED: metrics.enabled cannot be \"off\"; "
	 "write true or false"},
	{"METRICS_PATH", "prom", NULL},
	{"METRICS_PATH", "v1/stats",
	 "environment METRICS_PATH: metrics.path is a path of nexusd's own, as all "
	 "below /v1 and /admin are; choose another one"},
	{"NEXUSD_BACKENDS", "x", NULL}, /* no scalar, so none of ours */
	{"NEXUSD_SOMETHING_ELSE", "x", NULL},
};

static void test_environment(void)
{
	struct result result;

	write_text("main.conf", "workers = 1; metrics: { enabled = true; path = \"/m\"; };");
	for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
		setenv(variables[i].variable, variables[i].value, 1);
		load_main(&result);
		is_text(error_of(&result), variables[i].line ? variables[i].line : "", "%s=%s",
			variables[i].variable, variables[i].value);
		done(&result);
		unsetenv(variables[i].variable);
	}

	setenv("NEXUSD_STATSD_DIALECT", "carbon", 1);
	setenv("NEXUSD_STATSD_ADDRESS", "unixgram:///tmp/x", 1);
	load_bad("environment NEXUSD_STATSD_ADDRESS: carbon listens on no unix socket; set "
		 "statsd.address to tcp://host:2003, or choose another statsd.dialect");
	unsetenv("NEXUSD_STATSD_DIALECT");
	unsetenv("NEXUSD_STATSD_ADDRESS");

	setenv("NEXUSD_WORKERS", "7", 1);
	setenv("NEXUSD_TIMEOUTS_FIRST_BYTE", "0.5", 1);
	setenv("NEXUSD_LIMITS_MAX_BODY", "20M", 1);
	setenv("METRICS_ENABLED", "0", 1);
	setenv("METRICS_PATH", "prom", 1);
	load_main(&result);
	if (ok(result.config != NULL, "the environment wins over the file")) {
		is_u64(result.config->workers, 7, "a number");
		is_u64(result.config->timeouts.first_byte, NS_PER_SEC / 2, "a duration");
		is_u64(result.config->limits.max_body, 20 << 20, "a size");
		ok(!result.config->metrics.enabled, "METRICS_ENABLED");
		is_text(result.config->metrics.path, "/prom", "METRICS_PATH");
	}
	done(&result);
	setenv("NEXUSD_METRICS_PATH", "/ours", 1);
	load_main(&result);
	is_text(result.config ? result.config->metrics.path : NULL, "/ours",
		"NEXUSD_METRICS_PATH wins over METRICS_PATH");
	done(&result);
	unsetenv("NEXUSD_WORKERS");
	unsetenv("NEXUSD_TIMEOUTS_FIRST_BYTE");
	unsetenv("NEXUSD_LIMITS_MAX_BODY");
	unsetenv("METRICS_ENABLED");
	unsetenv("METRICS_PATH");
	unsetenv("NEXUSD_METRICS_PATH");
}

static void test_ca_file(void)
{
	static const struct {
		const char *path, *error; /* NULL: it is taken */
	} cases[] = {
		{"/nonexistent/ca.pem", "No such file or directory"},
		{"/", "it is not a regular file"},
		{"/dev/zero", "it is not a regular file"},
		{"/proc/self/status", NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct result result;
		char text[256];

		snprintf(text, sizeof(text),
			 "\nbackends = ( { name = \"a\"; type = \"vllm\"; url = \"https://h\"; "
			 "ca_file = \"%s\"; } );",
			 cases[i].path);
		write_text("main.conf", text);
		if (cases[i].error) {
			snprintf(text, sizeof(text),
				 "main.conf:2: the ca_file of the backend \"a\" cannot be read: "
				 "%s; name a readable file",
				 cases[i].error);
			load_bad(text);
			continue;
		}
		load_main(&result);
		is_int(result.r, 0, "a ca_file that can be read");
		done(&result);
	}
}

int main(void)
{
	if (!mkdtemp(root))
		return 1;
	make_folder("conf.d");
	test_merging();
	test_environment();
	test_ca_file();
	remove_root();
	return tap_done();
}
