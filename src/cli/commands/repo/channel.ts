/** `osupd repo channel` */
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import type { Channel, RampPoint } from '../../../repository/channel.ts';
import type { ChannelPolicy } from '../../../repository/channels.ts';
import { formatTime } from '../../../repository/json-fields.ts';
import type { CliContext } from '../../context.ts';
import { outputOf } from '../../output.ts';
import {
  type KeyOptions,
  openRing,
  passphraseOption,
  several,
  signLaterOption,
  waitingText,
} from '../../repository-options.ts';

interface ChannelOptions extends Partial<KeyOptions> {
  readonly signLater?: boolean;
  readonly ramp?: string[];
  readonly halt?: boolean;
  readonly urgent?: boolean;
  readonly floor?: string;
}

const EXAMPLES = `
Examples:
  osupd repo channel /srv/repo --keys ./keys stable os@2
  osupd repo channel /srv/repo --keys ./keys stable os@2 --ramp 2030-03-01T06:00:00Z=0 --ramp 2030-03-03T06:00:00Z=100
  osupd repo channel /srv/repo --keys ./keys stable os@2 --halt
  osupd repo channel /srv/repo stable`;

export function register(group: Command, context: CliContext): void {
  group
    .command('channel')
    .description('make a channel offer releases; without any, show what it offers')
    .argument('<repo>', "the repository's directory")
    .argument('<channel>', 'name of the channel; it is made when it does not exist')
    .argument('[release...]', 'NAME@VERSION, published')
    .option('--keys <dir>', 'directory of the key files; needed to change anything')
    .option(
      '--ramp <time=percent>',
      'share of devices from this time on, linear in between; repeatable, or "none" for all at once',
      several,
    )
    .addOption(new Option('--halt', 'nobody may switch who has not yet'))
    .addOption(new Option('--no-halt', 'go on'))
    .addOption(new Option('--urgent', 'devices do not wait for their maintenance windows'))
    .addOption(new Option('--no-urgent', 'devices wait for their maintenance windows'))
    .option('--floor <version>', 'devices refuse anything older')
    .addOption(signLaterOption())
    .addOption(passphraseOption())
    .addHelpText('after', EXAMPLES)
    .action(async (repo: string, name: string, releases: string[], options: ChannelOptions, command: Command) => {
      const { readChannel, setChannel } = await import('../../../repository/channels.ts');
      const { checkChannelName, parseReleaseReference } = await import('../../../repository/layout.ts');
      const { OsupdError } = await import('../../../core/errors.ts');
      const output = outputOf(command, context);
      const directory = resolve(context.workingDirectory, repo);
      checkChannelName(name);
      if (releases.length === 0) {
        const channel = await readChannel(directory, name);
        output.result({ channel }, () => describe(channel).join('\n'));
        return;
      }
      const { keys } = options;
      if (keys === undefined) {
        throw new OsupdError('usage', 'changing a channel takes its key', { remedy: 'give --keys DIR' });
      }
      const done = await setChannel({
        directory,
        ring: await openRing({ ...options, keys }, context, output),
        channel: name,
        releases: releases.map(parseReleaseReference),
        policy: await parsePolicy(options),
        now: context.now(),
        signLater: options.signLater,
      });
      const first = done.changed || done.waiting.length > 0 ? [] : ['nothing changed'];
      output.result(done, () => [...first, ...describe(done.channel)].join('\n') + waitingText(done.waiting));
    });
}

async function parsePolicy({ ramp, halt, urgent, floor }: ChannelOptions): Promise<ChannelPolicy> {
  const { isVersion } = await import('../../../repository/layout.ts');
  const { OsupdError } = await import('../../../core/errors.ts');
  if (floor !== undefined && !isVersion(floor)) throw new OsupdError('usage', `"${floor}" is not a version`);
  const points =
    ramp?.[0] === 'none'
      ? []
      : ramp?.map((word): RampPoint => {
          const at = word.lastIndexOf('=');
          const time = new Date(word.slice(0, at));
          const percent = Number(word.slice(at + 1));
          if (at < 0 || Number.isNaN(time.getTime()) || !(percent >= 0 && percent <= 100)) {
            throw new OsupdError('usage', `"${word}" is not TIME=PERCENT`, {
              remedy: 'write it like 2030-03-01T06:00:00Z=10',
            });
          }
          return [formatTime(time), percent];
        });
  return {
    ...(points === undefined ? {} : { ramp: points.sort(([a], [b]) => (a < b ? -1 : 1)) }),
    ...(halt === undefined ? {} : { halted: halt }),
    ...(urgent === undefined ? {} : { urgent }),
    ...(floor === undefined ? {} : { floor }),
  };
}

function describe({ channel, releases }: Channel): string[] {
  return Object.entries(releases).map(([name, { version, ramp, halted, urgent, floor }]) => {
    const last = ramp.at(-1);
    const traits = [
      ...(last === undefined ? [] : [`ramp to ${last[1]} % at ${last[0]}`]),
      ...(halted ? ['halted'] : []),
      ...(urgent ? ['urgent'] : []),
      ...(floor === undefined ? [] : [`nothing older than ${floor}`]),
    ];
    return `${channel} offers ${name}@${version}${traits.length === 0 ? '' : ` (${traits.join(', ')})`}`;
  });
}
