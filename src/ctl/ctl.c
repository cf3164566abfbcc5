/* SPDX-License-Identifier: Apache-2.0 */
/* The command line, by commands.def. */
#include "ctl/ctl.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/i18n.h"
#include "base/version.h"
#include "config/config_value.h"
#include "config/endpoint.h"
#include "ctl/visible.h"

#define MESSAGE_MAX_BYTES 4096
#define INTERVAL_LEAST_NS (NS_PER_SEC / 10)
#define INTERVAL_MOST_NS  (3600 * NS_PER_SEC)
#define HELP_COLUMN       30

enum reach { REACH_LOCAL, REACH_ADMIN, REACH_FILE, REACH_ANY };

struct command {
	const char *words, *arguments;
	enum reach reach;
	int (*run)(struct ctl *ctl);
	const char *help;
};

static const struct command commands[] = {
#define COMMAND(id, words, arguments, reach, handler, help) \
	{words, arguments, REACH_##reach, handler, help},
#define FLAG(...)
#include "ctl/commands.def"
#undef COMMAND
#undef FLAG
};

enum flag {
#define COMMAND(...)
#define FLAG(id, name, argument, help) FLAG_##id,
#include "ctl/commands.def"
#undef COMMAND
#undef FLAG
	N_FLAGS
};

static const struct {
	const char *name, *argument, *help;
} flags[] = {
#define COMMAND(...)
#define FLAG(id, name, argument, help) [FLAG_##id] = {name, argument, help},
#include "ctl/commands.def"
#undef COMMAND
#undef FLAG
};

int ctl_fail(int status, const char *format, ...)
{
	char text[MESSAGE_MAX_BYTES];
	struct buf line;
	va_list ap;
	int r;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	buf_init(&line, 8 * MESSAGE_MAX_BYTES);
	r = visible_append(&line, str_of(text), false);
	fprintf(stderr, "nexusctl: %.*s\n", r < 0 ? 0 : (int)line.len, line.data ? line.data : "");
	buf_done(&line);
	return status;
}

int ctl_no_memory(void)
{
	return ctl_fail(CTL_FAILED, _("out of memory"));
}

int ctl_print(struct buf *out, int error)
{
	int r = CTL_OK;

	errno = 0;
	if (error == -EMSGSIZE)
		r = ctl_fail(CTL_FAILED, _("the answer is too large to be shown"));
	else if (error < 0)
		r = ctl_no_memory();
	else if ((out->len && fwrite(out->data, 1, out->len, stdout) != out->len) || fflush(stdout))
		r = ctl_fail(CTL_FAILED, _("cannot write: %s"), strerror(errno));
	buf_done(out);
	return r;
}

void ctl_measure(struct screen *screen)
{
	struct winsize size = {0};

	if (!screen->is_terminal)
		return;
	(void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	/* A terminal that does not tell is taken for the usual one. */
	screen->columns = size.ws_col ? size.ws_col : 80;
	screen->rows = size.ws_row ? size.ws_row : 24;
}

static struct screen look_at_screen(void)
{
	const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
	struct screen screen = {.is_terminal = isatty(STDOUT_FILENO)};

	/* https://no-color.org: set and not empty. */
	screen.has_colors =
		screen.is_terminal && !(no_color && *no_color) && term && strcmp(term, "dumb") != 0;
	ctl_measure(&screen);
	return screen;
}

static int pad_to(struct buf *out, size_t begin, size_t column)
{
	size_t at = out->len - begin;

	return buf_printf(out, "%*s", at < column ? (int)(column - at) : 1, "");
}

static int write_row(struct buf *out, const char *name, const char *argument, const char *help)
{
	size_t begin = out->len;
	int r = buf_printf(out, "  %s%s%s", name, *argument ? " " : "", argument);

	if (r == 0)
		r = pad_to(out, begin, HELP_COLUMN);
	return r < 0 ? r : buf_printf(out, "%s\n", help);
}

static int write_help(struct buf *out)
{
	int r = buf_printf(out, "%s\n\n", _("Usage: nexusctl [OPTION...] COMMAND [ARGUMENT...]"));

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(commands); i++)
		r = write_row(out, commands[i].words, commands[i].arguments, _(commands[i].help));
	if (r == 0)
		r = buf_append(out, "\n", 1);
	for (size_t i = 0; r == 0 && i < N_FLAGS; i++) {
		char name[32];

		snprintf(name, sizeof(name), "--%s", flags[i].name);
		r = write_row(out, name, flags[i].argument, _(flags[i].help));
	}
	if (r == 0)
		r = buf_printf(out, "\n%s\n", _("The manual is nexusctl(1)."));
	return r;
}

static int print_help(void)
{
	struct buf out;

	buf_init(&out, 65536);
	return ctl_print(&out, write_help(&out));
}

static int try_help(void)
{
	fprintf(stderr, "%s\n", _("Try nexusctl --help."));
	return CTL_USAGE;
}

/* How many words of argv are the command's; 0 when they are not. */
static size_t match_words(const struct command *command, char **argv, size_t n)
{
	struct str rest = str_of(command->words);
	size_t i = 0;

	for (; rest.p; i++)
		if (i == n || !str_eq(str_split(&rest, ' '), str_of(argv[i])))
			return 0;
	return i;
}

static const struct command *find_command(char **argv, size_t n, size_t *ret_n_words)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		*ret_n_words = match_words(&commands[i], argv, n);
		if (*ret_n_words)
			return &commands[i];
	}
	return NULL;
}

