/** Files below /etc that are no configuration by lines: state of this machine, what programs generate, and accounts. */
import type { ByteString } from '../../core/bytes.ts';

/** The account files of shadow(5) and its relatives: one line for each name, which is the first field. */
export type AccountFile = 'passwd' | 'group' | 'shadow' | 'gshadow' | 'subuid' | 'subgid';

const ACCOUNT_FILES: ReadonlySet<ByteString> = new Set(['passwd', 'group', 'shadow', 'gshadow', 'subuid', 'subgid']);

/** What this machine is or has found out: the local version stays whole, and that is no conflict. */
const STATE: ReadonlySet<ByteString> = new Set([
  '.pwd.lock',
  '.updated',
  'adjtime',
  'hostname',
  'localtime',
  'machine-id',
  'machine-info',
  'mtab',
  'resolv.conf',
  'timezone',
  // What the account tools had before their last change.
  ...[...ACCOUNT_FILES].map((name) => `${name}-`),
]);

/** Made of the image's own libraries: an old one is wrong for new ones. */
const GENERATED: ReadonlySet<ByteString> = new Set(['ld.so.cache']);

/** Made of many files, each of which is merged; a merge by lines could give what no program has made. */
const WHOLE: readonly RegExp[] = [/^ssl\/certs\/ca-certificates\.crt$/, /^udev\/hwdb\.bin$/, /\.db$/];

export type FileClass = 'state' | 'generated' | 'whole' | 'accounts' | 'text';

/** @param path below /etc, without a first slash. */
export function fileClass(path: ByteString): FileClass {
  if (STATE.has(path)) return 'state';
  if (GENERATED.has(path)) return 'generated';
  if (ACCOUNT_FILES.has(path)) return 'accounts';
  return WHOLE.some((pattern) => pattern.test(path)) ? 'whole' : 'text';
}
