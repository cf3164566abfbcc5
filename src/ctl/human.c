/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/human.h"

#include <stdio.h>
#include <time.h>

#include "base/attr.h"
#include "base/clock.h"

const char *human_duration(uint64_t seconds, char text[static HUMAN_MAX])
{
	static const struct {
		uint64_t seconds;
		const char *name;
	} units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
	unsigned long long large, small;
	size_t i = 0;

	while (i + 1 < ARRAY_SIZE(units) && seconds < units[i].seconds)
		i++;
	large = seconds / units[i].seconds;
	small = i + 1 < ARRAY_SIZE(units) ? seconds % units[i].seconds / units[i + 1].seconds : 0;
	if (small)
		snprintf(text, HUMAN_MAX, "%llu %s %llu %s", large, units[i].name, small,
			 units[i + 1].name);
	else
		snprintf(text, HUMAN_MAX, "%llu %s", large, units[i].name);
	return text;
}

const char *human_ns(uint64_t ns, char text[static HUMAN_MAX])
{
	if (ns < 10 * NS_PER_SEC)
		snprintf(text, HUMAN_MAX, "%.3f ms", (double)ns / (double)NS_PER_MSEC);
	else
		snprintf(text, HUMAN_MAX, "%.3f s", (double)ns / (double)NS_PER_SEC);
	return text;
}

const char *human_time(uint64_t seconds, char text[static HUMAN_MAX])
{
	time_t time = (time_t)seconds;
	struct tm parts;

	if (!localtime_r(&time, &parts) || !strftime(text, HUMAN_MAX, "%Y-%m-%d %H:%M:%S", &parts))
		text[0] = '\0';
	return text;
}
