/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/terminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"

#define FRAME_MAX_BYTES (4u << 20)
#define CONTROL_C       3

/* ECMA-48, and what every terminal has taken over from xterm. */
#define OTHER_SCREEN "\033[?1049h"
#define FIRST_SCREEN "\033[?1049l"
#define HIDE_CURSOR  "\033[?25l"
#define SHOW_CURSOR  "\033[?25h"
#define NO_WRAP      "\033[?7l"
#define WRAP         "\033[?7h"
#define HOME         "\033[H"
#define CLEAR_LINE   "\033[K"
#define CLEAR_BELOW  "\033[J"

static int write_all(struct str text)
{
	while (text.n) {
		ssize_t n = write(STDOUT_FILENO, text.p, text.n);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			text = (struct str){text.p + n, text.n - (size_t)n};
	}
	return 0;
}

static int open_signals(void)
{
	static const int numbers[] = {SIGWINCH, SIGINT, SIGTERM, SIGHUP};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		sigaddset(&set, numbers[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	return signalfd(-1, &set, SFD_CLOEXEC);
}

int terminal_enter(struct terminal *terminal)
{
	struct termios raw;

	if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &terminal->saved) < 0)
		return -ENOTTY;
	terminal->signals = open_signals();
	if (terminal->signals < 0)
		return -errno;
	raw = terminal->saved;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG);
	if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw) < 0) {
		close(terminal->signals);
		return -ENOTTY;
	}
	return write_all(STR_LITERAL(OTHER_SCREEN HIDE_CURSOR NO_WRAP));
}

void terminal_leave(struct terminal *terminal)
{
	/* A terminal that is gone takes neither. */
	(void)!write_all(STR_LITERAL(WRAP SHOW_CURSOR FIRST_SCREEN));
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &terminal->saved);
	close(terminal->signals);
}

static enum terminal_event take_signal(struct terminal *terminal)
{
	struct signalfd_siginfo info;

	if (read(terminal->signals, &info, sizeof(info)) != sizeof(info))
		return TERMINAL_QUIT;
	return info.ssi_signo == SIGWINCH ? TERMINAL_RESIZED : TERMINAL_QUIT;
}

static bool is_quit(void)
{
	char key;

	return read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == 'Q' || key == CONTROL_C;
}

enum terminal_event terminal_wait(struct terminal *terminal, uint64_t due_ns)
{
	struct pollfd fds[] = {{terminal->signals, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};

	for (;;) {
		uint64_t now = clock_monotonic_ns();
		uint64_t left = now < due_ns ? due_ns - now : 0;
		struct timespec timeout = {(time_t)(left / NS_PER_SEC), (long)(left % NS_PER_SEC)};
		int n = ppoll(fds, ARRAY_SIZE(fds), &timeout, NULL);

		if (n == 0)
			return TERMINAL_DUE;
		if (n < 0 && errno != EINTR)
			return TERMINAL_QUIT;
		if (n > 0 && fds[0].revents)
			return take_signal(terminal);
		if (n > 0 && fds[1].revents && is_quit())
			return TERMINAL_QUIT;
	}
}

/* Every line is drawn over the one before it and its rest cleared: nothing flickers. */
static int compose(const struct screen *screen, struct str frame, struct buf *out)
{
	int r = buf_append_str(out, STR_LITERAL(HOME));

	for (unsigned row = 0; r == 0 && frame.n && row < screen->rows; row++) {
		if (row > 0)
			r = buf_append_str(out, STR_LITERAL("\r\n"));
		if (r == 0)
			r = buf_append_str(out, str_split(&frame, '\n'));
		if (r == 0)
			r = buf_append_str(out, STR_LITERAL(CLEAR_LINE));
	}
	return r < 0 ? r : buf_append_str(out, STR_LITERAL(CLEAR_BELOW));
}

int terminal_draw(const struct screen *screen, struct str frame)
{
	struct buf out;
	int r;

	buf_init(&out, FRAME_MAX_BYTES);
	r = compose(screen, frame, &out);
	if (r == 0)
		r = write_all(buf_str(&out));
	buf_done(&out);
	return r;
}
