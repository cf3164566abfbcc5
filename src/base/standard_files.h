/* SPDX-License-Identifier: Apache-2.0 */
/* The descriptors 0, 1 and 2, which a program may be started without. */
#pragma once

/* First thing in main(): what is closed is taken, or a socket would get the number, and with it
 * what is written to standard error. Reading and writing there fail as before. Without /dev/null
 * nothing is done. */
void standard_files_open(void);