/* Does the word begin commands of two words? */
static bool is_group(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		struct str rest = str_of(commands[i].words);

		if (str_eq(str_split(&rest, ' '), str_of(word)) && rest.p)
			return true;
	}
	return false;
}

static int unknown_command(char **argv, size_t n)
{
	if (n == 0)
		ctl_fail(CTL_USAGE, _("no command"));
	else if (n == 1 && is_group(argv[0]))
		ctl_fail(CTL_USAGE, _("%s wants another word"), argv[0]);
	else if (is_group(argv[0]))
		ctl_fail(CTL_USAGE, _("no such command: %s %s"), argv[0], argv[1]);
	else
		ctl_fail(CTL_USAGE, _("no such command: %s"), argv[0]);
	return try_help();
}

static int check_arguments(const struct command *command, size_t n)
{
	struct str rest = str_of(command->arguments);
	size_t least = 0, most = 0;

	while (rest.n) {
		struct str one = str_split(&rest, ' ');

		least += one.p[0] != '[';
		most = memmem(one.p, one.n, "...", 3) ? SIZE_MAX : most + 1;
	}
	if (n >= least && n <= most)
		return CTL_OK;
	if (n < least)
		ctl_fail(CTL_USAGE, _("%s wants %s"), command->words, command->arguments);
	else
		ctl_fail(CTL_USAGE, _("%s takes fewer arguments"), command->words);
	return try_help();
}

static int check_reach(const struct command *command, const struct ctl *ctl)
{
	bool needs_socket = command->reach == REACH_ADMIN ||
			    (command->reach == REACH_FILE && ctl->n_arguments == 0);

	if (!ctl->url || !needs_socket)
		return CTL_OK;
	return ctl_fail(CTL_USAGE, _("%s needs the admin socket and cannot be used with --url"),
			command->words);
}

static int take_url(struct ctl *ctl, const char *text)
{
	const char *wrong = NULL;
	int r;

	free(ctl->url);
	ctl->url = NULL;
	r = endpoint_url_parse(str_of(text), &ctl->url, &wrong);
	if (r == -EINVAL)
		return ctl_fail(CTL_USAGE, "--url %s", wrong);
	return r < 0 ? ctl_no_memory() : CTL_OK;
}

static int take_interval(struct ctl *ctl, const char *text)
{
	const struct config_value value = {.kind = VALUE_TEXT, .text = text};

	if (config_value_duration(&value, &ctl->interval_ns) == 0 &&
	    ctl->interval_ns >= INTERVAL_LEAST_NS && ctl->interval_ns <= INTERVAL_MOST_NS)
		return CTL_OK;
	return ctl_fail(CTL_USAGE, _("--interval takes seconds from 0.1 to 3600, not %s"), text);
}

#define GO_ON (-1) /* there is more to read; anything else is the exit status */

static int take_flag(struct ctl *ctl, int flag)
{
	int r = CTL_OK;

	switch (flag) {
	case FLAG_SOCKET:
		ctl->socket = optarg;
		break;
	case FLAG_URL:
		r = take_url(ctl, optarg);
		break;
	case FLAG_JSON:
		ctl->json = true;
		break;
	case FLAG_INTERVAL:
		r = take_interval(ctl, optarg);
		break;
	case FLAG_HELP:
		return print_help();
	case FLAG_VERSION:
		printf("nexusctl %s\n", version_text);
		return CTL_OK;
	default:
		return try_help();
	}
	return r == CTL_OK ? GO_ON : r;
}

static int take_flags(struct ctl *ctl, int argc, char **argv)
{
	struct option options[N_FLAGS + 1] = {0};
	int flag, r = GO_ON;

	for (int i = 0; i < N_FLAGS; i++)
		options[i] = (struct option){
			.name = flags[i].name,
			.has_arg = *flags[i].argument ? required_argument : no_argument,
			.val = i,
		};
	while (r == GO_ON && (flag = getopt_long(argc, argv, "", options, NULL)) != -1)
		r = take_flag(ctl, flag);
	if (r == GO_ON && ctl->url && ctl->socket)
		return ctl_fail(CTL_USAGE, _("--url and --socket exclude one another"));
	return r;
}

static int run(struct ctl *ctl, char **argv, size_t n)
{
	size_t n_words;
	const struct command *command = find_command(argv, n, &n_words);
	int r;

	if (!command)
		return unknown_command(argv, n);
	ctl->arguments = argv + n_words;
	ctl->n_arguments = n - n_words;
	r = check_arguments(command, ctl->n_arguments);
	if (r == CTL_OK)
		r = check_reach(command, ctl);
	return r == CTL_OK ? command->run(ctl) : r;
}

int ctl_main(int argc, char **argv, const char *locale_directory)
{
	struct ctl ctl = {.interval_ns = 2 * NS_PER_SEC};
	int r;

	i18n_init(locale_directory);
	ctl.screen = look_at_screen();
	r = take_flags(&ctl, argc, argv);
	if (r == GO_ON)
		r = run(&ctl, argv + optind, (size_t)(argc - optind));
	free(ctl.url);
	return r;
}
