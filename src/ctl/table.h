/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of cells: on a terminal in columns under bold titles, as wide as it is; else one line a
 * row with a tab between the cells and no titles, for scripts.
 */
#pragma once

#include "base/attr.h"
#include "base/buf.h"
#include "ctl/ctl.h"

enum shade { SHADE_NONE, SHADE_GOOD, SHADE_BAD, SHADE_DOUBT, SHADE_BOLD, N_SHADES };

struct column {
	const char *title; /* not yet translated; NULL for a table without titles */
	bool is_number;    /* stands to the right, and is never cut */
};

struct cell {
	char *text; /* visible */
	enum shade shade;
};

struct table {
	const struct column *columns;
	size_t n_columns;
	struct cell *cells; /* row by row */
	size_t n, room;
	struct buf scratch;
	int error; /* sticky */
};

/* `columns` outlives the table. */
void table_init(struct table *table, const struct column *columns, size_t n_columns);
void table_done(struct table *table);
/* The next cell, made visible. */
void table_text(struct table *table, enum shade shade, struct str text);
void table_printf(struct table *table, enum shade shade, const char *format, ...) PRINTF_LIKE(3, 4);
/* At most `rows` rows. Returns the table's error or the buffer's. */
int table_write(const struct table *table, const struct screen *screen, size_t rows,
		struct buf *out) MUST_CHECK;

/* Appends text in a shade, if the screen has colors. */
int shade_append(struct buf *out, const struct screen *screen, enum shade shade,
		 struct str text) MUST_CHECK;
