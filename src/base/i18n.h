/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What nexusd and nexusctl say to a person at a terminal, in that person's language: diagnostics
 * of the configuration, usage, the output of nexusctl. The log is always English: it is searched,
 * and read by machines. The texts are found by the keywords in po/Makevars.
 */
#pragma once

#include "config.h"

#ifdef ENABLE_NLS
#include <libintl.h>
#define _(text)               gettext(text)
#define _n(one, many, number) ngettext(one, many, number)
#else
#define _(text)               (text)
#define _n(one, many, number) ((number) == 1 ? (one) : (many))
#endif

/* A text that _() is given later. */
#define N_(text) text

/* From here on texts are in the language of the environment, with the catalogs below `directory`.
 * Numbers keep their decimal points. Before any thread starts. */
void i18n_init(const char *directory);
/* Back to English. */
void i18n_end(void);
