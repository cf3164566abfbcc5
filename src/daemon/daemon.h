/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process: one ladder of stages up, the same ladder down, and between them the main thread's
 * loop (signals, reload, health, watchdog, drain).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "api/api.h"
#include "base/log.h"

struct daemon_options {
	char *const *argv;       /* of this process, for the one that it may hand over to */
	const char *config_path; /* NULL: the default */
	bool has_log_level;      /* on the command line: wins over the configuration */
	enum log_level log_level;
	const struct step *steps; /* of the chain, before routing; outlive the call */
	size_t n_steps;
};

/* Loads and checks the configuration only: 0, or 1 with the error on stderr. */
int daemon_check_config(const char *config_path);
/* Runs until a signal ends it: the exit status. Errors are logged. */
int daemon_run(const struct daemon_options *options);
