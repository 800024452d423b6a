import { expect, it } from 'vitest';
import { type ApplyFacts, chooseApply } from '../../../src/deploy/boot/choose-apply.ts';

const ENTRY = {
  title: 'Debian',
  kernel: '/osupd/aa/vmlinuz',
  unified: false,
  initrd: '/osupd/bb/initrd.img',
  options: ['osupd.stack=system/1-0123456789ab:00', 'root=UUID=1', 'quiet'],
};
const next = (change: Partial<typeof ENTRY>) => ({
  ...ENTRY,
  options: ENTRY.options.with(0, 'osupd.stack=system/2'),
  ...change,
});
const facts = (change: Partial<ApplyFacts>): ApplyFacts => ({
  mountpoint: '/',
  switch: 'boot',
  systemd: 257,
  booted: ENTRY,
  next: next({}),
  ...change,
});

it.each<[ReturnType<typeof chooseApply>['apply'], RegExp, Partial<ApplyFacts>]>([
  ['soft-reboot', /^kernel, initrd and kernel arguments stay as they are$/, {}],
  ['soft-reboot', /stay as they are/, { systemd: 254 }],
  [
    'live',
    /^\/srv\/kiosk can change under the processes/,
    { mountpoint: '/srv/kiosk', switch: 'live', booted: undefined },
  ],
  ['reboot', /switch = "boot"/, { mountpoint: '/srv/kiosk' }],
  ['reboot', /^process 1 is not systemd$/, { systemd: undefined }],
  ['reboot', /^systemd 252 cannot .* 254 can$/, { systemd: 252 }],
  ['reboot', /^what runs was not booted from a deployment$/, { booted: undefined }],
  ['reboot', /^the kernel changes$/, { next: next({ kernel: '/osupd/cc/vmlinuz' }) }],
  ['reboot', /^the initrd changes$/, { next: next({ initrd: '/osupd/cc/initrd.img' }) }],
  [
    'reboot',
    /^kernel arguments change: -quiet \+debug$/,
    { next: next({ options: ['osupd.stack=x', 'root=UUID=1', 'debug'] }) },
  ],
  ['reboot', /^kernel arguments change: quiet root=UUID=1$/, { next: next({ options: ['quiet', 'root=UUID=1'] }) }],
])('takes the way that interrupts least, and says why: %s because %s', (apply, reason, change) => {
  const choice = chooseApply(facts(change));
  expect(choice.apply).toBe(apply);
  expect(choice.reason).toMatch(reason);
});
