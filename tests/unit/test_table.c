/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/table.h"

#include "tap.h"

static const struct column columns[] = {{"NAME", false}, {"N", true}, {"PLACE", false}};
static const struct column bare[] = {{NULL, false}, {NULL, false}};

static void fill(struct table *table)
{
	table_init(table, columns, ARRAY_SIZE(columns));
	table_text(table, SHADE_GOOD, STR_LITERAL("alpha-centauri"));
	table_printf(table, SHADE_NONE, "%d", 7);
	table_text(table, SHADE_NONE, STR_LITERAL("far\033away"));
	table_text(table, SHADE_NONE, STR_LITERAL("sol"));
	table_printf(table, SHADE_NONE, "%d", 12345);
	table_text(table, SHADE_NONE, STR_LITERAL("here"));
}

static void is_written(const struct screen *screen, size_t n_rows, const char *want,
		       const char *what)
{
	struct table table;
	struct buf out;
	int r;

	fill(&table);
	buf_init(&out, 65536);
	r = table_write(&table, screen, n_rows, &out);
	ok(r == 0 && str_eq(buf_str(&out), str_of(want)), "%s", what);
	if (!str_eq(buf_str(&out), str_of(want)))
		printf("# %.*s\n", (int)out.len, out.data);
	buf_done(&out);
	table_done(&table);
}

static struct screen wide(unsigned n)
{
	return (struct screen){.is_terminal = true, .columns = n, .rows = 24};
}

static void test_write(void)
{
	struct screen screen = {0};

	is_written(&screen, 9, "alpha-centauri\t7\tfar\\u001Baway\nsol\t12345\there\n",
		   "no terminal: tabs, no titles");
	is_written(&screen, 1, "alpha-centauri\t7\tfar\\u001Baway\n", "fewer rows");
	is_written(&screen, 0, "", "none");
	screen = wide(80);
	is_written(&screen, 9,
		   "NAME                N  PLACE\n"
		   "alpha-centauri      7  far\\u001Baway\n"
		   "sol             12345  here\n",
		   "columns");
	screen = wide(27);
	is_written(&screen, 9,
		   "NAME           N  PLACE\n"
		   "alpha-ce\xE2\x80\xA6      7  far\\u001\xE2\x80\xA6\n"
		   "sol        12345  here\n",
		   "the widest texts are cut");
	screen = wide(17);
	is_written(&screen, 9, "NAME           N\nalpha-ce\xE2\x80\xA6      7\nsol        12345\n",
		   "what has no room is left out at the right");
	screen = wide(3);
	is_written(&screen, 9, "NA\xE2\x80\xA6\nal\xE2\x80\xA6\nsol\n", "a very narrow screen");
	screen = wide(80);
	screen.has_colors = true;
	is_written(&screen, 1,
		   "\033[1mNAME\033[0m                \033[1mN\033[0m  \033[1mPLACE\033[0m\n"
		   "\033[32malpha-centauri\033[0m      7  far\\u001Baway\n",
		   "colors take no room");
}

static void test_pairs(void)
{
	const struct screen screen = wide(10);
	struct table table;
	struct buf out;

	table_init(&table, bare, ARRAY_SIZE(bare));
	table_text(&table, SHADE_NONE, STR_LITERAL("a"));
	table_text(&table, SHADE_NONE, STR_LITERAL("1"));
	table_text(&table, SHADE_NONE, STR_LITERAL(""));
	table_text(&table, SHADE_NONE, STR_LITERAL("2"));
	buf_init(&out, 65536);
	ok(table_write(&table, &screen, SIZE_MAX, &out) == 0 &&
		   str_eq(buf_str(&out), STR_LITERAL("a  1\n   2\n")),
	   "a table without titles");
	buf_done(&out);
	table_done(&table);
}

int main(void)
{
	test_write();
	test_pairs();
	return tap_done();
}
