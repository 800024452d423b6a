#!/bin/sh
# With a boot entry of osupd, what goes wrong before its own script runs (no root device) also ends in the next boot entry
# (emergency.sh) instead of a shell.
if getarg osupd.stack= >/dev/null && [ "$(getarg osupd.failure=)" != shell ]; then
	echo 'rd.shell=0 rd.emergency=reboot' >/etc/cmdline.d/90-osupd.conf
fi
