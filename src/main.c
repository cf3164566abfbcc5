/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: argv becomes options, daemon_run() does the rest. */
#include <getopt.h>
#include <stdio.h>
#include <sys/prctl.h>

#include "base/i18n.h"
#include "base/standard_files.h"
#include "base/version.h"
#include "daemon/daemon.h"

/* Usage errors, as init scripts know them. */
#define EXIT_USAGE 2

static const char usage[] =
	N_("Usage: nexusd [-c FILE] [--check-config] [--log-level LEVEL] [--version]\n"
	   "\n"
	   "  -c, --config FILE      read FILE instead of /etc/nexusd/nexusd.conf\n"
	   "      --check-config     check the configuration and exit: 0 good, 1 bad\n"
	   "      --log-level LEVEL  error, warning, notice, info or debug\n"
	   "      --version          print the version and exit\n"
	   "      --help             print this and exit\n"
	   "\n"
	   "The manuals are nexusd(8) and nexusd.conf(5).\n");

enum { OPTION_CHECK = 256, OPTION_LOG_LEVEL, OPTION_VERSION, OPTION_HELP };

static const struct option long_options[] = {
	{"config", required_argument, NULL, 'c'},
	{"check-config", no_argument, NULL, OPTION_CHECK},
	{"log-level", required_argument, NULL, OPTION_LOG_LEVEL},
	{"version", no_argument, NULL, OPTION_VERSION},
	{"help", no_argument, NULL, OPTION_HELP},
	{0},
};

static const char levels[] =
#define X(id, name, priority) " " name
	LOG_LEVELS(X)
#undef X
	;

int main(int argc, char **argv)
{
	struct daemon_options options = {.argv = argv};
	bool check = false;
	int option;

	standard_files_open();
	i18n_init(LOCALEDIR);
	while ((option = getopt_long(argc, argv, "c:", long_options, NULL)) != -1) {
		switch (option) {
		case 'c':
			options.config_path = optarg;
			break;
		case OPTION_CHECK:
			check = true;
			break;
		case OPTION_LOG_LEVEL:
			options.has_log_level = true;
			if (log_level_parse(optarg, &options.log_level) == 0)
				break;
			fprintf(stderr, _("nexusd: no such log level: %s; choose one of:%s\n"),
				optarg, levels);
			return EXIT_USAGE;
		case OPTION_VERSION:
			printf("nexusd %s\n", version_text);
			return 0;
		case OPTION_HELP:
			fputs(_(usage), stdout);
			return 0;
		default:
			fputs(_("Try nexusd --help.\n"), stderr);
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, _("nexusd: unexpected argument: %s\n"), argv[optind]);
		fputs(_("Try nexusd --help.\n"), stderr);
		return EXIT_USAGE;
	}
	if (check)
		return daemon_check_config(options.config_path);
	/* Keys are in memory: no image of it on a disk, no look at it by others of one user. */
	(void)prctl(PR_SET_DUMPABLE, 0);
	/* The log is in English, whoever starts it. */
	i18n_end();
	log_init(LOG_JOURNAL_SOCKET);
	return daemon_run(&options);
}
