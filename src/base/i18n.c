/* SPDX-License-Identifier: Apache-2.0 */
#include "base/i18n.h"

#include <locale.h>

void i18n_init(const char *directory)
{
#ifdef ENABLE_NLS
	/* LC_CTYPE is what a text is converted to. LC_ALL would bring LC_NUMERIC's commas. */
	setlocale(LC_CTYPE, "");
	setlocale(LC_MESSAGES, "");
	bindtextdomain(PACKAGE, directory);
	textdomain(PACKAGE);
#else
	(void)directory;
#endif
}

void i18n_end(void)
{
	setlocale(LC_ALL, "C");
}
