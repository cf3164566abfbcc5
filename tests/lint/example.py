# SPDX-License-Identifier: Apache-2.0
"""The example configuration is accepted as it is."""

import os
import subprocess

import tap

example = os.path.join(tap.TREE, "data/nexusd.conf.example")
checked = subprocess.run([os.environ["NEXUSD"], "-c", example, "--check-config"],
                         capture_output=True, text=True)
tap.ok(checked.returncode == 0, "nexusd --check-config takes the example",
       (checked.stdout + checked.stderr).splitlines())
tap.done()
