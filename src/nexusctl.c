/* SPDX-License-Identifier: Apache-2.0 */
#include "base/standard_files.h"
#include "ctl/ctl.h"

int main(int argc, char **argv)
{
	standard_files_open();
	return ctl_main(argc, argv, LOCALEDIR);
}
