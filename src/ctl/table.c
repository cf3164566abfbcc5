/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/i18n.h"
#include "ctl/visible.h"

#define CELL_MAX_BYTES 65536
#define MAX_COLUMNS    16
#define GAP            2 /* between columns */
#define LEAST_WIDTH    9 /* of a column that is cut: "unhealthy" */
#define ELLIPSIS       STR_LITERAL("\xE2\x80\xA6")

static const char *const shades[N_SHADES] = {
	[SHADE_NONE] = "",          [SHADE_GOOD] = "\033[32m", [SHADE_BAD] = "\033[31m",
	[SHADE_DOUBT] = "\033[33m", [SHADE_BOLD] = "\033[1m",
};

void table_init(struct table *table, const struct column *columns, size_t n_columns)
{
	*table = (struct table){.columns = columns, .n_columns = n_columns};
	buf_init(&table->scratch, CELL_MAX_BYTES);
}

void table_done(struct table *table)
{
	for (size_t i = 0; i < table->n; i++)
		free(table->cells[i].text);
	free(table->cells);
	buf_done(&table->scratch);
	*table = (struct table){0};
}

static int make_room(struct table *table)
{
	size_t room = table->room ? table->room * 2 : 64;
	struct cell *cells;

	if (table->n < table->room)
		return 0;
	cells = reallocarray(table->cells, room, sizeof(*cells));
	if (!cells)
		return -ENOMEM;
	table->cells = cells;
	table->room = room;
	return 0;
}

void table_text(struct table *table, enum shade shade, struct str text)
{
	char *copy;

	if (table->error == 0)
		table->error = make_room(table);
	if (table->error < 0)
		return;
	buf_clear(&table->scratch);
	table->error = visible_append(&table->scratch, text, false);
	copy = table->error == 0 ? str_dup(buf_str(&table->scratch)) : NULL;
	if (copy)
		table->cells[table->n++] = (struct cell){copy, shade};
	else if (table->error == 0)
		table->error = -ENOMEM;
}

void table_printf(struct table *table, enum shade shade, const char *format, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	table_text(table, shade, str_of(text));
}

int shade_append(struct buf *out, const struct screen *screen, enum shade shade, struct str text)
{
	bool colored = screen->has_colors && shade != SHADE_NONE;
	int r = colored ? buf_append_str(out, str_of(shades[shade])) : 0;

	if (r == 0)
		r = buf_append_str(out, text);
	return r == 0 && colored ? buf_append_str(out, STR_LITERAL("\033[0m")) : r;
}

static bool has_titles(const struct table *table)
{
	return table->columns[0].title != NULL;
}

static size_t n_rows(const struct table *table)
{
	return table->n / table->n_columns;
}

static void natural_widths(const struct table *table, size_t *widths)
{
	for (size_t c = 0; c < table->n_columns; c++) {
		widths[c] =
			has_titles(table) ? visible_width(str_of(_(table->columns[c].title))) : 0;
		for (size_t r = 0; r < n_rows(table); r++) {
			struct str text = str_of(table->cells[r * table->n_columns + c].text);
			size_t width = visible_width(text);

			widths[c] = width > widths[c] ? width : widths[c];
		}
	}
}

/* Takes from the widest texts until all fits, or nothing more can be taken. */
static void shrink(const struct table *table, size_t *widths, size_t columns)
{
	for (;;) {
		size_t sum = GAP * (table->n_columns - 1), widest = table->n_columns;

		for (size_t c = 0; c < table->n_columns; c++) {
			sum += widths[c];
			if (!table->columns[c].is_number && widths[c] > LEAST_WIDTH &&
			    (widest == table->n_columns || widths[c] > widths[widest]))
				widest = c;
		}
		if (sum <= columns || widest == table->n_columns)
			return;
		widths[widest]--;
	}
}

static int write_cut(struct buf *out, const struct screen *screen, enum shade shade,
		     struct str text, size_t width)
{
	struct buf cut;
	int r;

	if (visible_width(text) <= width)
		return shade_append(out, screen, shade, text);
	buf_init(&cut, CELL_MAX_BYTES + 8);
	r = buf_append_str(&cut, visible_cut(text, width ? width - 1 : 0));
	if (r == 0)
		r = buf_append_str(&cut, ELLIPSIS);
	if (r == 0)
		r = shade_append(out, screen, shade, buf_str(&cut));
	buf_done(&cut);
	return r;
}

static int write_blanks(struct buf *out, size_t n)
{
	return n ? buf_printf(out, "%*s", (int)n, "") : 0;
}

static int write_line(const struct table *table, const struct screen *screen,
		      const struct cell *cells, const size_t *widths, struct buf *out)
{
	size_t left = screen->columns, blanks = 0;
	int r = 0;

	/* What a narrow screen has no room for is left out at its right. */
	for (size_t c = 0; r == 0 && c < table->n_columns; c++) {
		bool is_number = table->columns[c].is_number;
		size_t gap = c ? GAP : 0;
		size_t room = left > gap ? left - gap : 0;
		size_t width = widths[c] < room ? widths[c] : room;
		size_t taken = visible_width(str_of(cells[c].text));
		size_t padding = taken < width ? width - taken : 0;

		if (room == 0 || (width < widths[c] && is_number && c > 0))
			break;
		r = write_blanks(out, blanks + gap + (is_number ? padding : 0));
		if (r == 0)
			r = write_cut(out, screen, cells[c].shade, str_of(cells[c].text), width);
		blanks = is_number ? 0 : padding;
		left = room - width;
	}
	return r < 0 ? r : buf_append(out, "\n", 1);
}

static int write_columns(const struct table *table, const struct screen *screen, size_t rows,
			 struct buf *out)
{
	size_t widths[MAX_COLUMNS];
	int r = 0;

	natural_widths(table, widths);
	shrink(table, widths, screen->columns);
	if (has_titles(table)) {
		struct cell titles[MAX_COLUMNS];

		for (size_t c = 0; c < table->n_columns; c++)
			titles[c] = (struct cell){(char *)_(table->columns[c].title), SHADE_BOLD};
		r = write_line(table, screen, titles, widths, out);
	}
	for (size_t i = 0; r == 0 && i < rows; i++)
		r = write_line(table, screen, &table->cells[i * table->n_columns], widths, out);
	return r;
}

int table_write(const struct table *table, const struct screen *screen, size_t rows,
		struct buf *out)
{
	int r = table->error;

	if (rows > n_rows(table))
		rows = n_rows(table);
	if (r == 0 && screen->is_terminal)
		return write_columns(table, screen, rows, out);
	for (size_t i = 0; r == 0 && i < rows * table->n_columns; i++) {
		r = buf_append_str(out, str_of(table->cells[i].text));
		if (r == 0)
			r = buf_append(out, (i + 1) % table->n_columns ? "\t" : "\n", 1);
	}
	return r;
}
