#!/bin/sh
# With a boot entry of osupd, what goes wrong before its own script runs (no root device) also ends in the next boot entry
# instead of a shell.
if getarg osupd.stack= >/dev/null; then
	case $(getarg osupd.failure=) in
	shell) ;;
	halt) echo 'rd.shell=0 rd.emergency=halt' >/etc/cmdline.d/90-osupd.conf ;;
	*) echo 'rd.shell=0 rd.emergency=reboot' >/etc/cmdline.d/90-osupd.conf ;;
	esac
fi
