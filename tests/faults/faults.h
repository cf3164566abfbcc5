/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that fail when a test says so. The linker leads the calls of nexusd's own objects, and of
 * the tests', here (--wrap, tests/faults/local.mk), not those of the libraries. Three ways to use
 * it:
 *
 * - $NEXUSD_TEST_FAULT_PAGE names a file that the program shares with the test beside it, which
 *   chooses the call that fails and sees how many there were (struct faults_page).
 * - $NEXUSD_TEST_EACH_FAULT makes the program run itself again and again, a call of another path
 *   failing each time, and print as TAP how it took that (tests/faults/run).
 * - A test counts calls by itself.
 *
 * Any thread.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct faults_page {
	_Atomic uint64_t fail_at; /* counted from 1; 0: none fails, none is counted */
	_Atomic uint64_t n_calls;
	_Atomic uint64_t lasting; /* not 0: what follows fails, too */
	char name[40];            /* of the last call that failed */
};

/* Counts a call that could fail; true: it is to fail now. */
bool faults_due(const char *name);
/* A test cannot go on. If that is because a call was made to fail, the program ends here, without a
 * word, while all that the test holds is still held: what the sanitizer then misses was lost. */
void faults_give_up(void);
/* From now on calls are counted, and none fails. */
void faults_count(void);
/* Ends that. The number of calls. */
uint64_t faults_counted(void);
