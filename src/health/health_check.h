/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One health check of one backend: the requests its type is asked, under one deadline, and what the
 * answers come to. Knows nothing of thresholds or schedules. Embedded in its probe; main thread,
 * one check at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/outcome.h"
#include "config/config.h"
#include "health/model_list.h"
#include "loop/loop.h"
#include "upstream/client.h"
#include "upstream/target.h"
#include "upstream/transfer.h"

struct health_check_result {
	enum outcome outcome; /* OK: alive, and the list has been read */
	const char *detail;   /* for people; valid during the callback */
	uint64_t total_ns;
	uint64_t first_byte_ns; /* of the last answer */
};

struct health_check {
	struct loop *loop;
	struct client *client;
	/* Once per check, unless nexusd itself lacked memory for it. */
	void (*judged)(struct health_check *check, const struct health_check_result *result);
	/* Last of all; another check may be started. When `described`, the list now tells more of
	 * its models. */
	void (*ended)(struct health_check *check, bool described);

	struct model_list list; /* as of the last good check */

	/* private */
	struct config *config; /* a reference while a check runs: the target points into it */
	const struct backend_config *backend;
	struct target target;
	struct timer deadline;
	struct transfer *transfer;
	unsigned step;
	const char *path; /* that is asked in this step */
	unsigned status;
	int error; /* what became of the body, or of a list */
	struct buf question, answer;
	uint64_t started_ns;
	size_t next_description; /* entry of the list being asked for */
	unsigned n_descriptions; /* asked for in this check */
	bool described;
};

void health_check_init(struct health_check *check, struct loop *loop, struct client *client);
/* Cancels what runs; nothing is called. */
void health_check_done(struct health_check *check);
/* Checks config->backends[index], which is no demo, within config->health.timeout. The callbacks
 * come from the loop, but for an end for lack of memory. No check may be running. */
void health_check_start(struct health_check *check, struct config *config, size_t index);
static inline bool health_check_is_running(const struct health_check *check)
{
	return check->config != NULL;
}
